//! The clients that encrypt, without the bridge: what they tell of each other is true, so that a test of encrypted rooms that
//! fails means the bridge.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    client::User,
    encrypting::{Attachment, EncryptingClient, Library, Shown, Told},
    homeserver::{Homeserver, free_port},
    pictures::{jpeg, png},
};

const PASSWORD: &str = "correct horse";

/// A user of each library in a room.
struct Pair {
    nio: EncryptingClient,
    js: EncryptingClient,
    room: String,
    homeserver: Homeserver,
    folder: TempDir,
}

impl Pair {
    /// The users and a direct chat which one of them made.
    async fn meet(encrypted: bool, maker: Library) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let synapse = folder.path().join("synapse");
        let homeserver =
            Homeserver::start(&synapse, free_port(), &[], "12", false, None, &Value::Null).await;
        for name in ["nia", "jess"] {
            User::register(&homeserver.url(), name).await;
        }
        let base = homeserver.url();
        let at = |name: &str| folder.path().join(name);
        let mut nio =
            EncryptingClient::login(Library::Nio, &at("nio"), &base, "nia", PASSWORD).await;
        let mut js = EncryptingClient::login(Library::Js, &at("js"), &base, "jess", PASSWORD).await;
        let (first, second) = match maker {
            Library::Nio => (&mut nio, &mut js),
            Library::Js => (&mut js, &mut nio),
        };
        let room = first.direct_chat(&second.mxid, encrypted).await;
        assert_eq!(second.invited_by(&first.mxid).await, room);
        second.join(&room).await;
        let both = [json!(first.mxid), json!(second.mxid)];
        for client in [&mut *first, &mut *second] {
            let answer = client.demand("members", json!({"room": room})).await;
            let members = answer["members"].as_array().expect("a list");
            assert!(both.iter().all(|user| members.contains(user)));
        }
        // Who sends first must know whom to give the key.
        first
            .shown("the other to join", &room, |shown| {
                shown.kind == "m.room.member"
                    && shown.state_key.as_ref() == Some(&second.mxid)
                    && shown.content["membership"] == "join"
            })
            .await;
        Self {
            nio,
            js,
            room,
            homeserver,
            folder,
        }
    }

    /// One more device of a user.
    async fn device(&self, library: Library, name: &str) -> EncryptingClient {
        let at = self.folder.path().join(format!("{name} {library:?}"));
        EncryptingClient::login(library, &at, &self.homeserver.url(), name, PASSWORD).await
    }
}

/// One of each kind of thing goes from one to the other, who sees it as it was sent.
async fn converse(from: &mut EncryptingClient, to: &mut EncryptingClient, room: &str) {
    let me = from.mxid.clone();
    let said = from.say(room, "gooseberry").await;
    let heard = to.hear(room, &me, "gooseberry").await;
    assert_eq!((&heard.event_id, heard.encrypted), (&said, true));
    assert_eq!(heard.error, None);
    // Nobody has verified anybody, and each library has its own words for that.
    let warning = match to.library {
        Library::Nio => "grey: unverified device",
        Library::Js => "red: unsigned device",
    };
    assert_eq!(heard.verified.as_deref(), Some(warning));

    from.edit(room, &said, "blackcurrant").await;
    let edit = to.hear(room, &me, "* blackcurrant").await;
    assert_eq!(edit.content["m.new_content"]["body"], "blackcurrant");
    assert_eq!(edit.content["m.relates_to"]["event_id"], json!(said));

    from.reply(room, &said, "indeed").await;
    let reply = to.hear(room, &me, "indeed").await;
    let replied = &reply.content["m.relates_to"]["m.in_reply_to"]["event_id"];
    assert_eq!(*replied, json!(said));

    let reaction = from.react(room, &said, "🫐").await;
    let seen = |what: &'static str, id: String| {
        let to = &*to;
        async move { to.shown(what, room, |shown| shown.event_id == id).await }
    };
    let reaction = seen("a reaction", reaction).await;
    assert_eq!(reaction.content["m.relates_to"]["key"], "🫐");

    from.redact(room, &said).await;
    let redacts = |shown: &Shown| shown.redacts.as_ref() == Some(&said);
    to.shown("a redaction", room, redacts).await;

    from.demand("read", json!({"room": room, "event": edit.event_id}))
        .await;
    to.told("a receipt", |told| match told {
        Told::Receipt {
            room: place,
            sender,
            event_id,
        } => (place == room && *sender == me && *event_id == edit.event_id).then_some(()),
        _ => None,
    })
    .await;
    from.demand("typing", json!({"room": room, "typing": true}))
        .await;
    to.told("who is writing", |told| match told {
        Told::Typing { room: place, users } => (place == room && users.contains(&me)).then_some(()),
        _ => None,
    })
    .await;
}

/// A picture and its thumbnail go from one to the other and are what they were.
async fn send_picture(from: &mut EncryptingClient, to: &mut EncryptingClient, room: &str) {
    let (picture, thumbnail) = (png(64, 48), jpeg(16, 12));
    let file = Attachment {
        kind: "image",
        mime_type: "image/png",
        name: "orchard.png",
        bytes: &picture,
        thumbnail: Some(&thumbnail),
        info: json!({"w": 64, "h": 48}),
    };
    let sent = from.send_file(room, &file).await;
    let heard = to.hear(room, &from.mxid, "orchard.png").await;
    assert_eq!((&heard.event_id, heard.encrypted), (&sent, true));
    assert_eq!(heard.content["info"]["w"], 64);
    let (whole, small) = (
        to.download(room, &sent, false, true).await,
        to.download(room, &sent, true, true).await,
    );
    assert!(whole == picture && small == thumbnail, "not as sent");
    // What the homeserver keeps is not the picture.
    let uri = heard.content["file"]["url"].as_str().expect("a place");
    assert!(uri.starts_with("mxc://"), "{uri}");
}

#[tokio::test]
async fn clients_of_two_libraries_converse_in_an_encrypted_room() {
    let mut pair = Pair::meet(true, Library::Nio).await;
    let Pair { nio, js, room, .. } = &mut pair;
    converse(nio, js, room).await;
    converse(js, nio, room).await;
    send_picture(nio, js, room).await;
    send_picture(js, nio, room).await;
    for client in [nio, js] {
        let events = client.timeline(room).await;
        assert!(events.iter().all(|shown| shown.error.is_none()));
        let pictures = events.iter().filter(|shown| shown.body() == "orchard.png");
        assert_eq!(pictures.filter(|shown| shown.encrypted).count(), 2);
    }
}

#[tokio::test]
async fn a_plain_room_is_told_from_one_that_is_switched_to_encryption() {
    let mut pair = Pair::meet(false, Library::Js).await;
    let Pair { nio, js, room, .. } = &mut pair;
    nio.say(room, "in the open").await;
    assert!(!js.hear(room, &nio.mxid, "in the open").await.encrypted);
    let with = json!({"room": room, "rotate_after": 2});
    js.demand("encrypt", with).await;
    nio.shown("encryption", room, |shown| {
        shown.kind == "m.room.encryption"
    })
    .await;
    let mut sessions = Vec::new();
    for body in ["one", "two", "three"] {
        js.say(room, body).await;
        let heard = nio.hear(room, &js.mxid, body).await;
        assert!(heard.encrypted, "{body}");
        sessions.push(heard.session.expect("an encrypted event has one"));
    }
    assert_eq!(sessions[0], sessions[1]);
    assert_ne!(sessions[1], sessions[2], "the room's rotation is heeded");
    nio.say(room, "closed").await;
    assert!(js.hear(room, &nio.mxid, "closed").await.encrypted);
}

/// A key that was held back makes a message unreadable until it comes; a rotated key is another one; a restart loses none.
async fn keys_come_and_go(from: &mut EncryptingClient, to: &mut EncryptingClient, room: &str) {
    let me = from.mxid.clone();
    from.say(room, "before").await;
    let before = to.hear(room, &me, "before").await;
    from.rotate(room).await;
    from.hold_keys_from(&to.mxid).await;
    let late = from.say(room, "late").await;
    let unread = to.fail_to_read(room, &late).await;
    assert_eq!(unread.kind, "m.room.encrypted");
    assert_ne!(unread.session, before.session);
    assert_eq!(from.release_keys().await, 1);
    assert_eq!(to.hear(room, &me, "late").await.session, unread.session);

    from.restart().await;
    to.restart().await;
    from.say(room, "after").await;
    to.hear(room, &me, "after").await;
    let keys = to.demand("export", json!({})).await;
    assert!(to.forget(room, None).await > 1);
    let failed = |events: Vec<Shown>| events.iter().filter(|e| e.error.is_some()).count();
    assert!(failed(to.timeline(room).await) > 1);
    to.demand("import", keys).await;
    assert_eq!(failed(to.timeline(room).await), 0);
}

#[tokio::test]
async fn keys_are_rotated_held_back_lost_and_brought_back() {
    let mut pair = Pair::meet(true, Library::Js).await;
    let Pair { nio, js, room, .. } = &mut pair;
    keys_come_and_go(nio, js, room).await;
    keys_come_and_go(js, nio, room).await;
}

/// Waits until a client knows a device; keys go only to devices that are known.
async fn learns(client: &mut EncryptingClient, of: &EncryptingClient) {
    let devices = client.devices(&of.mxid).await;
    assert!(
        devices.iter().any(|known| known.id == of.device),
        "{} does not know {}: {devices:?}",
        client.mxid,
        of.device
    );
}

/// One device of a user has lost a key, asks the other one for it, and reads the message again.
async fn asks(one: &mut EncryptingClient, other: &mut EncryptingClient, lost: &Shown) {
    let (room, session) = (&lost.room, lost.session.as_deref());
    assert_eq!(one.forget(room, session).await, 1);
    let timeline = one.timeline(room).await;
    let unread = timeline.iter().find(|e| e.event_id == lost.event_id);
    assert!(unread.expect("it is there").error.is_some());
    one.ask_for_key(room, &lost.event_id).await;
    other
        .told("a request for the key", |told| match told {
            Told::KeyRequest {
                room: place,
                sender,
                session: asked,
            } => (place == room && *sender == one.mxid && Some(asked.as_str()) == session)
                .then_some(()),
            _ => None,
        })
        .await;
    one.told("the key", |told| match told {
        Told::Key {
            room: place,
            sender,
            session: came,
            forwarded: true,
        } => {
            (place == room && *sender == other.mxid && Some(came.as_str()) == session).then_some(())
        }
        _ => None,
    })
    .await;
    let timeline = one.timeline(room).await;
    let read = timeline.iter().find(|e| e.event_id == lost.event_id);
    assert_eq!(read.map(Shown::body), Some(lost.body()));
}

#[tokio::test]
async fn a_new_device_reads_what_comes_and_a_lost_key_is_asked_for() {
    let mut pair = Pair::meet(true, Library::Nio).await;
    let room = pair.room.clone();
    let past = pair.nio.say(&room, "past").await;
    pair.js.hear(&room, &pair.nio.mxid, "past").await;
    let mut second = pair.device(Library::Js, "nia").await;
    let timeline = second.timeline(&room).await;
    let unread = timeline.iter().find(|shown| shown.event_id == past);
    assert!(unread.expect("it is there").error.is_some());

    let Pair { nio, js, .. } = &mut pair;
    learns(nio, &second).await;
    learns(js, &second).await;
    for from in [&mut *nio, &mut *js] {
        let text = format!("to all of {:?}", from.library);
        from.say(&room, &text).await;
        second.hear(&room, &from.mxid, &text).await;
    }

    nio.trust(&second.mxid, &second.device).await;
    second.trust(&nio.mxid, &nio.device).await;
    js.say(&room, "kept by the second").await;
    let lost = nio.hear(&room, &js.mxid, "kept by the second").await;
    second.hear(&room, &js.mxid, "kept by the second").await;
    asks(nio, &mut second, &lost).await;
    js.rotate(&room).await;
    js.say(&room, "kept by the first").await;
    let lost = second.hear(&room, &js.mxid, "kept by the first").await;
    nio.hear(&room, &js.mxid, "kept by the first").await;
    asks(&mut second, nio, &lost).await;

    // Whoever wrote can be asked as well.
    js.rotate(&room).await;
    js.say(&room, "kept by its writer").await;
    let lost = nio.hear(&room, &js.mxid, "kept by its writer").await;
    nio.forget(&room, lost.session.as_deref()).await;
    let with = json!({"room": room, "event": lost.event_id, "of": "sender"});
    nio.demand("ask", with).await;
    nio.told("the writer's key", |told| match told {
        Told::Key {
            sender, forwarded, ..
        } => (*forwarded && *sender == js.mxid).then_some(()),
        _ => None,
    })
    .await;
    let answer = nio
        .ask("bootstrap", json!({"password": PASSWORD}))
        .await
        .expect_err("no cross-signing");
    assert!(answer.contains("does not cross-sign"), "{answer}");
}

#[tokio::test]
async fn signed_devices_are_told_from_unsigned_ones() {
    let mut pair = Pair::meet(true, Library::Js).await;
    let mut other = pair.device(Library::Js, "nia").await;
    let Pair { nio, js, room, .. } = &mut pair;
    for client in [&mut *js, &mut other] {
        client
            .demand("bootstrap", json!({"password": PASSWORD}))
            .await;
    }
    js.demand("verify", json!({"user": other.mxid})).await;
    let devices = js.devices(&nio.mxid).await;
    let signed = |id: &str| {
        let device = devices.iter().find(|known| known.id == id);
        let device = device.expect("it is known");
        (device.signed_by_owner, device.verified)
    };
    assert_eq!(signed(&other.device), (true, true));
    assert_eq!(signed(&nio.device), (false, false));

    other.say(room, "signed").await;
    let heard = js.hear(room, &nio.mxid, "signed").await;
    assert_eq!(heard.verified.as_deref(), Some("ok"));
    nio.say(room, "unsigned").await;
    let heard = js.hear(room, &nio.mxid, "unsigned").await;
    assert_eq!(heard.verified.as_deref(), Some("red: unsigned device"));

    // A client that heeds signed devices alone hears no others and gives them no keys.
    js.demand("isolate", json!({"on": true})).await;
    let unheard = nio.say(room, "ignored").await;
    let unread = js.fail_to_read(room, &unheard).await;
    assert_eq!(unread.error.as_deref(), Some("UNSIGNED_SENDER_DEVICE"));
    js.rotate(room).await;
    let kept = js.say(room, "among the signed").await;
    other.hear(room, &js.mxid, "among the signed").await;
    nio.fail_to_read(room, &kept).await;
}
