//! What Matrix users do to earlier messages: edits, deletions, reactions.

use drawbridge::{
    domain::GroupRole,
    translate::{RoomEvent, Target},
};
use serde_json::{Value, json};

use super::world::{There, event, message, own, theirs, there};

fn edit(new: &Value) -> RoomEvent {
    message(&json!({
        "msgtype": "m.text",
        "body": "* fallback",
        "m.new_content": new,
        "m.relates_to": { "rel_type": "m.replace", "event_id": "$earlier" },
    }))
}

fn edited_text(body: &str) -> RoomEvent {
    edit(&json!({ "msgtype": "m.text", "body": body }))
}

#[test]
fn edits() {
    let fixed = edited_text("fixed");
    let formatted = edit(&json!({
        "msgtype": "m.text", "body": "fixed", "format": "org.matrix.custom.html",
        "formatted_body": "<b>fixed</b>, <a href=\"https://matrix.to/#/@wa_4915555550002:example.org\">Bo</a>",
    }));
    let caption = |msgtype: &str, mime: &str| {
        edit(&json!({
            "msgtype": msgtype, "body": "new caption", "filename": "a.bin",
            "url": "mxc://example.org/a", "info": { "mimetype": mime },
        }))
    };
    let no_caption = |msgtype: &str, mime: &str| {
        edit(
            &json!({ "msgtype": msgtype, "body": "a.bin", "url": "mxc://example.org/a", "info": { "mimetype": mime } }),
        )
    };
    let poll = event(
        "org.matrix.msc3381.poll.start",
        &json!({ "m.relates_to": { "rel_type": "m.replace", "event_id": "$poll" }, "m.new_content": {} }),
    );
    let one = There::about(&[own("OWN1")], 60);
    let three = There::about(&[own("OWN1"), own("OWN2"), own("OWN3")], 60);
    let short = There {
        capabilities: drawbridge::domain::Capabilities {
            max_text_chars: 20,
            ..Default::default()
        },
        ..There::about(&[own("OWN1")], 60)
    };
    let mut fixed_messages = There::about(&[own("OWN1")], 60);
    fixed_messages.capabilities.edit_seconds = 0;
    let cases = json!({
        "in time": one.shows(&fixed),
        "formatted and mentioning": one.shows(&formatted),
        "at the last moment": There::about(&[own("OWN1")], 15 * 60).shows(&fixed),
        "too late: anew, marked, pointing at the old one": There::about(&[own("OWN1")], 15 * 60 + 1).shows(&fixed),
        "of an unknown message: anew, marked": there().shows(&fixed),
        "of somebody else's message: anew, marked": There::about(&[theirs("3EB0AA")], 60).shows(&fixed),
        "where nothing can be edited: anew, marked": fixed_messages.shows(&fixed),
        "of a list, anew": there().shows(&edit(&json!({ "msgtype": "m.text", "body": "x", "format": "org.matrix.custom.html", "formatted_body": "<ul><li>a</li></ul>" }))),
        "now shorter than its parts": three.shows(&fixed),
        "now longer than its part": short.shows(&edited_text("one two three four five six seven")),
        "to nothing": one.shows(&edited_text(" ")),
        "of a caption": one.shows(&caption("m.image", "image/png")),
        "of a caption, too late": There::about(&[own("OWN1")], 3600).shows(&caption("m.image", "image/png")),
        "of a caption sent as a text": There::about(&[own("OWN1"), own("OWN2")], 60).shows(&caption("m.audio", "audio/mpeg")),
        "a caption is taken away": one.shows(&no_caption("m.image", "image/png")),
        "a caption sent as a text is taken away": There::about(&[own("OWN1"), own("OWN2")], 60).shows(&no_caption("m.audio", "audio/mpeg")),
        "of a file alone": there().shows(&no_caption("m.image", "image/png")),
        "of a place": one.shows(&edit(&json!({ "msgtype": "m.location", "body": "x", "geo_uri": "geo:1,2" }))),
        "of a poll": one.shows(&poll),
        "without new content": one.shows(&message(&json!({ "msgtype": "m.text", "body": "* x", "m.relates_to": { "rel_type": "m.replace", "event_id": "$e" } }))),
    });
    insta::assert_json_snapshot!(cases);
}

const DAYS: i64 = 24 * 60 * 60;

#[test]
fn deletions() {
    let gone = event("m.room.redaction", &json!({ "redacts": "$gone" }));
    let mut lasting = There::about(&[own("OWN1")], 60);
    lasting.capabilities.delete_seconds = 0;
    let reaction = There::with(|there| there.target = Target::Reaction(theirs("3EB0AA")));
    let in_group = |role, seconds| {
        let mut there = There::about(&[own("OWN1"), theirs("3EB0AA")], seconds);
        there.role = Some(role);
        there
    };
    let mut without = in_group(GroupRole::Owner, 60);
    without.capabilities.admin_deletes = false;
    let cases = json!({
        "in time": There::about(&[own("OWN1")], 2 * DAYS).shows(&gone),
        "of several parts": There::about(&[own("OWN1"), own("OWN2")], 60).shows(&gone),
        "too late": There::about(&[own("OWN1")], 2 * DAYS + 1).shows(&gone),
        "of somebody else's message": There::about(&[theirs("3EB0AA")], 60).shows(&gone),
        "of somebody else's by an admin": in_group(GroupRole::Admin, 60).shows(&gone),
        "of somebody else's by an admin, too late": in_group(GroupRole::Owner, 2 * DAYS + 1).shows(&gone),
        "of somebody else's by a member": in_group(GroupRole::Member, 60).shows(&gone),
        "of somebody else's where admins cannot": without.shows(&gone),
        "where nothing can be deleted": lasting.shows(&gone),
        "of a reaction": reaction.shows(&gone),
        "of what the other side never had": there().shows(&gone),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn reactions() {
    let react = |key: &str| {
        event(
            "m.reaction",
            &json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": "$e", "key": key } }),
        )
    };
    let custom = |extra: Value| {
        let mut content = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": "$e", "key": "mxc://example.org/a" } });
        content
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        event("m.reaction", &content)
    };
    let known = There::about(&[theirs("3EB0AA"), theirs("3EB0AB")], 60);
    let mut dull = There::about(&[theirs("3EB0AA")], 60);
    dull.capabilities.reactions = false;
    let cases = json!({
        "thumb": known.shows(&react("👍")),
        "with a skin tone": known.shows(&react("👍🏽")),
        "joined": known.shows(&react("👩‍❤️‍💋‍👨")),
        "with a variation selector": known.shows(&react("❤️")),
        "a word": known.shows(&react("+1 from me")),
        "a long text is cut": known.shows(&react(&"ha".repeat(50))),
        "with control characters": known.shows(&react("a\u{0}\nb")),
        "custom emoji": known.shows(&custom(json!({ "com.beeper.reaction.shortcode": ":blobcat:" }))),
        "custom emoji by its other name": known.shows(&custom(json!({ "shortcode": "blobcat" }))),
        "custom emoji without a name": known.shows(&custom(json!({}))),
        "to one's own message": There::about(&[own("OWN1")], 60).shows(&react("👍")),
        "to an unknown message": there().shows(&react("👍")),
        "where there are none": dull.shows(&react("👍")),
        "without a key": known.shows(&event("m.reaction", &json!({ "m.relates_to": { "event_id": "$e" } }))),
        "empty": known.shows(&react(" ")),
    });
    insta::assert_json_snapshot!(cases);
}
