//! Encrypted rooms: a Matrix client that encrypts, and a contact that notices nothing of it.

use std::collections::HashSet;

use drawbridge::domain::Typing;
use serde_json::{Value, json};

use super::{
    chat::Chat,
    client::{PASSWORD, User},
    contact::Contact,
    encrypting::{EncryptingClient, Library, Shown, Told},
    world::{MARKED, Plan, World},
};

/// What is sent as it is, because homeservers have to read it.
const OPEN: [&str; 2] = ["m.reaction", "m.room.redaction"];

/// A world whose new rooms are encrypted.
pub(crate) fn plan() -> Plan {
    Plan {
        config: json!({"encryption": {"default": true}}),
        ..Plan::default()
    }
}

/// A new device of a user, which encrypts.
pub(crate) async fn device(world: &World, user: &User, library: Library) -> EncryptingClient {
    let name = user.mxid.trim_start_matches('@').split(':').next();
    let name = name.expect("a name");
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name} {library:?} "))
        .tempdir_in(world.folder())
        .expect("a folder in the world's")
        .keep();
    EncryptingClient::login(library, &folder, &world.homeserver.url(), name, PASSWORD).await
}

/// Has a contact write until a device can read it, which it can as soon as the bridge knows of the device; what it was.
pub(crate) async fn is_reached(
    client: &EncryptingClient,
    contact: &Contact,
    room: &str,
    ghost: &str,
) -> Shown {
    let mut unread = HashSet::new();
    for n in 0..40 {
        let text = format!("{n} for {}", client.device);
        contact.say(&text).await;
        let shown = client
            .shown(&text, room, |shown| {
                let is_new = shown.encrypted && !unread.contains(&shown.event_id);
                is_new && shown.sender == ghost && (shown.error.is_some() || shown.body() == text)
            })
            .await;
        if shown.error.is_none() {
            return shown;
        }
        unread.insert(shown.event_id);
    }
    panic!("{} is given no keys", client.device);
}

/// Everything said in a room was encrypted, and the homeserver knows nothing of it; a world looks at the log itself.
pub(crate) fn is_closed(events: &[Value]) {
    let mut said = 0;
    for event in events.iter().filter(|event| event["state_key"].is_null()) {
        let kind = event["type"].as_str().expect("a type");
        assert!(
            kind == "m.room.encrypted" || OPEN.contains(&kind),
            "{event}"
        );
        let text = event.to_string();
        assert!(!text.contains(MARKED), "{text}");
        let sender = event["sender"].as_str().expect("a sender");
        let is_ghost = sender.starts_with("@_drawbridge_");
        let is_there = event["content"]["ciphertext"].is_string();
        if kind == "m.room.encrypted" && is_ghost && is_there {
            said += 1;
            let mark = &event["content"]["eu.drawbridge.source"];
            assert!(mark.is_object(), "the bridge knows {event} again");
        }
    }
    assert!(said > 0, "no ghost said anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn things_of_all_kinds_go_both_ways_in_an_encrypted_chat() {
    let world = World::start(plan()).await;
    let chat = Chat::open(&world).await;
    let mut nio = device(&world, &chat.alice, Library::Nio).await;
    let mut js = device(&world, &chat.alice, Library::Js).await;
    for client in [&nio, &js] {
        is_reached(client, &chat.contact, &chat.room, &chat.ghost).await;
    }
    converse(&chat, &mut nio, &js).await;
    converse(&chat, &mut js, &nio).await;
    show_signals(&chat, &mut nio, &mut js).await;
    is_closed(&chat.alice.history(&chat.room).await);
    assert_eq!(chat.contact.undecryptable(), 0);
}

/// Texts, answers, changes, reactions and deletions of both; what the contact says the other device reads as well.
async fn converse(chat: &Chat, mine: &mut EncryptingClient, other: &EncryptingClient) {
    let Chat { contact, room, .. } = chat;
    let (ghost, library) = (&chat.ghost, mine.library);
    let text = |what: &str| format!("{MARKED} {what} of {library:?}");

    // Texts, and answers to them.
    let (first, back) = (text("gooseberry"), text("elderflower"));
    let said = mine.say(room, &first).await;
    let received = contact.receives(&first).await.id;
    contact.reply(&first, &back).await;
    let wrote = contact.wrote(&back).id;
    let mut heard = String::new();
    for client in [&*mine, other] {
        let event = client.hear(room, ghost, &back).await;
        assert!(event.encrypted && event.error.is_none());
        let to = &event.content["m.relates_to"]["m.in_reply_to"]["event_id"];
        assert_eq!(*to, json!(said));
        heard = event.event_id;
    }
    mine.reply(room, &heard, &text("indeed")).await;
    let answer = contact.receives(&text("indeed")).await;
    assert_eq!(answer.quotes.expect("an answer").id.as_str(), wrote);

    // Changes.
    let changed = text("blackcurrant");
    mine.edit(room, &said, &changed).await;
    contact
        .sees("the edit", |m| {
            (m.id == received && m.text == changed).then_some(())
        })
        .await;
    let changed = text("lilac");
    contact.edits(&wrote, &changed).await;
    for client in [&*mine, other] {
        let edit = client
            .shown("the edit", room, |shown| {
                shown.content["m.new_content"]["body"] == changed.as_str()
            })
            .await;
        assert!(edit.encrypted && edit.sender == *ghost);
        assert_eq!(edit.content["m.relates_to"]["event_id"], json!(heard));
    }

    // Reactions, and their end.
    let user = contact.user.parse().expect("an address");
    let of_user = |m: &drawbridge::sandbox::Message| m.reactions.get(&user).cloned();
    let reaction = mine.react(room, &heard, "🫐").await;
    contact.has_reaction(&wrote, of_user, Some("🫐")).await;
    mine.redact(room, &reaction).await;
    contact.has_reaction(&wrote, of_user, None).await;
    contact.reacts(&received, false, "🎉").await;
    let reaction = mine
        .shown("a reaction", room, |shown| {
            let relation = &shown.content["m.relates_to"];
            shown.sender == *ghost && relation["event_id"] == said.as_str()
        })
        .await;
    assert_eq!(reaction.content["m.relates_to"]["key"], "🎉");
    contact.reacts(&received, false, "").await;
    is_deleted(mine, room, &reaction.event_id).await;

    // Deletions.
    mine.redact(room, &said).await;
    contact
        .sees("the deletion", |m| {
            (m.id == received && m.revoked).then_some(())
        })
        .await;
    contact.revokes(&wrote).await;
    is_deleted(mine, room, &heard).await;
}

async fn is_deleted(client: &EncryptingClient, room: &str, event: &str) {
    client
        .shown("a deletion", room, |shown| {
            shown.redacts.as_deref() == Some(event)
        })
        .await;
}

/// Who has read and who writes, both ways and with both clients.
async fn show_signals(chat: &Chat, nio: &mut EncryptingClient, js: &mut EncryptingClient) {
    let Chat { contact, room, .. } = chat;
    let ghost = &chat.ghost;
    contact.is_typing(Typing::Composing);
    for client in [&*nio, &*js] {
        client
            .told("who writes", |told| match told {
                Told::Typing { room: place, users } => {
                    (place == room && users.contains(ghost)).then_some(())
                }
                _ => None,
            })
            .await;
    }
    contact.is_typing(Typing::Paused);
    for client in [nio, js] {
        for (typing, state) in [(true, Typing::Composing), (false, Typing::Paused)] {
            let with = json!({"room": room, "typing": typing});
            client.demand("typing", with).await;
            contact.sees_typing(state).await;
        }
        let (mine, theirs) = (
            format!("read this with {:?}", client.library),
            format!("as you read mine with {:?}", client.library),
        );
        let said = client.say(room, &mine).await;
        contact.receives(&mine).await;
        contact.read();
        client
            .told("a receipt", |told| match told {
                Told::Receipt {
                    sender, event_id, ..
                } => (sender == ghost && *event_id == said).then_some(()),
                _ => None,
            })
            .await;
        contact.say(&theirs).await;
        let heard = client.hear(room, ghost, &theirs).await.event_id;
        let with = json!({"room": room, "event": heard});
        client.demand("read", with).await;
        contact.sees_read(&theirs).await;
    }
}
