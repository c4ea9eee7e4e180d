//! Places, contact cards, polls, previews of links, and what nobody has a name for, both ways.

use drawbridge::sandbox::{
    Received,
    content::{Card, Composed, Content, Location, Preview},
};
use serde_json::{Value, json};

use super::{
    chat::{Chat, event, id_of},
    client::PATIENCE,
    contact::proto,
    pictures,
    wait::until,
    world::{MARKED, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn places_cards_and_previews_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    a_place_reaches_the_gatekeeper(&mut chat).await;
    places_reach_matrix(&mut chat).await;
    contact_cards_reach_matrix(&mut chat).await;
    a_preview_reaches_the_gatekeeper(&mut chat).await;
    a_preview_reaches_matrix(&mut chat).await;
    // An ordinary client takes none of it to be malformed.
    chat.room().await;
}

async fn a_place_reaches_the_gatekeeper(chat: &mut Chat) {
    let name = format!("the {MARKED} factory");
    let uri = "geo:52.5163,13.3777;u=35";
    let content = json!({"msgtype": "m.location", "body": name, "geo_uri": uri,
        "org.matrix.msc3488.location": {"uri": uri, "description": name}});
    chat.send(&content).await;
    let (place, says) = chat
        .contact
        .gets("a place", |m| match &m.content {
            Content::Location(place) => Some((place.clone(), proto(m).location_message)),
            _ => None,
        })
        .await;
    assert!(says.is_set());
    assert!((place.latitude - 52.5163).abs() < 1e-6, "{place:?}");
    assert!((place.longitude - 13.3777).abs() < 1e-6, "{place:?}");
    assert_eq!((place.name, place.accuracy), (Some(name), Some(35)));
}

async fn places_reach_matrix(chat: &mut Chat) {
    let name = format!("the {MARKED} shop");
    let place = Location {
        name: Some(name.clone()),
        address: Some("Dundee".to_owned()),
        accuracy: Some(20),
        ..Location::at(56.4622, -2.9709)
    };
    let live = Location {
        live: true,
        ..Location::at(1.5, 2.5)
    };
    for (place, uri, says) in [
        (place, "geo:56.4622,-2.9709;u=20", [name.as_str(), "Dundee"]),
        (live, "geo:1.5,2.5", ["Live", "1.5, 2.5"]),
    ] {
        chat.contact.sends_place(place).await;
        let is_it = |e: &Value| e["content"]["geo_uri"] == uri;
        let shown = chat.finds(uri, is_it).await;
        assert_eq!(shown["content"]["msgtype"], "m.location");
        let body = shown["content"]["body"].as_str().expect("a text");
        assert!(says.iter().all(|what| body.contains(what)), "{body}");
    }
    let is_notice = |e: &Value| e["content"]["msgtype"] == "m.notice";
    chat.finds("that it is not followed", is_notice).await;
}

async fn contact_cards_reach_matrix(chat: &mut Chat) {
    let card = |name: &str| {
        let vcard =
            format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL:+49 155 5550199\nEND:VCARD\n");
        let name = name.to_owned();
        Card { name, vcard }
    };
    let cards = ["Ada Lovelace", "Grace Hopper", "Mary Somerville"].map(card);
    chat.contact.sends_cards(cards[..1].to_vec()).await;
    chat.contact.sends_cards(cards[1..].to_vec()).await;
    for card in &cards {
        let shown = chat
            .finds(&card.name, |e| {
                let body = e["content"]["body"].as_str();
                body.is_some_and(|body| body.contains(&card.name))
            })
            .await;
        let body = shown["content"]["body"].as_str().expect("a text");
        assert!(body.contains("+49 155 5550199"), "{body}");
    }
}

const URL: &str = "https://example.org/jam";

async fn a_preview_reaches_the_gatekeeper(chat: &mut Chat) {
    let text = format!("see {URL}");
    let content = json!({"msgtype": "m.text", "body": text,
        "com.beeper.linkpreviews": [{"matched_url": URL, "og:url": URL,
            "og:title": "How to make jam", "og:description": "Slowly."}]});
    chat.send(&content).await;
    let message = chat.contact.receives(&text).await;
    let Content::Text {
        preview: Some(preview),
    } = &message.content
    else {
        panic!("no preview: {message:?}");
    };
    assert_eq!(preview.url, URL);
    assert_eq!(preview.title, "How to make jam");
    let says = proto(&message).extended_text_message;
    assert_eq!(says.matched_text.as_deref(), Some(URL));
}

async fn a_preview_reaches_matrix(chat: &mut Chat) {
    let preview = Preview {
        url: URL.to_owned(),
        title: "Jam".to_owned(),
        description: "Slowly".to_owned(),
        thumbnail: pictures::jpeg(60, 60),
    };
    let text = format!("look at {URL}");
    let message = Composed {
        content: Content::Text {
            preview: Some(preview),
        },
        ..Composed::text(&text)
    };
    chat.contact.sends(message).await;
    let shown = chat.hears(&text).await;
    let preview = &shown["content"]["com.beeper.linkpreviews"][0];
    assert_eq!(preview["matched_url"], URL);
    assert_eq!(preview["og:title"], "Jam");
    assert_eq!(preview["og:description"], "Slowly");
    let picture = preview["og:image"].as_str().expect("a picture");
    let picture = chat.alice.download(picture).await;
    assert_eq!(pictures::dimensions(&picture), (60, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    a_poll_of_matrix_is_voted_in(&mut chat).await;
    a_poll_of_the_gatekeeper_is_voted_in(&mut chat).await;
}

async fn a_poll_of_matrix_is_voted_in(chat: &mut Chat) {
    let alice = chat.contact.user.clone();
    let answer = |id: &str, text: &str| json!({"id": id, "org.matrix.msc1767.text": text});
    let question = json!({"org.matrix.msc1767.text": "Which jam?"});
    let start = json!({"org.matrix.msc3381.poll.start": {"question": question,
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "answers": [answer("a", MARKED), answer("b", "quince"), answer("c", "plum")]},
        "org.matrix.msc1767.text": "Which jam?\n1. …"});
    let asked = chat
        .alice
        .send(&chat.room, "org.matrix.msc3381.poll.start", &start)
        .await;
    let poll = chat
        .contact
        .gets("a poll", |m| m.content.poll().is_some().then(|| m.clone()))
        .await;
    assert_eq!(poll.text, "Which jam?");
    let options = &poll.content.poll().expect("a poll").options;
    assert_eq!(options, &[MARKED, "quince", "plum"]);
    assert_eq!(poll.content.poll().expect("a poll").selectable, 1);
    let says = proto(&poll);
    assert!(says.poll_creation_message_v3.is_set() || says.poll_creation_message.is_set());

    // Votes in it from both sides, changed and taken back.
    chat.contact.votes(&poll.id, false, &["quince"]).await;
    chat.sees_vote(&asked, &["b"]).await;
    chat.contact.votes(&poll.id, false, &["plum"]).await;
    chat.sees_vote(&asked, &["c"]).await;
    for (answers, tally) in [
        (vec!["a"], Some(MARKED)),
        (vec!["b"], Some("quince")),
        (vec![], None),
    ] {
        chat.votes(&asked, &answers).await;
        chat.contact.counts(&poll.id, &alice, tally).await;
    }
    chat.contact.votes(&poll.id, false, &[]).await;
    chat.sees_vote(&asked, &[]).await;

    // Its end is told.
    let end = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": asked},
        "org.matrix.msc3381.poll.end": {}, "org.matrix.msc1767.text": "The poll has ended."});
    chat.alice
        .send(&chat.room, "org.matrix.msc3381.poll.end", &end)
        .await;
    chat.contact
        .gets("the end of the poll", |m| {
            let quotes = m.quotes.as_ref().map(|quote| quote.id.as_str());
            (m.text == "The poll has ended." && quotes == Some(poll.id.as_str())).then_some(())
        })
        .await;
}

async fn a_poll_of_the_gatekeeper_is_voted_in(chat: &mut Chat) {
    let alice = chat.contact.user.clone();
    let nora = chat.contact.jid();
    let poll = chat
        .contact
        .asks("Tea or coffee?", &["tea", "coffee", "both"], 2)
        .await;
    let asked = chat
        .finds("a poll", |e| e["type"] == "org.matrix.msc3381.poll.start")
        .await;
    let asked_id = id_of(&asked);
    let start = &asked["content"]["org.matrix.msc3381.poll.start"];
    assert_eq!(
        start["question"]["org.matrix.msc1767.text"],
        "Tea or coffee?"
    );
    assert_eq!(start["max_selections"], 2);
    let answers = start["answers"].as_array().expect("answers");
    let texts: Vec<&Value> = answers
        .iter()
        .map(|a| &a["org.matrix.msc1767.text"])
        .collect();
    assert_eq!(texts, ["tea", "coffee", "both"]);
    let ids: Vec<&str> = answers.iter().filter_map(|a| a["id"].as_str()).collect();
    assert_eq!(ids.len(), 3);

    // Votes in it from both sides.
    chat.votes(&asked_id, &[ids[0], ids[2]]).await;
    chat.contact.counts(&poll, &alice, Some("tea")).await;
    chat.contact.counts(&poll, &alice, Some("both")).await;
    chat.votes(&asked_id, &[ids[1]]).await;
    chat.contact.counts(&poll, &alice, Some("coffee")).await;
    chat.contact.votes(&poll, true, &["coffee"]).await;
    chat.contact.counts(&poll, &nora, Some("coffee")).await;
    chat.sees_vote(&asked_id, &[ids[1]]).await;

    // What an ordinary client without polls shows instead.
    let events = chat.room().await;
    let fallback =
        event(&events, &asked_id)["source"]["content"]["org.matrix.msc1767.text"].as_str();
    assert!(fallback.is_some_and(|text| text.contains("Tea or coffee?") && text.contains("both")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_a_name_for_is_told() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;

    // A kind the bridge does not carry, and bytes that are no message: each a notice, and what comes after goes on.
    let event = Composed {
        text: "Jam session".to_owned(),
        ..Composed::of(Content::Event)
    };
    chat.contact.sends(event).await;
    let is_notice = |e: &Value| e["content"]["msgtype"] == "m.notice";
    let notice = chat
        .finds("a notice that names the kind", |e| {
            let body = e["content"]["body"].as_str();
            is_notice(e) && body.is_some_and(|body| body.contains("event"))
        })
        .await;
    chat.contact.sends_raw(&[0xff, 0xff, 0xff]).await;
    chat.finds("a notice for bytes", |e| {
        is_notice(e) && id_of(e) != id_of(&notice)
    })
    .await;
    chat.contact.say("and on it goes").await;
    chat.hears("and on it goes").await;

    // From Matrix: told to the sender, nothing reaches the other side.
    let odd = json!({"msgtype": "org.example.odd", "body": "odd"});
    chat.send(&odd).await;
    chat.is_told("Not sent to WhatsApp").await;
    chat.alice
        .send(&chat.room, "org.example.unheard", &json!({"a": 1}))
        .await;
    chat.say("the last").await;
    chat.contact.receives("the last").await;
    let received: Vec<Received> = chat.contact.phone.received();
    assert_eq!(received.len(), 1, "{received:?}");
}

impl Chat {
    /// The user votes in a poll.
    async fn votes(&mut self, poll: &str, answers: &[&str]) {
        let content = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": poll},
            "org.matrix.msc3381.poll.response": {"answers": answers}});
        let kind = "org.matrix.msc3381.poll.response";
        self.alice.send(&self.room, kind, &content).await;
    }

    /// Waits until the contact's newest vote in a poll is for these answers.
    async fn sees_vote(&mut self, poll: &str, answers: &[&str]) {
        let (room, ghost) = (&self.room, &self.ghost);
        let is_vote = |e: &&Value| {
            e["sender"] == ghost.as_str()
                && e["type"] == "org.matrix.msc3381.poll.response"
                && e["content"]["m.relates_to"]["event_id"] == poll
        };
        self.alice
            .watch(&format!("the contact's vote for {answers:?}"), |seen| {
                let newest = seen.timeline(room).iter().rfind(is_vote)?;
                let voted = &newest["content"]["org.matrix.msc3381.poll.response"]["answers"];
                (*voted == json!(answers)).then_some(())
            })
            .await;
    }
}

impl super::contact::Contact {
    /// Waits until somebody's vote in a poll is for an option, or for none.
    async fn counts(&self, poll: &str, voter: &str, option: Option<&str>) {
        let voter = voter.parse().expect("an address");
        until(&format!("a vote for {option:?}"), PATIENCE, async || {
            let tally = self.phone.tally(&self.user, poll);
            let chosen = tally.iter().filter(|(_, voters)| voters.contains(&voter));
            let chosen: Vec<&str> = chosen.map(|(text, _)| text.as_str()).collect();
            let as_it_should_be = match option {
                Some(option) => chosen.contains(&option),
                None => chosen.is_empty(),
            };
            as_it_should_be.then_some(())
        })
        .await;
    }
}
