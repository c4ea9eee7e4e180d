//! What the gatekeeper's users do to earlier messages.

use drawbridge::{
    domain::{IncomingContent, IncomingMessage, MediaDetails, MediaKind},
    translate::MatrixContext,
};
use serde_json::{Value, json};

use super::world::{bare, event_id, here, here_with, shown, theirs, user};

fn target() -> MatrixContext {
    here_with(|here| here.target = Some(event_id("$target")))
}

fn reaction(emoji: &str) -> IncomingMessage {
    bare(IncomingContent::Reaction {
        target: theirs("3EB0AA"),
        emoji: emoji.to_owned(),
    })
}

#[test]
fn reactions() {
    let cases = json!({
        "thumb": shown(&reaction("👍🏽"), &target()),
        "heart without its selector": shown(&reaction("❤"), &target()),
        "heart with it": shown(&reaction("❤\u{fe0f}"), &target()),
        "taken back": shown(&reaction(""), &target()),
        "to an unknown message": shown(&reaction("👍"), &here()),
        "with control characters": shown(&reaction("👍\u{0}\n"), &target()),
    });
    insta::assert_json_snapshot!(cases);
}

fn edit(content: IncomingContent) -> IncomingMessage {
    bare(IncomingContent::Edit {
        target: theirs("3EB0AA"),
        content: Box::new(content),
    })
}

fn edited_text(body: &str) -> IncomingMessage {
    edit(IncomingContent::Text {
        body: body.to_owned(),
        preview: None,
    })
}

fn edited_caption(caption: Option<&str>) -> IncomingMessage {
    edit(IncomingContent::Media {
        details: MediaDetails::new(MediaKind::Image, "image/jpeg"),
        file: None,
        caption: caption.map(str::to_owned),
    })
}

fn of(original: Value) -> MatrixContext {
    MatrixContext {
        original: Some(original),
        ..target()
    }
}

#[test]
fn edits() {
    let picture = json!({
        "msgtype": "m.image", "body": "old caption", "filename": "image.jpg", "format": "org.matrix.custom.html",
        "formatted_body": "<b>old caption</b>", "url": "mxc://example.org/a", "info": { "size": 1 }, "m.mentions": {},
        "m.relates_to": { "m.in_reply_to": { "event_id": "$earlier" } },
    });
    let bare_picture =
        json!({ "msgtype": "m.image", "body": "image.jpg", "url": "mxc://example.org/a" });
    let before = json!({ "msgtype": "m.text", "body": "old", "m.mentions": { "user_ids": ["@wa_4915555550002:example.org"] } });
    let mut mentioning = edited_text("@4915555550002 and @1-42");
    mentioning.context.mentions = vec![user("4915555550002@s.whatsapp.net")];
    mentioning.context.mentions_login = true;
    let cases = json!({
        "of a text": shown(&edited_text("*new* text"), &target()),
        "whom it mentions anew": shown(&mentioning, &of(before)),
        "of an unknown message": shown(&edited_text("*new* text"), &here()),
        "of a caption": shown(&edited_caption(Some("*new*")), &of(picture.clone())),
        "of a caption, as a text": shown(&edited_text("new"), &of(picture.clone())),
        "of a caption that was edited before": shown(&edited_caption(Some("newer")), &of(json!({ "body": "* x", "m.new_content": picture }))),
        "a caption is taken away": shown(&edited_caption(None), &of(picture)),
        "a caption is put under": shown(&edited_caption(Some("new")), &of(bare_picture)),
        "of a caption whose file is not known": shown(&edited_caption(Some("new")), &target()),
        "of something else": shown(&edit(IncomingContent::Undecryptable), &target()),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn a_long_edit_goes_on_behind() {
    let long = "word ".repeat(4_000);
    let events = shown(&edited_text(&long), &target());
    let events = events.as_array().unwrap();
    assert!(events.len() > 1);
    assert_eq!(events[0]["m.relates_to"]["rel_type"], "m.replace");
    assert!(
        events[1..]
            .iter()
            .all(|event| event["m.relates_to"].is_null())
    );
}
