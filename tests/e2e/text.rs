//! Texts, both ways: formatting, mentions, what is too long or too old, and characters something on the way could damage.

use std::time::{Duration, Instant};

use drawbridge::sandbox::{Received, content::Composed};
use serde_json::{Value, json};

use super::{
    chat::{Chat, event, id_of},
    client::PATIENCE,
    contact::proto,
    wait::until,
    world::{Plan, World},
};

/// What Matrix clients write as HTML, with its plain text, and the marks it becomes.
const TO_MARKS: &[(&str, &str, &str)] = &[
    (
        "<strong>bold</strong> <em>italic</em> <del>struck</del>",
        "bold italic struck",
        "*bold* _italic_ ~struck~",
    ),
    (
        "<b><i>both</i></b>, <i>a <b>bold</b> one</i>",
        "both, a bold one",
        "*_both_*, _a *bold* one_",
    ),
    (
        "run <code>ls *</code> now",
        "run `ls *` now",
        "run `ls *` now",
    ),
    (
        "<pre><code class=\"language-sh\">a\n  b\n</code></pre>",
        "a\n  b",
        "```a\n  b```",
    ),
    (
        "<ul><li>one</li><li>two</li></ul>",
        "- one\n- two",
        "- one\n- two",
    ),
    (
        "<ol><li>one</li><li>two</li></ol>",
        "1. one\n2. two",
        "1. one\n2. two",
    ),
    (
        "<blockquote>said</blockquote>and answered",
        "> said\n\nand answered",
        "> said\nand answered",
    ),
    (
        "see <a href=\"https://example.org/a_b_c\">the page</a>",
        "see the page",
        "see the page (https://example.org/a_b_c)",
    ),
    ("un<b>believ</b>able", "unbelievable", "unbelievable"),
    ("a &lt;b&gt; &amp; c<br>d", "a <b> & c\nd", "a <b> & c\nd"),
];

/// What contacts write with marks, and the HTML it becomes; none where nothing is formatted.
const TO_HTML: &[(&str, Option<&str>)] = &[
    (
        "*bold* _italic_ ~struck~",
        Some("<strong>bold</strong> <em>italic</em> <del>struck</del>"),
    ),
    (
        "*_both_* and `*code*`",
        Some("<strong><em>both</em></strong> and <code>*code*</code>"),
    ),
    (
        "```let x = 1 < 2;```",
        Some("<pre><code>let x = 1 &lt; 2;</code></pre>"),
    ),
    ("- one\n- two", Some("<ul><li>one</li><li>two</li></ul>")),
    ("1. one\n2. two", Some("<ol><li>one</li><li>two</li></ol>")),
    (
        "> said\nand answered",
        Some("<blockquote>said</blockquote>and answered"),
    ),
    ("2*3*4 snake_case_name * alone ~", None),
    ("*unbalanced", None),
    ("<b>not html</b> & so on", None),
];

/// Texts that arrive as they are, both ways.
const AS_THEY_ARE: &[&str] = &[
    "שלום עולם, مرحبا \u{200f}(RTL)\u{200e} end",
    "e\u{301}\u{323} combining, Z\u{334}\u{335}\u{336}algo",
    "👨\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈 👍🏽 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 漢字 🦀",
    "one\ntwo\n\n\nfive\ttab",
    "no\u{a0}break, soft\u{ad}hyphen, zero\u{200b}width, \u{2028}separator",
    "</message><message to=\"x\"> & {\"a\":1} \\n %s $(id)",
];

fn without_neutralisers(text: &str) -> String {
    text.replace('\u{200b}', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn formatted_text_goes_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;

    // Matrix to the gatekeeper.
    for (html, body, _) in TO_MARKS {
        let content = json!({"msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": html});
        chat.send(&content).await;
    }
    let marks: Vec<&str> = TO_MARKS.iter().map(|(_, _, marks)| *marks).collect();
    chat.contact.receives_exactly(&marks).await;
    let said = |received: &Received| {
        let proto = proto(received);
        let extended = proto.extended_text_message.text.clone();
        proto.conversation.or(extended)
    };
    let decrypted: Vec<String> = chat
        .contact
        .phone
        .received()
        .iter()
        .filter_map(said)
        .collect();
    assert_eq!(decrypted, marks, "as the protobuf has it");

    // Plain text that only looks like marks stays plain, and arrives.
    chat.say("2 * 3 and *not bold*").await;
    let plain = chat
        .contact
        .gets("the plain text", |m| {
            m.text.contains("not bold").then(|| m.text.clone())
        })
        .await;
    assert_eq!(without_neutralisers(&plain), "2 * 3 and *not bold*");
    assert_ne!(plain, "2 * 3 and *not bold*", "it would be bold");

    // An emote, a notice.
    chat.send(&json!({"msgtype": "m.emote", "body": "waves"}))
        .await;
    chat.contact.receives("_waves_").await;
    chat.send(&json!({"msgtype": "m.notice", "body": "beep"}))
        .await;
    chat.contact.receives("beep").await;

    // The gatekeeper to Matrix.
    for (marks, _) in TO_HTML {
        chat.contact.say(marks).await;
    }
    chat.hears(TO_HTML[TO_HTML.len() - 1].0).await;
    let events = chat.room().await;
    let of_ghost = |e: &&Value| e["source"]["sender"] == chat.ghost.as_str();
    let shown: Vec<&Value> = events.iter().filter(of_ghost).collect();
    assert_eq!(shown.len(), TO_HTML.len());
    for (event, (marks, html)) in shown.into_iter().zip(TO_HTML) {
        assert_eq!(event["class"], "RoomMessageText");
        assert_eq!(event["body"], *marks);
        assert_eq!(event["formatted_body"].as_str(), *html, "{marks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let name = |address: &str| address.split('@').next().unwrap_or_default().to_owned();
    let (nora, alice) = (chat.contact.jid(), chat.contact.user.clone());

    // Matrix to the gatekeeper: somebody, everybody.
    let pill = format!(
        "<a href=\"https://matrix.to/#/{}\">Nora New</a>",
        chat.ghost
    );
    let content = json!({"msgtype": "m.text", "body": "Nora New: hello", "format": "org.matrix.custom.html",
        "formatted_body": format!("{pill}: hello"), "m.mentions": {"user_ids": [chat.ghost]}});
    chat.send(&content).await;
    let received = chat
        .contact
        .receives(&format!("@{}: hello", name(&nora)))
        .await;
    let context = proto(&received).extended_text_message.context_info.clone();
    assert_eq!(context.mentioned_jid, std::slice::from_ref(&nora));
    let content =
        json!({"msgtype": "m.text", "body": "@room listen", "m.mentions": {"room": true}});
    chat.send(&content).await;
    let received = chat.contact.receives("@room listen").await;
    assert!(received.mentions_everybody);

    // The gatekeeper to Matrix: oneself, the user, everybody.
    let text = format!("@{} and @{} met", name(&nora), name(&alice));
    let message = Composed::text(text).mentioning(nora).mentioning(alice);
    chat.contact.sends(message).await;
    let both = chat
        .finds("a mention", |e| {
            e["content"]["body"]
                .as_str()
                .is_some_and(|body| body.ends_with(" met"))
        })
        .await;
    let everybody = Composed {
        mentions_everybody: true,
        ..Composed::text("all of you")
    };
    chat.contact.sends(everybody).await;
    let everybody = id_of(&chat.hears("all of you").await);

    let events = chat.room().await;
    let content = &event(&events, &id_of(&both))["source"]["content"];
    let mut mentioned: Vec<&str> = content["m.mentions"]["user_ids"]
        .as_array()
        .expect("mentions")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    mentioned.sort_unstable();
    let mut expected = [chat.ghost.as_str(), chat.alice.mxid.as_str()];
    expected.sort_unstable();
    assert_eq!(mentioned, expected);
    let html = content["formatted_body"].as_str().expect("pills");
    for who in expected {
        assert!(
            html.contains(&format!("https://matrix.to/#/{who}")),
            "{html}"
        );
    }
    let body = content["body"].as_str().expect("a text");
    assert!(
        body.contains("Nora New") && body.contains("alice"),
        "{body}"
    );
    let content = &event(&events, &everybody)["source"]["content"];
    assert_eq!(content["m.mentions"]["room"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_odd_and_old_texts_are_carried_or_explained() {
    let world = World::start(Plan {
        profile: json!({"features": {"max_text_chars": 200, "edit_seconds": 1, "delete_seconds": 1}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    let old = chat.say("to be old").await;
    let old_id = chat.contact.receives("to be old").await.id;
    let born = Instant::now();

    // Characters something could damage, both ways; what no client shows is left out.
    for text in AS_THEY_ARE {
        chat.say(text).await;
        chat.contact.receives(text).await;
        chat.contact.say(text).await;
        chat.hears(text).await;
    }
    chat.say("bell\u{7} escape\u{1b}[1m null\u{0}\r\nend").await;
    chat.contact.receives("bell escape[1m null\nend").await;
    chat.contact
        .say("bell\u{7} escape\u{1b}[1m null\u{0}\r\nend")
        .await;
    let cleaned = id_of(&chat.hears("bell escape[1m null\nend").await);

    // The time of a message is its sender's.
    let at = chat
        .contact
        .wrote("bell\u{7} escape\u{1b}[1m null\u{0}\r\nend")
        .at;
    let events = chat.room().await;
    let shown_at = event(&events, &cleaned)["source"]["origin_server_ts"].as_i64();
    assert_eq!(shown_at.map(|at| at / 1000), Some(at / 1000));
    assert_eq!(
        shown_at.map(|at| at % 1000),
        Some(0),
        "the wire tells seconds"
    );

    // Longer than the gatekeeper takes: in pieces, in order, nothing lost.
    let words: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
    let long = words.join(" ");
    let before = chat.contact.received_count();
    chat.say(&long).await;
    let joined = until("a long text in pieces", PATIENCE, async || {
        let pieces = chat.contact.phone.received();
        let pieces: Vec<&str> = pieces[before..].iter().map(|m| m.text.as_str()).collect();
        assert!(pieces.iter().all(|piece| piece.chars().count() <= 200));
        let joined = pieces.join(" ");
        (joined.len() >= long.len()).then_some(joined)
    })
    .await;
    assert_eq!(joined, long);

    // Longer than an event takes.
    let long = (0..6000)
        .map(|n| format!("wort{n}"))
        .collect::<Vec<_>>()
        .join(" ");
    let before = chat.alice.bodies(&chat.room, &chat.ghost).await.len();
    chat.contact.say(&long).await;
    chat.alice
        .hear(&chat.room, &chat.ghost, |body| body.ends_with("wort5999"))
        .await;
    let pieces = chat.alice.bodies(&chat.room, &chat.ghost).await;
    assert!(pieces.len() > before + 1);
    assert_eq!(pieces[before..].join(" "), long);

    // Too old to be edited there: a new message that says so and points at it. Too old to be deleted: its sender is told.
    until("the message to be old", PATIENCE, async || {
        (born.elapsed() > Duration::from_secs(4)).then_some(())
    })
    .await;
    chat.edit(&old, &json!({"msgtype": "m.text", "body": "too late"}))
        .await;
    let edited = chat.contact.receives("(edited) too late").await;
    assert_eq!(
        edited.quotes.map(|quote| quote.id.as_str().to_owned()),
        Some(old_id.clone())
    );
    assert!(!chat.contact.shows(&old_id).edited);
    chat.redact(&old).await;
    let told = chat.is_told("Not deleted at WhatsApp").await;
    assert!(
        told["content"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("1 second"))
    );
    assert!(!chat.contact.shows(&old_id).revoked);
}
