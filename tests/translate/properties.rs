//! What holds for every text.

use drawbridge::{
    domain::{ContactCard, IncomingContent},
    translate::{PartContent, targets},
};
use proptest::prelude::*;
use serde_json::Value;

use super::{
    markup::{html_of, marks_of, text_of},
    world::{There, bare, event, event_id, here, here_with, html, own, said, shown, text, there},
};

/// The letters of a text, which is what no translation may lose.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The text of an HTML that this project wrote.
fn words_of(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text, |text, (escape, c)| text.replace(escape, c))
}

/// What is wrong with an HTML: a tag that is not allowed, an attribute, one that is not closed.
fn objection(html: &str) -> Option<String> {
    const TAGS: [&str; 10] = [
        "strong",
        "em",
        "del",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "a",
    ];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find(['<', '>', '"', '\'']) {
        if !rest[start..].starts_with('<') {
            return Some(format!("a bare {:?}", &rest[start..=start]));
        }
        let end = start + rest[start..].find('>').unwrap_or(rest.len() - start - 1);
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag == "br" {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Some(format!("</{name}> closes something else"));
            }
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let is_allowed = match name {
            "a" => {
                attributes.starts_with("href=\"https://matrix.to/#/@")
                    && attributes.matches('"').count() == 2
            }
            "ol" => {
                attributes.is_empty()
                    || attributes
                        .strip_prefix("start=\"")
                        .and_then(|rest| rest.strip_suffix('"'))
                        .is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
            }
            _ => attributes.is_empty(),
        };
        if !TAGS.contains(&name) || !is_allowed {
            return Some(format!("<{tag}>"));
        }
        open.push(name);
    }
    open.pop().map(|name| format!("<{name}> stays open"))
}

/// Texts made of what the marks are made of.
fn marked() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zé1-9]{1,4}",
        2 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        4 => "[*_~`]{1,3}",
        1 => Just("> ".to_owned()),
        1 => "( ){0,3}- ",
        1 => "[0-9]{1,3}\\. ",
        1 => Just("\u{200b}".to_owned()),
        1 => Just("https://e.org/_x_*".to_owned()),
        1 => Just("@4915555550002".to_owned()),
        1 => "[<>&\"'.,()]",
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// HTML made of tags at random, closed or not.
fn tag_soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z1-9]{1,4}",
        2 => Just(" ".to_owned()),
        2 => "[*_~`>.#;-]{1,3}",
        6 => prop::sample::select(vec![
            "b", "em", "del", "u", "code", "pre", "p", "div", "h1", "ul", "ol", "li", "blockquote",
            "table", "tr", "td", "details", "summary", "span", "x-y",
        ])
        .prop_flat_map(|tag| prop_oneof![Just(format!("<{tag}>")), Just(format!("</{tag}>"))]),
        1 => Just("<br>".to_owned()),
        1 => Just("<a href=\"https://e.org/a_b_\">".to_owned()),
        1 => Just("</a>".to_owned()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Styles that begin and end anywhere, within words too, around text full of marks.
fn inline_soup() -> impl Strategy<Value = String> {
    let leaf = "[a-z*_~` .-]{1,4}";
    leaf.prop_recursive(4, 24, 5, |inner| {
        let tag = prop::sample::select(vec!["b", "i", "s", "u", "code"]);
        prop_oneof![
            (tag, inner.clone()).prop_map(|(tag, inner)| format!("<{tag}>{inner}</{tag}>")),
            proptest::collection::vec(inner, 1..5).prop_map(|parts| parts.concat()),
        ]
    })
}

/// A well-formed line: words in styles that nest, with blanks between, and the HTML the bridge itself writes for it.
fn line() -> impl Strategy<Value = String> {
    let word = || "[a-z]{1,5}( [a-z*_~]{1,3}){0,2}".prop_map(|word| word.trim().to_owned());
    let plain = word().prop_map(|word| word.replace(['*', '_', '~'], "x"));
    let styled = (prop::sample::select(vec!["strong", "em", "del"]), word())
        .prop_map(|(tag, word)| format!("<{tag}>{word}</{tag}>"));
    let nested = (word(), word(), word())
        .prop_map(|(a, b, c)| format!("<strong>{a} <em>{b} <del>{c}</del></em></strong>"));
    let code = "[a-z*_~ ]{1,8}"
        .prop_filter("not blank", |code| !code.trim().is_empty())
        .prop_map(|code| {
            format!(
                "<code>{}</code>",
                code.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        });
    let piece = prop_oneof![plain, styled, nested, code];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.join(" "))
}

/// A well-formed document of paragraphs, lists, quotes and code.
fn document() -> impl Strategy<Value = String> {
    let lines = || proptest::collection::vec(line(), 1..4);
    let block = prop_oneof![
        3 => lines().prop_map(|lines| lines.join("<br>")),
        1 => lines().prop_map(|lines| format!("<ul><li>{}</li></ul>", lines.join("</li><li>"))),
        1 => lines().prop_map(|lines| format!("<ol><li>{}</li></ol>", lines.join("</li><li>"))),
        1 => (line(), line()).prop_map(|(a, b)| format!("<ul><li>{a}<ol><li>{b}</li></ol></li></ul>")),
        1 => lines().prop_map(|lines| format!("<blockquote>{}</blockquote>", lines.join("<br>"))),
        1 => "[a-z*_~ \n]{0,9}[a-z]".prop_map(|code| format!("<pre><code>{}</code></pre>", code.trim())),
    ];
    // Two quotes or lists behind one another would become one.
    (block, line()).prop_map(|(block, line)| {
        let blocks = ["</ul>", "</ol>", "</blockquote>", "</pre>"];
        let is_block = blocks.iter().any(|end| block.ends_with(end));
        format!("{block}{}{line}", if is_block { "" } else { "<br>" })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn html_and_back_keeps_what_is_written_and_how(document in document()) {
        let marks = marks_of(&document);
        let back = html_of(&marks).unwrap_or_else(|| marks.replace('\n', "<br>"));
        prop_assert_eq!(back, document, "by {:?}", marks);
    }

    #[test]
    fn whatever_is_styled_no_mark_is_left_in_the_text(soup in inline_soup()) {
        let marks = marks_of(&soup);
        let back = html_of(&marks).map_or_else(|| marks.replace('\u{200b}', ""), |html| words_of(&html));
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let written = plain(&words_of(&soup));
        if !written.is_empty() {
            prop_assert_eq!(plain(&back), written, "by {:?}", marks);
        }
    }

    #[test]
    fn any_html_keeps_its_letters(soup in tag_soup()) {
        let marks = marks_of(&soup);
        prop_assert!(marks.len() <= 10 * soup.len() + 64, "{} of {}", marks.len(), soup.len());
        let back = html_of(&marks).map_or_else(|| marks.clone(), |html| words_of(&html));
        let kept = |text: &str| -> String { text.chars().filter(|c| c.is_alphabetic()).collect() };
        prop_assert_eq!(kept(&back), kept(&marks));
        let written = soup.replace("<a href=\"https://e.org/a_b_\">", "https://e.org/a_b_");
        let written = words_of(&written).replace("https://e.org/a_b_", "");
        let seen = marks.replace("https://e.org/a_b%5F", "");
        if seen != "(the plain body)" {
            prop_assert_eq!(kept(&seen), kept(&written));
        }
        prop_assert!(marks.len() <= 10 * soup.len() + 64, "{} of {}", marks.len(), soup.len());
    }

    #[test]
    fn marks_keep_their_letters_and_become_allowed_html(marks in marked()) {
        let events = shown(&said(&marks), &here());
        let body = events[0]["body"].as_str().unwrap();
        prop_assert_eq!(letters(body), letters(&marks));
        if let Some(html) = events[0]["formatted_body"].as_str() {
            prop_assert_eq!(objection(html), None, "{}", html);
            prop_assert!(html.len() <= 24 * marks.len() + 64);
        }
    }

    #[test]
    fn plain_text_never_formats(body in marked()) {
        let Ok(parts) = there().parts(&text(&body)) else { return Ok(()) };
        prop_assert_eq!(parts.len(), 1);
        let marks = text_of(&parts);
        let events = shown(&said(&marks), &here());
        let html = events[0]["formatted_body"].as_str();
        prop_assert_eq!(html, None, "by {:?}", marks);
        let visible = |text: &str| text.replace('\u{200b}', "");
        prop_assert_eq!(visible(events[0]["body"].as_str().unwrap()), visible(body.trim_matches('\n')));
    }

    #[test]
    fn no_text_makes_html_of_its_own(body in "\\PC{0,200}") {
        if let Some(html) = html_of(&body) {
            prop_assert_eq!(objection(&html), None, "{}", html);
        }
        if let Ok(parts) = there().parts(&html(&body)) {
            let back = html_of(&text_of(&parts)).unwrap_or_default();
            prop_assert_eq!(objection(&back), None, "{}", back);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_text_every_event_is_small_enough_and_nothing_is_lost(body in "(\\PC|[\n\"\\\\*_]){0,30000}") {
        let mut text = String::new();
        for edited in [false, true] {
            let content = IncomingContent::Text { body: body.clone(), preview: None };
            let context = here_with(|here| {
                here.replaces = edited.then(|| event_id("$placeholder"));
            });
            text.clear();
            for event in shown(&bare(content), &context).as_array().unwrap() {
                prop_assert!(serde_json::to_vec(event).unwrap().len() < 60_000);
                let new: &Value = &event["m.new_content"];
                let shown = if new.is_object() { new } else { event };
                text.push_str(shown["body"].as_str().unwrap());
            }
            let kept = |s: &str| -> usize { s.chars().filter(|c| c.is_alphanumeric()).count() };
            prop_assert_eq!(kept(&text), kept(&body));
        }
    }
}

/// A value of any type, small.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "m.text",
            "m.image",
            "m.video",
            "m.audio",
            "m.file",
            "m.location",
            "m.replace",
            "m.emote",
            "org.matrix.custom.html",
            "mxc://e.org/a",
            "geo:1,2;u=x",
            "oct",
            "A256CTR",
            "v2",
            "$event",
            "image/png",
            "audio/ogg",
            "@wa_1:example.org",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let keys = prop::sample::select(vec![
            "msgtype",
            "body",
            "format",
            "formatted_body",
            "filename",
            "url",
            "file",
            "info",
            "mimetype",
            "size",
            "w",
            "h",
            "duration",
            "thumbnail_url",
            "thumbnail_info",
            "thumbnail_file",
            "key",
            "k",
            "kty",
            "alg",
            "v",
            "iv",
            "hashes",
            "sha256",
            "geo_uri",
            "m.relates_to",
            "m.in_reply_to",
            "rel_type",
            "event_id",
            "m.new_content",
            "m.mentions",
            "user_ids",
            "room",
            "m.poll",
            "question",
            "answers",
            "m.text",
            "m.id",
            "id",
            "org.matrix.msc1767.text",
            "org.matrix.msc1767.audio",
            "waveform",
            "org.matrix.msc3245.voice",
            "com.beeper.linkpreviews",
            "matched_url",
            "og:title",
            "timer",
            "m.selections",
            "redacts",
            "max_selections",
            "org.matrix.msc3488.location",
            "uri",
            "description",
            "live",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((keys, inner), 0..8).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_content_breaks_a_translation(
        kind in prop::sample::select(vec![
            "m.room.message", "m.sticker", "m.reaction", "m.room.redaction", "m.poll.start", "m.poll.response",
            "m.poll.end", "com.beeper.disappearing_timer", "org.example.other",
        ]),
        content in any_value(),
        edited in any_value(),
    ) {
        let mut content = content;
        if let Some(fields) = content.as_object_mut() {
            fields.entry("msgtype").or_insert_with(|| "m.image".into());
            fields.entry("m.new_content").or_insert(edited);
        }
        let event = event(kind, &content);
        let _ = targets(&event);
        for there in [there(), There::about(&[own("OWN1")], 60)] {
            for part in there.parts(&event).unwrap_or_default() {
                if let PartContent::Media { source, .. } = part.content {
                    prop_assert!(source.uri.starts_with("mxc://"));
                }
            }
        }
    }

    #[test]
    fn no_card_breaks_a_translation(name in "\\PC{0,40}", vcard in "(TEL|EMAIL|[;:=,.\\\\\r\n ]|\\PC){0,120}") {
        let cards = vec![ContactCard { name, vcard }];
        let events = shown(&bare(IncomingContent::Contacts(cards)), &here());
        prop_assert_eq!(events.as_array().unwrap().len(), 1);
        prop_assert!(events[0]["formatted_body"].is_null());
        prop_assert!(events[0]["body"].as_str().unwrap().starts_with("Contact: "));
    }
}

#[test]
fn hostile_texts_stay_texts() {
    let corpus = [
        "<script>alert(1)</script>",
        "*<script>alert(1)</script>*",
        "`<img src=x onerror=alert(1)>`",
        "```\n</code></pre><svg/onload=alert(1)>\n```",
        "> <iframe src=javascript:alert(1)>",
        "- <a href=\"javascript:alert(1)\">x</a>",
        "*\"><img src=x onerror=alert(1)>*",
        "_' onmouseover='alert(1)_",
        "*&lt;script&gt;* *&#60;script&#62;*",
        "*<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">*",
        "*<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">*",
        "*\u{2028}<b>\u{2029}</b>*",
        "*<\u{200b}script>* *\u{202e}<b>*",
        "~</del></del></del><h1>~",
        "1. </li></ol><form action=//evil>",
        "*@4915555550002<b>* @4915555550002\"onclick=\"x\"",
        "_<mx-reply>_ *</mx-reply>*",
        "`a` ]]> *<![CDATA[x]]>* *<?php ?>*",
    ];
    for hostile in corpus {
        let written = html_of(hostile).unwrap_or_default();
        assert_eq!(objection(&written), None, "{written}");
        // The same as HTML from a Matrix user becomes a text in which no tag is left that could come back.
        if there().parts(&html(hostile)).is_ok() {
            let back = html_of(&marks_of(hostile)).unwrap_or_default();
            assert_eq!(objection(&back), None, "{back}");
        }
    }
}
