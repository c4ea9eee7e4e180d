//! Requests nobody should make: each is refused in the API's form, none breaks anything.

use drawbridge::sandbox::Fault;
use serde_json::json;

use super::scene::{ALICE, Answer, SECRET, Scene, answer};

/// Sends a body as it is.
async fn send(scene: &Scene, path: &str, kind: Option<&str>, body: Vec<u8>) -> Answer {
    let request = scene.request(ALICE, "POST", path).body(body);
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    answer(request).await
}

#[tokio::test]
async fn odd_bodies_are_refused() {
    let scene = Scene::start().await;
    let login = scene.log_in(ALICE).await;
    let json_type = Some("application/json");
    let good = br#"{"identifier":"+447700900001"}"#.to_vec();
    let chats = format!("logins/{login}/chats");
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some(""),
    ] {
        let code = send(&scene, &chats, kind, good.clone()).await.refused(415);
        assert_eq!(code, "M_NOT_JSON", "{kind:?}");
    }
    for broken in ["", "{", "nothing", "{\"identifier\":\"\u{0}\"}"] {
        let asked = send(&scene, &chats, json_type, broken.into()).await;
        assert_eq!(asked.refused(400), "M_NOT_JSON", "{broken:.40}");
    }
    let code = send(
        &scene,
        &chats,
        json_type,
        b"{\"identifier\":\"\xff\xfe\"}".to_vec(),
    )
    .await;
    assert_eq!(code.refused(400), "M_NOT_JSON");
    // However deep it is, it costs no more than its bytes.
    for start in ["{\"identifier\":", "{\"more\":", ""] {
        let deep = format!("{start}{}", "[".repeat(60_000));
        let asked = send(&scene, &chats, json_type, deep.into()).await;
        asked.refused(400);
    }
    let large = format!("{{\"identifier\":\"{}\"}}", "1".repeat(70_000));
    let code = send(&scene, &chats, json_type, large.into()).await;
    assert_eq!(code.refused(413), "M_TOO_LARGE");
    let long = "1".repeat(256);
    for wrong in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "identifier": null }),
        json!({ "identifier": 7 }),
        json!({ "identifier": "" }),
        json!({ "identifier": "a\u{0}b" }),
        json!({ "identifier": long }),
        json!({ "identifier": "+447700900001", "more": 1 }),
    ] {
        let asked = scene.tell(ALICE, "POST", &chats, wrong.clone()).await;
        assert_eq!(asked.refused(400), "M_INVALID_PARAM", "{wrong}");
    }
    let twice = br#"{"identifier":"+447700900001","identifier":"+447700900002"}"#;
    send(&scene, &chats, json_type, twice.to_vec())
        .await
        .refused(400);
    for number in ["1e400", "99999999999999999999", "-1.5", "\"7\"", "true"] {
        let body = format!("{{\"login\":{number},\"identifier\":\"+447700900001\"}}");
        let asked = send(
            &scene,
            "rooms/!r:test.example/links",
            json_type,
            body.into(),
        )
        .await;
        assert_eq!(asked.status, 400, "{number}: {asked:?}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn odd_paths_and_queries_are_refused() {
    let scene = Scene::start().await;
    let login = scene.log_in(ALICE).await;
    let contacts = format!("logins/{login}/contacts");
    let resolve = format!("logins/{login}/resolve");
    let blocked = format!("logins/{login}/blocked");
    let long = "1".repeat(256);
    for (path, status) in [
        ("logins/x/contacts".to_owned(), 400),
        ("logins/%00/contacts".to_owned(), 400),
        ("logins/%ff/contacts".to_owned(), 400),
        ("logins/99999999999999999999/contacts".to_owned(), 400),
        ("logins/-1/contacts".to_owned(), 404),
        ("logins/0/contacts".to_owned(), 404),
        ("logins/9223372036854775807/contacts".to_owned(), 404),
        (format!("{contacts}?search=%00"), 400),
        (format!("{contacts}?search=%ff"), 200),
        (format!("{contacts}?search={long}"), 400),
        (format!("{contacts}?search=a&search=b"), 400),
        (format!("{contacts}?search="), 200),
        (format!("{contacts}?limit=1&limit=2"), 400),
        (format!("{contacts}?limit=1.0"), 400),
        (format!("{contacts}?%00=%00&&&=&a"), 200),
        (resolve.clone(), 400),
        (format!("{resolve}?identifier="), 400),
        (format!("{resolve}?identifier=%00"), 400),
        (format!("{resolve}?identifier=%ff"), 404),
        (format!("{resolve}?identifier={long}"), 400),
        ("rooms/x".to_owned(), 400),
        ("rooms/!".to_owned(), 400),
        ("rooms/!%00:test.example".to_owned(), 400),
        ("rooms/!%c3%a4:test.example".to_owned(), 400),
        ("rooms/%ff".to_owned(), 400),
        (format!("rooms/!{long}"), 400),
        ("rooms/!r:test.example".to_owned(), 404),
        ("rooms/%21r%2Fs:test.example".to_owned(), 404),
    ] {
        let asked = scene.ask(ALICE, "GET", &path).await;
        assert_eq!(asked.status, status, "{path}: {asked:?}");
        assert!(status == 200 || asked.body["errcode"].is_string(), "{path}");
    }
    for (rest, status) in [("%00", 400), ("%ff", 400), ("x%2Fy", 404), (&*long, 400)] {
        for method in ["PUT", "DELETE"] {
            let path = format!("{blocked}/{rest}");
            scene.ask(ALICE, method, &path).await.refused(status);
        }
    }
    let chat = "rooms/!r:test.example/links/%00";
    scene.ask(ALICE, "DELETE", chat).await.refused(400);
    scene.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named_as_such() {
    let scene = Scene::start().await;
    for (method, path, status) in [
        ("GET", "/_drawbridge/v1/nothing", 404),
        ("GET", "/_drawbridge/v2/whoami", 404),
        ("GET", "/_drawbridge", 404),
        ("GET", "/", 404),
        ("POST", "/_matrix/app/v1/ping", 404),
        ("POST", "/_drawbridge/v1/whoami", 405),
        ("DELETE", "/_drawbridge/v1/logins", 405),
        ("PATCH", "/_drawbridge/v1/rooms/!r:test.example/relay", 405),
        ("TRACE", "/_drawbridge/v1/whoami", 405),
    ] {
        let request = scene.bare(method, path).query(&[("user_id", ALICE)]);
        let response = request.bearer_auth(SECRET).send().await.expect("an answer");
        assert_eq!(response.status(), status, "{method} {path}");
        if status == 405 {
            assert!(response.headers().contains_key("allow"), "{method} {path}");
        }
        let body: serde_json::Value = response.json().await.expect("JSON");
        assert_eq!(body["errcode"], "M_UNRECOGNIZED", "{method} {path}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn without_the_gatekeeper_a_refusal_says_so() {
    let scene = Scene::start().await;
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    scene
        .until(ALICE, "logins", |logins| {
            logins[0]["connection"]["state"] == "connected"
        })
        .await;
    let (_, address) = scene.sandbox.partner_logins()[0].clone();
    scene
        .sandbox
        .faults()
        .inject(Fault::RefuseLogin(503), None, 1000);
    scene.sandbox.cut(&address);
    let logins = scene
        .until(ALICE, "logins", |logins| {
            logins[0]["connection"]["state"] == "waiting"
        })
        .await;
    let connection = &logins[0]["connection"];
    assert!(
        connection["reason"].is_string() && connection["next_try"].is_i64(),
        "{logins}"
    );
    let wanted = json!({ "identifier": lena.phone() });
    let path = format!("logins/{login}/chats");
    let code = scene.tell(ALICE, "POST", &path, wanted).await.refused(502);
    assert_eq!(code, "EU.DRAWBRIDGE.UNREACHABLE");
    scene.stop().await;
}
