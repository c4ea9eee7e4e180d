//! What is changed after it was said: edits, deletions and reactions, both ways.

use drawbridge::{
    domain::MediaKind,
    sandbox::{MediaToSend, Message, content::Content},
};
use serde_json::json;
use waproto::whatsapp::message::protocol_message::Type;

use super::{
    chat::{Chat, event, id_of},
    contact::proto,
    pictures,
    world::{Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;

    // Matrix to the gatekeeper: an edit of a text, twice.
    let text = chat.say("frist").await;
    let id = chat.contact.receives("frist").await.id;
    for newer in ["first", "*first* of all"] {
        let content = json!({"msgtype": "m.text", "body": newer});
        chat.edit(&text, &content).await;
    }
    let change = chat
        .contact
        .gets("the edit", |m| {
            matches!(&m.content, Content::Edit { of, .. } if *of == id).then(|| m.clone())
        })
        .await;
    let wrapper = proto(&change);
    let wrapper = if wrapper.edited_message.is_set() {
        wrapper.edited_message.message.protocol_message.clone()
    } else {
        wrapper.protocol_message
    };
    assert_eq!(wrapper.r#type, Some(Type::MESSAGE_EDIT));
    let shows_newest = |m: &Message| {
        (m.id == id && m.edited && m.text.ends_with("of all")).then(|| m.text.clone())
    };
    let newest = chat.contact.sees("the newest text", shows_newest).await;
    assert_ne!(
        newest, "*first* of all",
        "a star that was meant as one makes it bold"
    );

    // An edit of a caption.
    let picture = pictures::jpeg(64, 48);
    let uri = chat.alice.upload("image/jpeg", picture.clone()).await;
    let mut image = json!({"msgtype": "m.image", "body": "befor", "filename": "sea.jpg", "url": uri,
        "info": {"mimetype": "image/jpeg", "size": picture.len(), "w": 64, "h": 48}});
    let shown = chat.send(&image).await;
    let captioned = chat.contact.receives("befor").await.id;
    image["body"] = json!("before");
    chat.edit(&shown, &image).await;
    chat.contact
        .sees("the new caption", |m| {
            (m.id == captioned && m.text == "before" && m.content.file().is_some()).then_some(())
        })
        .await;

    // A deletion of a text, and of a picture.
    chat.redact(&text).await;
    chat.redact(&shown).await;
    for id in [&id, &captioned] {
        let is_gone = |m: &Message| (m.id == *id && m.revoked && m.text.is_empty()).then_some(());
        chat.contact.sees("the deletion", is_gone).await;
    }
    let revoked = chat
        .contact
        .gets("the deletion", |m| {
            matches!(&m.content, Content::Revoke { of } if of.id == id).then(|| proto(m))
        })
        .await;
    assert_eq!(revoked.protocol_message.r#type, Some(Type::REVOKE));

    // The other's message is not one's own to delete: it stays there.
    chat.contact.say("nora's own").await;
    let hers = id_of(&chat.hears("nora's own").await);
    chat.redact(&hers).await;
    chat.say("after all that").await;
    chat.contact.receives("after all that").await;
    assert!(!chat.contact.wrote("nora's own").revoked);
    assert!(!chat.contact.shown().iter().any(|m| m.outgoing && m.revoked));

    // The gatekeeper to Matrix: an edit of a text, twice, and of a caption.
    let id = chat.contact.says("secnd").await;
    let second = id_of(&chat.hears("secnd").await);
    for newer in ["second", "*second* to none"] {
        chat.contact.edits(&id, newer).await;
    }
    let media = MediaToSend::bytes(MediaKind::Image, "image/jpeg", pictures::jpeg(32, 32));
    let media_id = chat
        .contact
        .sends_file(media.with_caption("a captoin"))
        .await;
    let captioned = id_of(&chat.hears("a captoin").await);
    chat.contact.edits(&media_id, "a caption").await;
    chat.shows(&captioned, "a caption").await;
    let edits = |room: &[serde_json::Value]| -> Vec<serde_json::Value> {
        let is_edit = |e: &&serde_json::Value| {
            e["source"]["content"]["m.relates_to"]["event_id"] == second.as_str()
        };
        room.iter().filter(is_edit).cloned().collect()
    };
    let events = chat.room().await;
    let edits = edits(&events);
    assert_eq!(edits.len(), 2);
    let newest = &edits[1]["source"]["content"];
    assert_eq!(newest["m.relates_to"]["rel_type"], "m.replace");
    assert_eq!(
        newest["m.new_content"]["formatted_body"],
        "<strong>second</strong> to none"
    );
    assert_eq!(edits[1]["source"]["sender"], chat.ghost.as_str());
    let caption = events
        .iter()
        .find(|e| e["source"]["content"]["m.relates_to"]["event_id"] == captioned.as_str())
        .expect("the edit of the caption");
    let caption = &caption["source"]["content"]["m.new_content"];
    assert_eq!(caption["msgtype"], "m.image", "it is a picture still");
    assert_eq!(
        caption["url"],
        event(&events, &captioned)["source"]["content"]["url"]
    );

    // A deletion of both.
    chat.contact.revokes(&id).await;
    chat.contact.revokes(&media_id).await;
    chat.loses(&second).await;
    chat.loses(&captioned).await;

    // Nobody deletes what somebody else wrote.
    let kept = chat.say("alice keeps this").await;
    let kept_id = chat.contact.receives("alice keeps this").await.id;
    chat.contact.revokes_of(&kept_id, false).await;
    chat.contact.say("nora has tried").await;
    chat.hears("nora has tried").await;
    let events = chat.room().await;
    assert_eq!(event(&events, &second)["class"], "RedactedEvent");
    assert_eq!(event(&events, &captioned)["class"], "RedactedEvent");
    assert_eq!(event(&events, &kept)["body"], "alice keeps this");
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
        .has_reaction(&media_id, by_alice, Some("❤️"))
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
