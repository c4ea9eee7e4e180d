//! Finding people, blocking them, and asking them to be reachable.

use serde_json::{Value, json};

use super::scene::{ALICE, DEADLINE, Engine, Scene};

/// Who has not switched messages of other apps on, and does when asked.
const WILLING: &str = "+447700900007";

fn names(contacts: &Value) -> Vec<&str> {
    let all = contacts.as_array().expect("contacts").iter();
    all.map(|contact| contact["name"].as_str().expect("a name"))
        .collect()
}

pub(crate) async fn people_are_found_and_listed(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    let max = scene.contact("Max").await;
    let contacts = format!("logins/{login}/contacts");
    let nobody = scene.ask(ALICE, "GET", &contacts).await.expect(200);
    assert_eq!(nobody, json!([]));

    let resolve = format!("logins/{login}/resolve");
    let phone = lena.phone();
    let found = scene
        .request(ALICE, "GET", &resolve)
        .query(&[("identifier", &phone)]);
    let found = super::scene::answer(found).await.expect(200);
    assert_eq!(found["user"], lena.jid().to_string());
    assert_eq!(found["room_id"], Value::Null);
    let mxid = found["mxid"].as_str().expect("a ghost");
    assert!(mxid.starts_with("@_drawbridge_whatsapp_"), "{mxid}");
    for nobody in ["+447700999999", "lena", "0151 5550001", "lena@elsewhere"] {
        let asked = scene
            .request(ALICE, "GET", &resolve)
            .query(&[("identifier", nobody)]);
        let code = super::scene::answer(asked).await.refused(404);
        assert_eq!(code, "M_NOT_FOUND", "{nobody}");
    }

    for contact in [&lena, &max] {
        let chat = json!({ "identifier": contact.phone() });
        let path = format!("logins/{login}/chats");
        scene.tell(ALICE, "POST", &path, chat).await.expect(200);
    }
    let all = scene
        .until(ALICE, &contacts, |all| names(all).len() == 2)
        .await;
    assert!(all.to_string().contains(&lena.jid().to_string()), "{all}");
    let one = scene
        .ask(ALICE, "GET", &format!("{contacts}?limit=1"))
        .await
        .expect(200);
    assert_eq!(names(&one).len(), 1);
    let number = lena.jid().to_string();
    let by_number = scene
        .request(ALICE, "GET", &contacts)
        .query(&[("search", number.split('@').next().expect("a number"))]);
    let by_number = super::scene::answer(by_number).await.expect(200);
    assert_eq!(by_number[0]["user"], number);
    assert_eq!(names(&by_number).len(), 1);
    for limit in ["0", "501", "-1", "99999999999999999999", "ten", ""] {
        let path = format!("{contacts}?limit={limit}");
        let code = scene.ask(ALICE, "GET", &path).await.refused(400);
        assert_eq!(code, "M_INVALID_PARAM", "{limit}");
    }
    scene.stop().await;
}

pub(crate) async fn somebody_is_blocked_and_let_back(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    let (list, one) = (
        format!("logins/{login}/blocked"),
        format!("logins/{login}/blocked/{}", lena.jid()),
    );
    scene.ask(ALICE, "PUT", &one).await.expect(204);
    let blocked = scene.ask(ALICE, "GET", &list).await.expect(200);
    assert_eq!(blocked, json!([lena.jid().to_string()]));
    scene.ask(ALICE, "DELETE", &one).await.expect(204);
    let blocked = scene.ask(ALICE, "GET", &list).await.expect(200);
    assert_eq!(blocked, json!([]));
    let nobody = format!("logins/{login}/blocked/lena");
    assert_eq!(
        scene.ask(ALICE, "PUT", &nobody).await.refused(404),
        "M_NOT_FOUND"
    );
    scene.stop().await;
}

pub(crate) async fn who_takes_no_messages_of_other_apps_is_asked_to(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let whom = json!({ "identifier": WILLING });
    let chats = format!("logins/{login}/chats");
    let refused = scene.tell(ALICE, "POST", &chats, whom.clone()).await;
    let refused = refused.expect(409);
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("/reachability")),
        "{refused}"
    );
    let path = format!("logins/{login}/reachability");
    let asked = scene
        .tell(ALICE, "POST", &path, whom.clone())
        .await
        .expect(200);
    assert_eq!(asked["user"], "447700900007@s.whatsapp.net");
    let answers = ["asked", "accepted"];
    assert!(answers.iter().any(|one| asked["answer"] == *one), "{asked}");
    let end = std::time::Instant::now() + DEADLINE;
    loop {
        let opened = scene.tell(ALICE, "POST", &chats, whom.clone()).await;
        if opened.status == 200 {
            break;
        }
        assert!(std::time::Instant::now() < end, "{opened:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    scene.stop().await;
}
