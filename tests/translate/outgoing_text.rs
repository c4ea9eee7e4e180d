//! Texts of Matrix users: formatted, mentioning, answering, long.

use drawbridge::translate::{Reply, targets};
use serde_json::json;

use super::world::{There, event, html, message, text, theirs, there};

#[test]
fn texts() {
    let emote = json!({ "msgtype": "m.emote", "body": "waves *both* hands" });
    let notice = json!({ "msgtype": "m.notice", "body": "beep" });
    let preview = json!({
        "msgtype": "m.text",
        "body": "see https://example.org/a now",
        "com.beeper.linkpreviews": [
            { "matched_url": "https://example.org/a" },
            { "matched_url": "https://example.org/b", "og:title": "another" },
            { "matched_url": "https://example.org/a", "og:title": "A  page", "og:description": "About\u{0} it" },
        ],
    });
    let elsewhere = json!({
        "msgtype": "m.text",
        "body": "https://good.example",
        "com.beeper.linkpreviews": [{ "matched_url": "https://evil.example", "og:title": "not in the text" }],
    });
    let short = There::with(|there| there.capabilities.max_text_chars = 40);
    let cases = json!({
        "plain": there().shows(&text("hello")),
        "newlines, right to left, emoji": there().shows(&text("שלום\r\nעולם 👩‍🚀")),
        "control characters go": there().shows(&text("a\u{0}b\u{7}c\u{1b}")),
        "what looks like marks is neutralised": there().shows(&text("*a* and _b_, not 2*3*4")),
        "formatted": there().shows(&html("<strong>bold</strong> and <em>italic</em>")),
        "emote": there().shows(&message(&emote)),
        "notice": there().shows(&message(&notice)),
        "too long is split at a blank": short.shows(&text("one two three four five six seven eight nine ten eleven")),
        "too long within marks": short.shows(&html("<strong>one two three <em>four five six seven eight nine</em> ten</strong>")),
        "too long within a list and code": short.shows(&html("<ul><li>one two three four</li><li>five six seven eight nine ten eleven</li></ul><pre>let a = 1;\nlet b = 2;\nlet c = 3;\nlet d = 4;\n</pre>")),
        "only blanks": there().shows(&text("  \n ")),
        "no body": there().shows(&message(&json!({ "msgtype": "m.text" }))),
        "HTML without text: the plain body": there().shows(&html("<p><br></p>")),
        "HTML of another format: the plain body": there().shows(&message(&json!({ "msgtype": "m.text", "body": "plain", "format": "org.example", "formatted_body": "<b>x</b>" }))),
        "link preview": there().shows(&message(&preview)),
        "preview of a link that is not in the text": there().shows(&message(&elsewhere)),
        "preview where there are none": There::with(|t| t.capabilities.link_previews = false).shows(&message(&preview)),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn mentions() {
    let pill = "<a href=\"https://matrix.to/#/@wa_4915555550002:example.org\">Bo</a>: look";
    let plain = |body: &str| {
        message(&json!({
            "msgtype": "m.text",
            "body": body,
            "m.mentions": { "user_ids": ["@wa_4915555550002:example.org", "@dan:example.org", 7] },
        }))
    };
    let room =
        json!({ "msgtype": "m.text", "body": "@room dinner", "m.mentions": { "room": true } });
    let quiet = json!({ "msgtype": "m.text", "body": "I never write @room", "m.mentions": {} });
    let old = json!({ "msgtype": "m.text", "body": "dinner, @room!" });
    let cases = json!({
        "pill of a ghost": there().shows(&html(pill)),
        "pill of somebody else": there().shows(&html("<a href=\"https://matrix.to/#/@dan:example.org\">Dan</a>: look")),
        "id in a plain body": there().shows(&plain("@wa_4915555550002:example.org: look, @dan:example.org")),
        "named in a plain body, which says no id": there().shows(&plain("Bo: look")),
        "an id that is longer than the mentioned one": there().shows(&plain("@wa_4915555550002:example.organic")),
        "everybody": there().shows(&message(&room)),
        "everybody, as old clients write it": there().shows(&message(&old)),
        "everybody, written but not meant": there().shows(&message(&quiet)),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn replies() {
    let reply = message(&json!({
        "msgtype": "m.text",
        "body": "> <@eve:example.org> stolen words\n\nyes",
        "m.relates_to": { "m.in_reply_to": { "event_id": "$earlier" } },
    }));
    let rich = message(&json!({
        "msgtype": "m.text",
        "body": "> <@eve:example.org> stolen words\n\nyes",
        "format": "org.matrix.custom.html",
        "formatted_body": "<mx-reply><blockquote>stolen words</blockquote></mx-reply><b>yes</b>",
        "m.relates_to": { "m.in_reply_to": { "event_id": "$earlier" } },
    }));
    let known = There::with(|there| there.reply = Reply::Known(theirs("3EB0AA")));
    let foreign = |body: &str| {
        let body = body.to_owned();
        There::with(|there| {
            there.reply = Reply::Foreign {
                name: "Dan\u{202e}".to_owned(),
                body,
            };
        })
    };
    let long = "word ".repeat(100);
    let picture = message(&json!({
        "msgtype": "m.image", "body": "a.png", "url": "mxc://example.org/a", "info": { "mimetype": "image/png" },
    }));
    let sticker = event(
        "m.sticker",
        &json!({ "body": "cat", "url": "mxc://example.org/s", "info": { "mimetype": "image/webp" } }),
    );
    let place = message(&json!({ "msgtype": "m.location", "body": "Here", "geo_uri": "geo:1,2" }));
    let cases = json!({
        "to a known message, the fallback dropped": known.shows(&reply),
        "formatted": known.shows(&rich),
        "to nothing that is known": there().shows(&reply),
        "where there are no replies": There::with(|t| { t.reply = Reply::Known(theirs("3EB0AA")); t.capabilities.replies = false; }).shows(&reply),
        "to what the other side never saw": foreign("first *line*\n\nsecond").shows(&reply),
        "to something long": foreign(&long).shows(&reply),
        "with a picture": known.shows(&picture),
        "with a picture, to what the other side never saw": foreign("what?").shows(&picture),
        "with a sticker, to what the other side never saw": foreign("what?").shows(&sticker),
        "with a place, to what the other side never saw": foreign("where?").shows(&place),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn what_events_are_about() {
    let about = |kind: &str, relation: serde_json::Value| {
        let event = event(kind, &json!({ "body": "x", "m.relates_to": relation }));
        let targets = targets(&event);
        json!({ "reply": targets.reply, "subject": targets.subject })
    };
    let message = |relation| about("m.room.message", relation);
    let redaction = drawbridge::translate::RoomEvent::from_json(
        r#"{"type":"m.room.redaction","redacts":"$gone","content":{}}"#,
    );
    let new_redaction = event("m.room.redaction", &json!({ "redacts": "$gone" }));
    let cases = json!({
        "nothing": message(json!({})),
        "reply": message(json!({ "m.in_reply_to": { "event_id": "$earlier" } })),
        "thread": message(json!({ "rel_type": "m.thread", "event_id": "$root", "is_falling_back": true, "m.in_reply_to": { "event_id": "$last" } })),
        "reply in a thread": message(json!({ "rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": { "event_id": "$earlier" } })),
        "thread without a fallback": message(json!({ "rel_type": "m.thread", "event_id": "$root" })),
        "edit": message(json!({ "rel_type": "m.replace", "event_id": "$old", "m.in_reply_to": { "event_id": "$earlier" } })),
        "reaction": about("m.reaction", json!({ "rel_type": "m.annotation", "event_id": "$liked", "key": "👍" })),
        "vote": about("m.poll.response", json!({ "rel_type": "m.reference", "event_id": "$poll" })),
        "end of a poll": about("org.matrix.msc3381.poll.end", json!({ "rel_type": "m.reference", "event_id": "$poll" })),
        "sticker": about("m.sticker", json!({ "m.in_reply_to": { "event_id": "$earlier" } })),
        "deletion": targets(&redaction.unwrap()).subject,
        "deletion since room version 11": targets(&new_redaction).subject,
        "malformed": message(json!({ "m.in_reply_to": { "event_id": 7 } })),
    });
    insta::assert_json_snapshot!(cases);
}
