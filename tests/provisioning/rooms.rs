//! Chats opened, groups made, rooms linked and let go, and a login that speaks for others.

use serde_json::{Value, json};

use super::scene::{ADMIN, ALICE, BOB, BOT, DEADLINE, EVE, Engine, Scene};

/// Waits until the contact has got a text.
async fn got(contact: &drawbridge::sandbox::ContactHandle, text: &str) {
    let end = std::time::Instant::now() + DEADLINE;
    while !contact.received().iter().any(|one| one.text.contains(text)) {
        assert!(std::time::Instant::now() < end, "{text:?} did not arrive");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A room of somebody's with the bot in it, and these powers besides.
fn room_with_bot(scene: &Scene, creator: &str, members: &[&str]) -> String {
    let room = scene.homeserver.create_room(creator, members, false);
    scene.homeserver.set_member(&room, creator, BOT, "invite");
    for member in members.iter().chain(&[BOT]) {
        scene.homeserver.set_member(&room, member, member, "join");
    }
    let levels = json!({ "users": { creator: 100, BOT: 50 }, "invite": 50 });
    scene
        .homeserver
        .set_state(&room, creator, "m.room.power_levels", "", levels);
    room
}

pub(crate) async fn a_chat_is_opened_once_and_carries_messages(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    let path = format!("logins/{login}/chats");
    let wanted = json!({ "identifier": lena.phone() });
    let room = scene
        .tell(ALICE, "POST", &path, wanted.clone())
        .await
        .expect(200);
    let id = room["room_id"].as_str().expect("a room").to_owned();
    let chat = lena.jid().to_string();
    assert_eq!(
        room["links"],
        json!([{ "gatekeeper": "whatsapp", "chat": chat, "linked": false, "relay": null }])
    );
    let again = scene.tell(ALICE, "POST", &path, wanted).await.expect(200);
    assert_eq!(again["room_id"], id);

    scene.homeserver.join(&id, ALICE);
    scene.homeserver.send_text(&id, ALICE, "by the API");
    got(&lena, "by the API").await;

    let path = format!("rooms/{id}");
    let shown = scene.ask(ALICE, "GET", &path).await.expect(200);
    assert_eq!(shown, room);
    scene
        .ask(ALICE, "POST", &format!("{path}/sync"))
        .await
        .expect(200);
    // To others it is no room at all; who looks after the bridge sees it.
    for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/sync"))] {
        let code = scene.ask(BOB, method, &path).await.refused(404);
        assert_eq!(code, "M_NOT_FOUND");
        scene.ask(ADMIN, method, &path).await.expect(200);
    }
    let links = format!("{path}/links/{chat}");
    assert_eq!(
        scene.ask(BOB, "DELETE", &links).await.refused(404),
        "M_NOT_FOUND"
    );
    scene.ask(ALICE, "DELETE", &links).await.expect(204);
    assert_eq!(
        scene.ask(ALICE, "GET", &path).await.refused(404),
        "M_NOT_FOUND"
    );
    scene.stop().await;
}

pub(crate) async fn nobody_and_nothing_is_no_chat(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let path = format!("logins/{login}/chats");
    for identifier in ["+447700999999", "lena", " ", "100@elsewhere"] {
        let wanted = json!({ "identifier": identifier });
        let code = scene.tell(ALICE, "POST", &path, wanted).await.refused(404);
        assert_eq!(code, "M_NOT_FOUND", "{identifier:?}");
    }
    let group = json!({ "identifier": "12345-678@g.us" });
    let asked = scene.tell(ALICE, "POST", &path, group).await;
    assert!(matches!(asked.status, 404 | 409), "{asked:?}");
    scene.stop().await;
}

pub(crate) async fn a_group_is_made_with_its_room(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let (lena, max) = (scene.contact("Lena").await, scene.contact("Max").await);
    let path = format!("logins/{login}/groups");
    let members = json!([lena.phone(), max.jid().to_string()]);
    let wanted = json!({ "subject": "Hike", "members": members });
    let room = scene.tell(ALICE, "POST", &path, wanted).await.expect(200);
    let chat = room["links"][0]["chat"].as_str().expect("a group");
    assert!(chat.ends_with("@g.us"), "{room}");
    let group = lena.group(chat).expect("Lena is in it");
    assert_eq!(group.subject, "Hike");
    assert!(max.group(chat).is_some());

    for (members, status) in [
        (json!([]), 409),
        (json!(["lena"]), 404),
        (json!([""]), 400),
        (json!(vec!["+447700900001"; 257]), 400),
        (json!("+447700900001"), 400),
    ] {
        let wanted = json!({ "subject": "Hike", "members": members });
        scene
            .tell(ALICE, "POST", &path, wanted)
            .await
            .refused(status);
    }
    for (subject, status) in [
        ("", 400),
        ("a\nb", 400),
        ("  ", 409),
        (&*"x".repeat(101), 400),
    ] {
        let wanted = json!({ "subject": subject, "members": [lena.phone()] });
        scene
            .tell(ALICE, "POST", &path, wanted)
            .await
            .refused(status);
    }
    scene.stop().await;
}

pub(crate) async fn a_room_is_linked_by_who_has_the_power_and_let_go(engine: Engine) {
    let scene = Scene::on(engine).await;
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    let wanted = json!({ "login": login, "identifier": lena.phone() });
    let bobs = room_with_bot(&scene, BOB, &[ALICE]);
    let refused = scene
        .tell(
            ALICE,
            "POST",
            &format!("rooms/{bobs}/links"),
            wanted.clone(),
        )
        .await
        .expect(403);
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains(BOB)),
        "{refused}"
    );
    // The login is not Bob's, whose room it is.
    let code = scene
        .tell(BOB, "POST", &format!("rooms/{bobs}/links"), wanted.clone())
        .await
        .refused(404);
    assert_eq!(code, "M_NOT_FOUND");
    let nowhere = "rooms/!nowhere:test.example/links";
    scene
        .tell(ALICE, "POST", nowhere, wanted.clone())
        .await
        .refused(409);

    let room = room_with_bot(&scene, ALICE, &[]);
    let links = format!("rooms/{room}/links");
    let linked = scene
        .tell(ALICE, "POST", &links, wanted.clone())
        .await
        .expect(200);
    assert_eq!(linked["room_id"], room);
    assert_eq!(linked["links"][0]["linked"], true);
    scene.tell(ALICE, "POST", &links, wanted).await.refused(409);
    scene
        .homeserver
        .send_text(&room, ALICE, "from a linked room");
    got(&lena, "from a linked room").await;
    let one = format!("{links}/{}", lena.jid());
    scene.ask(ALICE, "DELETE", &one).await.expect(204);
    scene.ask(ALICE, "DELETE", &one).await.refused(404);
    scene.stop().await;
}

pub(crate) async fn a_login_speaks_for_others_when_it_is_told_to(engine: Engine) {
    let scene = Scene::on(engine).await;
    let (login, bobs) = (scene.log_in(ALICE).await, scene.log_in(BOB).await);
    let lena = scene.contact("Lena").await;
    let room = room_with_bot(&scene, ALICE, &[EVE]);
    let relay = format!("rooms/{room}/relay");
    let speak = json!({ "login": login });
    // There is nothing to speak in yet.
    scene
        .tell(ALICE, "PUT", &relay, speak.clone())
        .await
        .refused(404);
    let wanted = json!({ "login": login, "identifier": lena.phone() });
    scene
        .tell(ALICE, "POST", &format!("rooms/{room}/links"), wanted)
        .await
        .expect(200);
    // Neither by a stranger to the room, nor with the login of another.
    for (user, login) in [(BOB, bobs), (BOB, login), (ALICE, bobs)] {
        let speak = json!({ "login": login });
        scene.tell(user, "PUT", &relay, speak).await.refused(404);
    }
    scene.tell(ALICE, "PUT", &relay, speak).await.expect(204);
    let shown = scene.ask(ALICE, "GET", &format!("rooms/{room}")).await;
    let shown: Value = shown.expect(200);
    assert_eq!(shown["links"][0]["relay"], login);
    scene.ask(BOB, "DELETE", &relay).await.refused(404);
    scene.ask(ALICE, "DELETE", &relay).await.expect(204);
    let shown = scene.ask(ALICE, "GET", &format!("rooms/{room}")).await;
    assert_eq!(shown.expect(200)["links"][0]["relay"], Value::Null);
    scene.stop().await;
}
