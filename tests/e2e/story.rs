//! The main story, on each engine: log in, start a chat, write both ways, answer, read.

use drawbridge::sandbox::Flavour;

use super::{
    contact::Contact,
    management::{Desk, ghost_of},
    world::{Engine, Plan, World},
};

/// Texts that something on the way could damage.
const TEXTS: &[&str] = &[
    "plain",
    "two\nlines\n\nand a gap",
    "  spaces at both ends  ",
    "ünïcödé ñ 漢字 🦀 e\u{301} \u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "<b>not html</b> & *not* _markup_ `nor` [this](x)",
    "a \"quote\", a \\ and a 'quote'",
    "> looks like a fallback\n\nbut is not one",
];

/// A text without what keeps its characters from being taken for marks.
fn plain(text: &str) -> String {
    text.replace('\u{200b}', "")
}

async fn story(engine: Engine) {
    let world = World::start(Plan {
        engine,
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let room = desk
        .start_chat(&mut alice, &format!("whatsapp {}", contact.number()))
        .await;
    let ghost = ghost_of(&alice, &room).await;
    let name = alice.display_name(&ghost).await;
    assert!(name.is_some_and(|name| name.ends_with("(WhatsApp)")));

    // Matrix to the gatekeeper: each text once, in order, exactly.
    let mut events = Vec::new();
    for text in TEXTS {
        events.push(alice.say(&room, text).await);
    }
    let last = TEXTS.len() - 1;
    contact
        .gets("the last text", |m| {
            (plain(&m.text) == TEXTS[last]).then_some(())
        })
        .await;
    let received = contact.phone.received();
    let received: Vec<String> = received.iter().map(|m| plain(&m.text)).collect();
    assert_eq!(received, TEXTS);

    // The gatekeeper to Matrix.
    for text in TEXTS {
        contact.say(text).await;
    }
    alice
        .hear(&room, &ghost, |body| body == TEXTS[TEXTS.len() - 1])
        .await;
    assert_eq!(alice.bodies(&room, &ghost).await, TEXTS);

    // Answers, both ways.
    let theirs = alice.hear(&room, &ghost, |body| body == "plain").await;
    let theirs = theirs["event_id"].as_str().expect("an id").to_owned();
    events.push(alice.reply(&room, &theirs, "an answer").await);
    let answer = contact.receives("an answer").await;
    let quoted = answer.quotes.expect("it quotes");
    assert_eq!(quoted.id.as_str(), contact.wrote("plain").id);
    assert_eq!(quoted.sender.map(String::from), Some(contact.jid()));
    contact.reply("plain", "and an answer back").await;
    let back = alice
        .hear(&room, &ghost, |body| body == "and an answer back")
        .await;
    assert_eq!(
        back["content"]["m.relates_to"]["m.in_reply_to"]["event_id"],
        events[0].as_str()
    );

    // Read receipts, both ways.
    let last = events.last().expect("an event").clone();
    contact.read();
    alice
        .watch("the contact's read receipt", |seen| {
            seen.has_read(&room, &last, &ghost).then_some(())
        })
        .await;
    alice
        .read(&room, back["event_id"].as_str().expect("an id"))
        .await;
    contact.sees_read("and an answer back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_goes_both_ways_on_sqlite() {
    story(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_goes_both_ways_on_postgres() {
    story(Engine::Postgres).await;
}
