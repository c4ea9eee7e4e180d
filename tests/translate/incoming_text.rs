//! Texts of the gatekeeper's users.

use drawbridge::{
    domain::{AttachmentKey, IncomingContent, LinkPreview},
    translate::Thumbnail,
};
use serde_json::json;

use super::world::{answering, bare, event_id, here, here_with, said, shown, user};

#[test]
fn texts() {
    let preview = |picture: bool, encrypted: bool| {
        let message = bare(IncomingContent::Text {
            body: "see https://example.org/a".to_owned(),
            preview: Some(LinkPreview {
                url: "https://example.org/a".to_owned(),
                title: Some("A page".to_owned()),
                description: Some("About\u{0} it".to_owned()),
                thumbnail: None,
            }),
        });
        let here = here_with(|here| {
            here.preview = picture.then(|| Thumbnail {
                uri: "mxc://example.org/p".to_owned(),
                encryption: encrypted.then_some(AttachmentKey {
                    key: [1; 32],
                    iv: [2; 16],
                    sha256: [3; 32],
                }),
                mime_type: "image/jpeg".to_owned(),
                size: 900,
                width: 100,
                height: 50,
            });
        });
        shown(&message, &here)
    };
    let cases = json!({
        "plain": shown(&said("hello"), &here()),
        "formatted": shown(&said("*bold* and\n- _item_"), &here()),
        "HTML is text": shown(&said("<b>*x*</b>\u{0}"), &here()),
        "newlines, right to left, emoji": shown(&said("שלום\r\nעולם 👩‍🚀"), &here()),
        "link preview": preview(false, false),
        "link preview with a picture": preview(true, false),
        "link preview with an encrypted picture": preview(true, true),
        "empty": shown(&said(""), &here()),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn mentions() {
    let mention = |body: &str, login: bool, room: bool| {
        let mut message = said(body);
        message.context.mentions = vec![
            user("4915555550002@s.whatsapp.net"),
            user("4915555550009@s.whatsapp.net"),
        ];
        message.context.mentions_login = login;
        message.context.mentions_room = room;
        shown(&message, &here())
    };
    let quoted = {
        let mut message = said("*@4915555550002*");
        message.context.mentions = vec![user("4915555550002@s.whatsapp.net")];
        shown(
            &message,
            &here_with(|here| {
                for who in here.people.values_mut() {
                    who.name = "<b>\"Bo\"</b>".to_owned();
                }
            }),
        )
    };
    let cases = json!({
        "of a user": mention("@4915555550002: look, @4915555550002.", false, false),
        "of nobody who is known": mention("@4915555550009: look", false, false),
        "of the login": mention("@1-42 look", true, false),
        "of the login, not meant": mention("@1-42 look", false, false),
        "of everybody": mention("@all look", false, true),
        "within a longer number": mention("@49155555500023", false, false),
        "within code": mention("`@4915555550002`", false, false),
        "of a name that is HTML": quoted,
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn replies() {
    let known = here_with(|here| here.reply_to = Some(event_id("$earlier")));
    let placeholder = here_with(|here| here.replaces = Some(event_id("$placeholder")));
    let both = here_with(|here| {
        here.reply_to = Some(event_id("$earlier"));
        here.replaces = Some(event_id("$placeholder"));
    });
    let long = "word ".repeat(100);
    let cases = json!({
        "to a known message": shown(&answering(said("yes"), Some("what it says")), &known),
        "to an unknown message": shown(&answering(said("yes"), Some("first *line*\n\nsecond")), &here()),
        "to an unknown message without a text": shown(&answering(said("yes"), None), &here()),
        "to something long": shown(&answering(said("yes"), Some(&long)), &here()),
        "in the place of a placeholder": shown(&said("at *last*"), &placeholder),
        "an answer in the place of a placeholder": shown(&answering(said("yes"), Some("what it says")), &both),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn a_long_text_is_several_events_each_whole() {
    let body = format!(
        "*{}*\n```{}```",
        "word ".repeat(4_000).trim_end(),
        "code\n".repeat(4_000).trim_end()
    );
    let here = here_with(|here| here.reply_to = Some(event_id("$earlier")));
    let events = shown(&said(&body), &here);
    let events = events.as_array().unwrap();
    assert!(events.len() >= 4);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(
            event["m.relates_to"].is_object(),
            at == 0,
            "only the first is the answer"
        );
        let html = event["formatted_body"].as_str().unwrap();
        assert!(html.len() <= 12_000);
        assert!(html.starts_with("<strong>word") || html.contains("<pre><code>code"));
        assert_eq!(
            html.matches("<strong>").count(),
            html.matches("</strong>").count()
        );
    }
    let texts: String = events
        .iter()
        .map(|event| event["body"].as_str().unwrap())
        .collect();
    assert_eq!(texts.matches("word").count(), 4_000);
    assert_eq!(texts.matches("code").count(), 4_000);
}
