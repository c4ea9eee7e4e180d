//! What is changed after it was said: edits, deletions and reactions, both ways.

use drawbridge::{
    domain::MediaKind,
    sandbox::{MediaToSend, Message, content::Content},
};
use serde_json::{Value, json};
use waproto::{
    buffa::MessageField,
    codec,
    whatsapp::{
        Message as Proto, MessageKey,
        message::{ProtocolMessage, protocol_message::Type},
    },
};

use super::{
    chat::{Chat, event, id_of},
    contact::proto,
    pictures,
    world::{Plan, World},
};

/// A message as each side names it.
struct Both {
    event: String,
    id: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let text = a_text_is_edited_at_the_gatekeeper(&mut chat).await;
    let picture = a_caption_is_edited_at_the_gatekeeper(&mut chat).await;
    deletions_reach_the_gatekeeper(&mut chat, &[text, picture]).await;
    only_own_messages_are_deleted_there(&mut chat).await;
    let text = a_text_is_edited_in_matrix(&mut chat).await;
    let picture = a_caption_is_edited_in_matrix(&mut chat).await;
    deletions_reach_matrix(&mut chat, &[text, picture]).await;
    nobody_changes_what_others_wrote(&mut chat).await;
}

async fn a_text_is_edited_at_the_gatekeeper(chat: &mut Chat) -> Both {
    let event = chat.say("frist").await;
    let id = chat.contact.receives("frist").await.id;
    for newer in ["first", "*first* of all"] {
        let content = json!({"msgtype": "m.text", "body": newer});
        chat.edit(&event, &content).await;
    }
    let change = chat
        .contact
        .gets("the edit", |m| {
            matches!(&m.content, Content::Edit { of, .. } if *of == id).then(|| m.clone())
        })
        .await;
    let says = proto(&change);
    let change = if says.edited_message.is_set() {
        &says.edited_message.message.protocol_message
    } else {
        &says.protocol_message
    };
    assert_eq!(change.r#type, Some(Type::MESSAGE_EDIT));
    let shows_newest = |m: &Message| {
        (m.id == id && m.edited && m.text.ends_with("of all")).then(|| m.text.clone())
    };
    let newest = chat.contact.sees("the newest text", shows_newest).await;
    assert_ne!(
        newest, "*first* of all",
        "a star that was meant as one makes it bold"
    );
    Both { event, id }
}

async fn a_caption_is_edited_at_the_gatekeeper(chat: &mut Chat) -> Both {
    let picture = pictures::jpeg(64, 48);
    let uri = chat.alice.upload("image/jpeg", picture.clone()).await;
    let mut image = json!({"msgtype": "m.image", "body": "befor", "filename": "sea.jpg", "url": uri,
        "info": {"mimetype": "image/jpeg", "size": picture.len(), "w": 64, "h": 48}});
    let event = chat.send(&image).await;
    let id = chat.contact.receives("befor").await.id;
    image["body"] = json!("before");
    chat.edit(&event, &image).await;
    chat.contact
        .sees("the new caption", |m| {
            (m.id == id && m.text == "before" && m.content.file().is_some()).then_some(())
        })
        .await;
    Both { event, id }
}

async fn deletions_reach_the_gatekeeper(chat: &mut Chat, deleted: &[Both]) {
    for Both { event, .. } in deleted {
        chat.redact(event).await;
    }
    for Both { id, .. } in deleted {
        let is_gone = |m: &Message| (m.id == *id && m.revoked && m.text.is_empty()).then_some(());
        chat.contact.sees("the deletion", is_gone).await;
        let says = chat
            .contact
            .gets("the deletion", |m| {
                matches!(&m.content, Content::Revoke { of } if of.id == *id).then(|| proto(m))
            })
            .await;
        assert_eq!(says.protocol_message.r#type, Some(Type::REVOKE));
    }
}

async fn only_own_messages_are_deleted_there(chat: &mut Chat) {
    chat.contact.say("nora's own").await;
    let hers = id_of(&chat.hears("nora's own").await);
    chat.redact(&hers).await;
    chat.is_told("only who wrote a message can delete it").await;
    chat.say("after all that").await;
    chat.contact.receives("after all that").await;
    assert!(!chat.contact.wrote("nora's own").revoked);
    assert!(!chat.contact.shown().iter().any(|m| m.outgoing && m.revoked));
}

/// The edits of an event, oldest first, of what a client library read.
fn edits_of(events: Vec<Value>, event: &str) -> Vec<Value> {
    let is_edit = |e: &Value| {
        let relation = &e["source"]["content"]["m.relates_to"];
        relation["rel_type"] == "m.replace" && relation["event_id"] == event
    };
    events.into_iter().filter(is_edit).collect()
}

async fn a_text_is_edited_in_matrix(chat: &mut Chat) -> Both {
    let id = chat.contact.says("secnd").await;
    let event = id_of(&chat.hears("secnd").await);
    for newer in ["second", "*second* to none"] {
        chat.contact.edits(&id, newer).await;
    }
    chat.shows(&event, "*second* to none").await;
    let edits = edits_of(chat.room().await, &event);
    assert_eq!(edits.len(), 2);
    assert_eq!(edits[1]["source"]["sender"], chat.ghost.as_str());
    let newest = &edits[1]["source"]["content"]["m.new_content"];
    assert_eq!(newest["formatted_body"], "<strong>second</strong> to none");
    Both { event, id }
}

async fn a_caption_is_edited_in_matrix(chat: &mut Chat) -> Both {
    let media = MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(32, 32));
    let media = media.with_caption("a captoin");
    let id = chat.contact.sends_file(media).await;
    let shown = chat.hears("a captoin").await;
    let event = id_of(&shown);
    chat.contact.edits(&id, "a caption").await;
    chat.shows(&event, "a caption").await;
    let edits = edits_of(chat.room().await, &event);
    let caption = &edits[0]["source"]["content"]["m.new_content"];
    assert_eq!(caption["msgtype"], "m.image", "it is a picture still");
    assert_eq!(caption["url"], shown["content"]["url"]);
    Both { event, id }
}

async fn deletions_reach_matrix(chat: &mut Chat, deleted: &[Both]) {
    for Both { event, id } in deleted {
        chat.contact.revokes(id).await;
        chat.loses(event).await;
    }
    let events = chat.room().await;
    for Both { event: of, .. } in deleted {
        assert_eq!(event(&events, of)["class"], "RedactedEvent");
    }
}

async fn nobody_changes_what_others_wrote(chat: &mut Chat) {
    let kept = chat.say("alice keeps this").await;
    let id = chat.contact.receives("alice keeps this").await.id;
    chat.contact.revokes_of(&id, false).await;
    let forged = Proto {
        protocol_message: MessageField::some(ProtocolMessage {
            key: MessageField::some(MessageKey {
                remote_jid: Some(chat.contact.user.clone()),
                from_me: Some(false),
                id: Some(id),
                ..MessageKey::default()
            }),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: MessageField::some(Proto {
                conversation: Some("forged".to_owned()),
                ..Proto::default()
            }),
            ..ProtocolMessage::default()
        }),
        ..Proto::default()
    };
    chat.contact
        .sends_raw(&codec::message_to_vec(&forged))
        .await;
    chat.contact.say("nora has tried").await;
    chat.hears("nora has tried").await;
    let events = chat.room().await;
    assert_eq!(event(&events, &kept)["body"], "alice keeps this");
    assert!(edits_of(events, &kept).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let hers = chat.contact.user.parse().expect("an address");
    let by_alice = |m: &Message| m.reactions.get(&hers).cloned();
    chat.contact.say("what do you say").await;
    let said = id_of(&chat.hears("what do you say").await);
    let said_id = chat.contact.wrote("what do you say").id;

    // Matrix to the gatekeeper: add, change (the room shows one as well), take back.
    let first = chat.react(&said, "👍").await;
    chat.contact
        .has_reaction(&said_id, by_alice, Some("👍"))
        .await;
    let second = chat.react(&said, "🎉").await;
    chat.contact
        .has_reaction(&said_id, by_alice, Some("🎉"))
        .await;
    chat.loses(&first).await;
    chat.redact(&second).await;
    chat.contact.has_reaction(&said_id, by_alice, None).await;
    let received = chat
        .contact
        .gets("a reaction", |m| {
            matches!(&m.content, Content::Reaction { to } if to.own).then(|| proto(m))
        })
        .await;
    assert_eq!(received.reaction_message.text.as_deref(), Some("👍"));
    assert_eq!(
        received.reaction_message.key.id.as_deref(),
        Some(said_id.as_str())
    );

    // A custom emoji becomes its text.
    let relation =
        json!({"rel_type": "m.annotation", "event_id": said, "key": "mxc://drawbridge.test/blob"});
    let custom = json!({"m.relates_to": relation, "shortcode": ":blobcat:", "com.beeper.reaction.shortcode": ":blobcat:"});
    chat.alice.send(&chat.room, "m.reaction", &custom).await;
    chat.contact
        .has_reaction(&said_id, by_alice, Some(":blobcat:"))
        .await;

    // Of a picture, of an answer, of one's own.
    let media = MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(32, 32));
    let media_id = chat.contact.sends_file(media).await;
    let picture = id_of(
        &chat
            .finds("the picture", |e| e["content"]["msgtype"] == "m.image")
            .await,
    );
    chat.react(&picture, "❤️").await;
    chat.contact
        .has_reaction(&media_id, by_alice, Some("❤"))
        .await;
    let answer = chat.alice.reply(&chat.room, &said, "i say so").await;
    let answer_id = chat.contact.receives("i say so").await.id;
    chat.react(&answer, "😀").await;
    chat.contact
        .has_reaction(&answer_id, by_alice, Some("😀"))
        .await;

    // The gatekeeper to Matrix: add, change, take back; of an answer, and of a picture of one's own.
    chat.contact.reacts(&answer_id, false, "😮").await;
    let first = chat.sees_reaction(&answer, "😮").await;
    chat.contact.reacts(&answer_id, false, "🙏").await;
    let second = chat.sees_reaction(&answer, "🙏").await;
    chat.loses(&first).await;
    chat.contact.reacts(&media_id, true, "🌊").await;
    let of_picture = chat.sees_reaction(&picture, "🌊").await;
    let events = chat.room().await;
    assert_eq!(event(&events, &second)["class"], "ReactionEvent");
    assert_eq!(event(&events, &second)["key"], "🙏");
    assert_eq!(event(&events, &of_picture)["reacts_to"], picture.as_str());
    chat.contact.reacts(&answer_id, false, "").await;
    chat.loses(&second).await;
    assert_eq!(event(&chat.room().await, &first)["class"], "RedactedEvent");
}
