//! Who is let in: nobody without the secret or a user's `OpenID` token, at whichever door.

use drawbridge::provisioning;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::scene::{
    ADMIN, ALICE, Answer, BOB, BOT, EVE, HS_TOKEN, SECRET, Scene, answer, free_address,
};

/// Every method of every path of the description, and some it does not have.
pub(crate) fn everything() -> Vec<(String, String)> {
    let description = serde_json::to_value(provisioning::description()).expect("JSON");
    let mut all = Vec::new();
    for path in description["paths"].as_object().expect("paths").keys() {
        let path = path
            .replace("{login}", "7")
            .replace("{user}", "+447700900001")
            .replace("{room_id}", "!r:test.example")
            .replace("{chat}", "447700900001@s.whatsapp.net");
        for method in [
            "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE",
        ] {
            all.push((method.to_owned(), path.clone()));
        }
    }
    for path in [
        "/_drawbridge",
        "/_drawbridge/",
        "/_drawbridge/v1",
        "/_drawbridge/v1/",
        "/_drawbridge/v1/nothing",
        "/_drawbridge/v2/whoami",
        "/_drawbridge/v1/whoami/",
        "/_drawbridge/v1/logins/%00",
        "/_drawbridge/v1/rooms/%ff",
    ] {
        all.push(("GET".to_owned(), path.to_owned()));
        all.push(("POST".to_owned(), path.to_owned()));
    }
    all
}

/// Sends a request that must find the door shut.
async fn shut(request: RequestBuilder, what: &str) {
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 401, "{what}");
    assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
    let body: Value = response.json().await.unwrap_or_default();
    // HEAD has no body.
    if !body.is_null() {
        let code = body["errcode"].as_str().unwrap_or_default();
        assert!(code.ends_with("_TOKEN"), "{what}: {body}");
    }
}

async fn every_door_is_shut(scene: &Scene, paths: &[(String, String)]) {
    let longer = format!("{SECRET}x");
    let shorter = &SECRET[..SECRET.len() - 1];
    for (method, path) in paths {
        let what = format!("{method} {path}");
        let bare = || {
            let request = scene.bare(method, path).query(&[("user_id", ALICE)]);
            request
                .body("{}")
                .header("content-type", "application/json")
        };
        shut(bare(), &what).await;
        for wrong in [
            "wrong",
            "",
            HS_TOKEN,
            &longer,
            shorter,
            "openid:",
            "openid:nobody",
        ] {
            shut(bare().bearer_auth(wrong), &format!("{what} {wrong:?}")).await;
        }
        shut(bare().basic_auth("x", Some(SECRET)), &what).await;
        shut(bare().header("authorization", SECRET), &what).await;
        shut(bare().query(&[("access_token", SECRET)]), &what).await;
    }
}

#[tokio::test]
async fn no_path_answers_without_a_caller() {
    let scene = Scene::start().await;
    let mut paths = everything();
    // On its own listener this is so for everything else too.
    for path in ["/", "/metrics", "/_matrix/app/v1/ping", "/openapi.json"] {
        paths.push(("GET".to_owned(), path.to_owned()));
    }
    every_door_is_shut(&scene, &paths).await;
    scene.stop().await;
}

#[tokio::test]
async fn beside_the_homeservers_endpoints_the_doors_are_apart() {
    let scene = Scene::with(json!({ "enabled": true, "secret": SECRET })).await;
    assert_eq!(scene.api, scene.appservice);
    every_door_is_shut(&scene, &everything()).await;
    scene.ask(ALICE, "GET", "whoami").await.expect(200);
    // The secret opens nothing of the homeserver's.
    for path in ["/_matrix/app/v1/ping", "/", "/_drawbridgex/v1/whoami"] {
        let asked = answer(scene.bare("POST", path).bearer_auth(SECRET)).await;
        assert_eq!(asked.refused(403), "M_FORBIDDEN", "{path}");
    }
    let ping = scene.bare("POST", "/_matrix/app/v1/ping");
    let ping = answer(ping.bearer_auth(HS_TOKEN).json(&json!({}))).await;
    ping.expect(200);
    scene.stop().await;
}

#[tokio::test]
async fn on_its_own_listener_it_is_there_alone() {
    let scene = Scene::start().await;
    scene.ask(ALICE, "GET", "whoami").await.expect(200);
    let url = format!("{}/_drawbridge/v1/whoami?user_id={ALICE}", scene.appservice);
    let with = |token: &str| scene.http.get(&url).bearer_auth(token);
    assert_eq!(answer(with(SECRET)).await.refused(403), "M_FORBIDDEN");
    assert_eq!(answer(with(HS_TOKEN)).await.refused(404), "M_UNRECOGNIZED");
    scene.stop().await;
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on() {
    let scene = Scene::with(json!({ "secret": SECRET })).await;
    let whoami = || {
        scene
            .bare("GET", "/_drawbridge/v1/whoami")
            .query(&[("user_id", ALICE)])
    };
    let asked = answer(whoami().bearer_auth(SECRET)).await;
    assert_eq!(asked.refused(403), "M_FORBIDDEN");
    let asked = answer(whoami().bearer_auth(HS_TOKEN)).await;
    assert_eq!(asked.refused(404), "M_UNRECOGNIZED");
    scene.stop().await;
}

/// What somebody with an `OpenID` token is told of themselves.
async fn whoami(scene: &Scene, token: &str, user: Option<&str>) -> Answer {
    let request = scene.bare("GET", "/_drawbridge/v1/whoami");
    let request = request.query(
        &user
            .map(|user| ("user_id", user))
            .into_iter()
            .collect::<Vec<_>>(),
    );
    answer(request.bearer_auth(format!("openid:{token}"))).await
}

#[tokio::test]
async fn the_holder_of_an_openid_token_acts_for_themselves_alone() {
    let scene = Scene::start().await;
    for (token, holder) in [
        ("alices", ALICE),
        ("admins", ADMIN),
        ("eves", EVE),
        ("strangers", "@alice:elsewhere.example"),
        ("longer", "@alice:test.example.evil"),
        ("nonsense", "alice"),
    ] {
        let (token, holder) = (token.to_owned(), holder.to_owned());
        scene.homeserver.world().openid.insert(token, holder);
    }
    let me = whoami(&scene, "alices", None).await.expect(200);
    assert_eq!(me["user_id"], ALICE);
    let me = whoami(&scene, "alices", Some(ALICE)).await.expect(200);
    assert_eq!(me["user_id"], ALICE);
    // Not even an admin speaks for somebody else with it.
    for (token, other) in [("alices", BOB), ("admins", ALICE), ("admins", BOT)] {
        let asked = whoami(&scene, token, Some(other)).await;
        assert_eq!(asked.refused(403), "M_FORBIDDEN", "{token} {other}");
    }
    assert_eq!(
        whoami(&scene, "eves", None).await.refused(403),
        "M_FORBIDDEN"
    );
    // The homeserver speaks for its own users and for nobody else's.
    for token in [
        "strangers",
        "longer",
        "nonsense",
        "unknown",
        &"x".repeat(2000),
    ] {
        let asked = whoami(&scene, token, None).await;
        assert_eq!(asked.refused(401), "M_UNKNOWN_TOKEN", "{token}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn whose_a_token_is_is_asked_once() {
    let scene = Scene::start().await;
    let alice = ("alices".to_owned(), ALICE.to_owned());
    scene.homeserver.world().openid.extend([alice]);
    whoami(&scene, "alices", None).await.expect(200);
    scene.homeserver.world().openid.clear();
    whoami(&scene, "alices", None).await.expect(200);
    // Without the homeserver nothing is known of another one.
    scene.homeserver.stop();
    let asked = whoami(&scene, "bobs", None).await;
    assert!(matches!(asked.status, 401 | 502), "{asked:?}");
}

#[tokio::test]
async fn openid_tokens_can_be_refused() {
    let listen = free_address().to_string();
    let settings = json!({ "enabled": true, "listen": listen, "secret": SECRET, "openid": false });
    let scene = Scene::with(settings).await;
    let alice = ("alices".to_owned(), ALICE.to_owned());
    scene.homeserver.world().openid.extend([alice]);
    let asked = whoami(&scene, "alices", None).await;
    assert_eq!(asked.refused(401), "M_UNKNOWN_TOKEN");
    scene.ask(ALICE, "GET", "whoami").await.expect(200);
    scene.stop().await;
}

#[tokio::test]
async fn a_program_acts_for_those_who_may_use_the_bridge() {
    let scene = Scene::start().await;
    let ghost = "@_drawbridge_whatsapp_4477=40s.whatsapp.net:test.example";
    for nobody in [EVE, "@alice:elsewhere.example", BOT, ghost] {
        let code = scene.ask(nobody, "GET", "whoami").await.refused(403);
        assert_eq!(code, "M_FORBIDDEN", "{nobody}");
    }
    let path = "/_drawbridge/v1/whoami";
    let nameless = answer(scene.bare("GET", path).bearer_auth(SECRET)).await;
    assert_eq!(nameless.refused(400), "M_MISSING_PARAM");
    let both = scene.bare("GET", path).bearer_auth(SECRET);
    let both = both.query(&[("user_id", ALICE), ("user_id", BOB)]);
    assert_eq!(answer(both).await.refused(400), "M_INVALID_PARAM");
    for odd in [
        "",
        "alice",
        "@alice",
        "@:test.example",
        "@al\0ice:test.example",
        "@älice:test.example",
    ] {
        let code = scene.ask(odd, "GET", "whoami").await.refused(400);
        assert_eq!(code, "M_INVALID_PARAM", "{odd:?}");
    }
    scene.stop().await;
}
