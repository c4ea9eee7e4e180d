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

    // A place, Matrix to the gatekeeper.
    let name = format!("the {MARKED} factory");
    let content = json!({"msgtype": "m.location", "body": name, "geo_uri": "geo:52.5163,13.3777;u=35",
        "org.matrix.msc3488.location": {"uri": "geo:52.5163,13.3777;u=35", "description": name}});
    chat.send(&content).await;
    let place = chat
        .contact
        .gets("a place", |m| match &m.content {
            Content::Location(place) => Some((place.clone(), proto(m).location_message)),
            _ => None,
        })
        .await;
    assert!(
        (place.0.latitude - 52.5163).abs() < 1e-6 && (place.0.longitude - 13.3777).abs() < 1e-6
    );
    assert_eq!(place.0.name, Some(name.clone()));
    assert!(place.1.is_set());

    // The gatekeeper to Matrix.
    let place = Location {
        name: Some(name.clone()),
        address: Some("Dundee".to_owned()),
        accuracy: Some(20),
        ..Location::at(56.4622, -2.9709)
    };
    chat.contact.sends_place(place).await;
    let is_place = |e: &Value| e["content"]["msgtype"] == "m.location";
    let shown = chat.finds("a place", is_place).await;
    let live = Location {
        live: true,
        ..Location::at(1.5, 2.5)
    };
    chat.contact.sends_place(live).await;
    let is_live = |e: &Value| {
        let uri = e["content"]["geo_uri"].as_str();
        is_place(e) && uri.is_some_and(|uri| uri.starts_with("geo:1.5,2.5"))
    };
    let live = chat.finds("a live place", is_live).await;
    let uri = shown["content"]["geo_uri"].as_str().expect("a place");
    assert!(uri.starts_with("geo:56.4622,-2.9709"), "{uri}");
    let body = shown["content"]["body"].as_str().expect("a text");
    assert!(body.contains(&name) && body.contains("Dundee"), "{body}");
    let body = live["content"]["body"].as_str().expect("a text");
    assert!(body.to_lowercase().contains("live"), "{body}");

    // Contact cards, one and two.
    let card = |name: &str| Card {
        name: name.to_owned(),
        vcard: format!(
            "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL:+49 155 5550199\nEND:VCARD\n"
        ),
    };
    chat.contact.sends_cards(vec![card("Ada Lovelace")]).await;
    chat.contact
        .sends_cards(vec![card("Grace Hopper"), card("Mary Somerville")])
        .await;
    for name in ["Ada Lovelace", "Grace Hopper", "Mary Somerville"] {
        let is_card = |e: &Value| {
            let said = e["content"].to_string();
            e["type"] == "m.room.message" && said.contains(name)
        };
        let shown = chat.finds(name, is_card).await;
        let uri = shown["content"]["url"].as_str();
        let said = match uri {
            Some(uri) => String::from_utf8_lossy(&chat.alice.download(uri).await).into_owned(),
            None => shown["content"]["body"].to_string(),
        };
        assert!(said.contains("+49 155 5550199"), "{said}");
    }

    // A preview of a link, Matrix to the gatekeeper.
    let url = "https://example.org/jam";
    let content = json!({"msgtype": "m.text", "body": format!("see {url}"),
        "com.beeper.linkpreviews": [{"matched_url": url, "og:url": url, "og:title": "How to make jam",
            "og:description": "Slowly."}]});
    chat.send(&content).await;
    let message = chat.contact.receives(&format!("see {url}")).await;
    let Content::Text {
        preview: Some(preview),
    } = &message.content
    else {
        panic!("no preview: {message:?}");
    };
    assert_eq!(
        (preview.url.as_str(), preview.title.as_str()),
        (url, "How to make jam")
    );
    assert_eq!(
        proto(&message)
            .extended_text_message
            .matched_text
            .as_deref(),
        Some(url)
    );

    // The gatekeeper to Matrix, with its picture.
    let preview = Preview {
        url: url.to_owned(),
        title: "Jam".to_owned(),
        description: "Slowly".to_owned(),
        thumbnail: pictures::jpeg(60, 60),
    };
    let message = Composed {
        content: Content::Text {
            preview: Some(preview),
        },
        ..Composed::text(format!("look at {url}"))
    };
    chat.contact.sends(message).await;
    let shown = chat.hears(&format!("look at {url}")).await;
    let preview = &shown["content"]["com.beeper.linkpreviews"][0];
    assert_eq!(preview["matched_url"], url);
    assert_eq!(
        (&preview["og:title"], &preview["og:description"]),
        (&json!("Jam"), &json!("Slowly"))
    );
    let picture = preview["og:image"].as_str().expect("a picture");
    assert_eq!(
        pictures::dimensions(&chat.alice.download(picture).await),
        (60, 60)
    );
    // Nobody is sent where the sender did not point.
    chat.room().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_go_both_ways() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let alice = chat.contact.user.clone();
    let nora = chat.contact.jid();

    // Asked in Matrix.
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

    // Asked at the gatekeeper.
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
