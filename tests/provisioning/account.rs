//! Who somebody is, logging in and out.

use std::time::{Duration, Instant};

use serde_json::json;

use super::scene::{ADMIN, ALICE, BOB, BOT, DEADLINE, Engine, Scene};

pub(crate) async fn a_user_logs_in_is_connected_and_logs_out(engine: Engine) {
    let scene = Scene::on(engine).await;
    let me = scene.ask(ALICE, "GET", "whoami").await.expect(200);
    assert_eq!(
        me,
        json!({
            "user_id": ALICE, "admin": false, "bot": BOT, "management_room": null, "logins": [],
        })
    );
    let flows = scene.ask(ALICE, "GET", "login_flows").await.expect(200);
    assert_eq!(flows[0]["gatekeeper"], "whatsapp");
    assert_eq!(flows[0]["gatekeeper_name"], "WhatsApp");
    assert_eq!(flows[0]["identifier"], ALICE);
    assert_eq!(flows[0]["terms"]["accepted"], false);
    let text = flows[0]["terms"]["text"].as_str().expect("words");
    assert!(text.contains("European Economic Area"), "{text}");

    // Nobody is logged in who has not accepted these terms.
    for terms in [json!(null), json!("0123456789abcdef")] {
        let wanted = json!({ "gatekeeper": "whatsapp", "accepted_terms": terms });
        let code = scene.tell(ALICE, "POST", "logins", wanted).await;
        assert_eq!(code.refused(409), "EU.DRAWBRIDGE.CONFLICT");
    }
    assert_eq!(scene.sandbox.partner_logins().len(), 0);

    let login = scene.log_in(ALICE).await;
    let path = format!("logins/{login}");
    assert_eq!(scene.sandbox.partner_logins().len(), 1);
    // The same again is the same login, and the terms are not asked for twice.
    let again = json!({ "gatekeeper": "whatsapp" });
    let again = scene.tell(ALICE, "POST", "logins", again).await.expect(200);
    assert_eq!(again["login"], login);
    let flows = scene.ask(ALICE, "GET", "login_flows").await.expect(200);
    assert_eq!(flows[0]["terms"]["accepted"], true);

    let logins = scene
        .until(ALICE, "logins", |logins| {
            logins[0]["connection"]["state"] == "connected"
        })
        .await;
    assert_eq!(logins[0]["login"], login);
    assert_eq!(logins[0]["state"], "active");
    assert_eq!(logins[0]["identifier"], ALICE);
    assert!(
        logins[0]["connection"]["since"].as_i64() > Some(0),
        "{logins}"
    );
    assert_eq!(logins[0]["connection"]["reason"], json!(null));
    let me = scene.ask(ALICE, "GET", "whoami").await.expect(200);
    assert_eq!(me["logins"][0]["login"], login);

    scene.ask(ALICE, "DELETE", &path).await.expect(204);
    assert_eq!(scene.sandbox.partner_logins().len(), 0);
    let code = scene.ask(ALICE, "DELETE", &path).await.refused(404);
    assert_eq!(code, "M_NOT_FOUND");
    let logins = scene.ask(ALICE, "GET", "logins").await.expect(200);
    assert_eq!(logins, json!([]));
    scene.stop().await;
}

pub(crate) async fn a_login_that_was_forgotten_is_brought_back(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let (_, address) = scene.sandbox.partner_logins()[0].clone();
    scene
        .sandbox
        .unenlist(&address)
        .await
        .expect("it can be forgotten");
    let path = format!("logins/{login}/reconnect");
    let end = Instant::now() + DEADLINE;
    while scene.sandbox.partner_logins().is_empty() {
        assert!(Instant::now() < end, "it stays forgotten");
        let back = scene.ask(ALICE, "POST", &path).await;
        assert!(matches!(back.status, 200 | 502), "{back:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let logins = scene
        .until(ALICE, "logins", |logins| {
            logins[0]["state"] == "active" && logins[0]["connection"]["state"] == "connected"
        })
        .await;
    assert_eq!(logins[0]["login"], login);
    scene.stop().await;
}

pub(crate) async fn a_gatekeeper_that_is_not_there_is_not_found(engine: Engine) {
    let scene = Scene::on(engine).await;
    for gatekeeper in ["telegram", "Whats App", "ümlaut"] {
        let wanted = json!({ "gatekeeper": gatekeeper });
        let code = scene.tell(ALICE, "POST", "logins", wanted).await;
        assert_eq!(code.refused(404), "M_NOT_FOUND", "{gatekeeper}");
    }
    scene.stop().await;
}

pub(crate) async fn nobody_uses_the_login_of_another(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let one = json!({ "identifier": "+447700900001" });
    let group = json!({ "subject": "Hike", "members": ["+447700900001"] });
    for (method, rest, body) in [
        ("DELETE", "", None),
        ("POST", "/reconnect", None),
        ("GET", "/contacts", None),
        ("GET", "/resolve?identifier=%2B447700900001", None),
        ("GET", "/blocked", None),
        ("PUT", "/blocked/%2B447700900001", None),
        ("DELETE", "/blocked/%2B447700900001", None),
        ("POST", "/reachability", Some(&one)),
        ("POST", "/chats", Some(&one)),
        ("POST", "/groups", Some(&group)),
    ] {
        // An admin looks after the bridge; for others' logins there is `sudo`, which is a command.
        for user in [BOB, ADMIN] {
            let path = format!("logins/{login}{rest}");
            let asked = match body {
                Some(body) => scene.tell(user, method, &path, body.clone()).await,
                None => scene.ask(user, method, &path).await,
            };
            assert_eq!(asked.refused(404), "M_NOT_FOUND", "{method} {path}");
        }
    }
    let logins = scene.ask(ALICE, "GET", "logins").await.expect(200);
    assert_eq!(logins[0]["state"], "active");
    scene.stop().await;
}

pub(crate) async fn how_the_bridge_is_is_told_to_admins_alone(engine: Engine) {
    let scene = Scene::on(engine).await;
    scene.log_in(ALICE).await;
    let code = scene.ask(ALICE, "GET", "status").await.refused(403);
    assert_eq!(code, "M_FORBIDDEN");
    let status = scene
        .until(ADMIN, "status", |status| {
            status["connections"]["connected"] == 1
        })
        .await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["stanzas_waiting"], 0);
    let me = scene.ask(ADMIN, "GET", "whoami").await.expect(200);
    assert_eq!(me["admin"], true);
    scene.stop().await;
}
