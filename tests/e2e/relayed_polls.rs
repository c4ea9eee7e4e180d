//! Polls and votes of those for whom a login speaks: a poll is one, and a vote is said, since a login has only one.

use drawbridge::sandbox::Message;
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, User},
    community::{Community, Phone},
    wait::until,
    world::{Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_carries_polls_and_says_votes() {
    let world = World::start(Plan {
        config: json!({
            "relay": {"enabled": true, "admins_only": false},
            "bridge": {"permissions": {"*": "relay"}},
        }),
        ..Plan::default()
    })
    .await;
    let mut community = Community::gather(&world).await;
    let mut bob = community.member(&world, "bob", "Bob").await;
    let mut carol = community.member(&world, "carol", "Carol").await;
    community.link_group().await;
    a_poll_of_a_member_is_voted_in(&mut community, &mut bob, &mut carol).await;
    votes_in_a_poll_of_the_group_are_said(&mut community, &mut bob).await;
}

async fn a_poll_of_a_member_is_voted_in(
    community: &mut Community,
    bob: &mut User,
    carol: &mut User,
) {
    let room = community.room.clone();
    let answer = |id: &str, text: &str| json!({"id": id, "org.matrix.msc1767.text": text});
    let start = json!({"org.matrix.msc3381.poll.start": {
            "question": {"org.matrix.msc1767.text": "Which jam?"},
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "answers": [answer("a", "plum"), answer("b", "quince")]},
        "org.matrix.msc1767.text": "Which jam?\n1. …"});
    let asked = bob
        .send(&room, "org.matrix.msc3381.poll.start", &start)
        .await;
    let livia = &community.livia;
    let line = livia.gets("*Bob* sent a poll:").await;
    let poll = livia.gets("Which jam?").await;
    let options = &poll.content.poll().expect("a poll").options;
    assert_eq!(options, &["plum", "quince"]);
    assert_eq!(livia.texts(), ["*Bob* sent a poll:", "Which jam?"]);

    // Who has an account at the gatekeeper votes; the others' votes are said.
    livia.votes(&poll.id, &["quince"]).await;
    let ghost = livia.ghost();
    community
        .alice
        .watch("the vote of a phone", |seen| {
            let is_it = |e: &&Value| {
                e["sender"] == ghost.as_str()
                    && e["content"]["m.relates_to"]["event_id"] == asked.as_str()
            };
            let vote = seen.timeline(&room).iter().rfind(is_it)?;
            let answers = &vote["content"]["org.matrix.msc3381.poll.response"]["answers"];
            (*answers == json!(["b"])).then_some(())
        })
        .await;
    votes(&mut community.alice, &room, &asked, &["a"]).await;
    let livia = &community.livia;
    livia.counts(&poll.id, "plum", &community.own).await;
    for (answers, said) in [
        (&["b"][..], "*Carol* votes for quince"),
        (&[], "*Carol* votes for nothing"),
    ] {
        votes(carol, &room, &asked, answers).await;
        let said = livia.gets(said).await;
        assert_eq!(said.quotes.expect("a quote").id.as_str(), poll.id);
    }
    livia.counts(&poll.id, "plum", &community.own).await;
    livia.counts(&poll.id, "quince", &livia.jid()).await;

    // The poll is deleted with what was said before it.
    bob.redact(&room, &asked).await;
    for id in [&line.id, &poll.id] {
        let gone = |m: &Message| (m.id == *id && m.revoked).then_some(());
        livia.sees("the poll deleted", gone).await;
    }
    let left = livia.shows().into_iter().filter(|m| !m.revoked);
    let left: Vec<String> = left.map(|m| m.text.replace('\u{200b}', "")).collect();
    assert_eq!(
        left,
        ["*Carol* votes for quince", "*Carol* votes for nothing"]
    );
}

async fn votes_in_a_poll_of_the_group_are_said(community: &mut Community, bob: &mut User) {
    let room = community.room.clone();
    let livia = &community.livia;
    let poll = livia
        .handle
        .send_poll(&livia.group, "Tea or coffee?", &["tea", "coffee"], 0);
    let poll = poll.await.expect("a poll");
    let ghost = livia.ghost();
    let (asked, start) = community
        .alice
        .watch("the poll of a phone", |seen| {
            let is_it = |e: &&Value| {
                e["sender"] == ghost.as_str() && e["type"] == "org.matrix.msc3381.poll.start"
            };
            let event = seen.timeline(&room).iter().find(is_it)?;
            let id = event["event_id"].as_str()?.to_owned();
            Some((
                id,
                event["content"]["org.matrix.msc3381.poll.start"].clone(),
            ))
        })
        .await;
    let ids: Vec<&str> = start["answers"]
        .as_array()
        .expect("answers")
        .iter()
        .filter_map(|answer| answer["id"].as_str())
        .collect();
    votes(bob, &room, &asked, &ids).await;
    let livia = &community.livia;
    let said = livia.gets("*Bob* votes for tea, coffee").await;
    assert_eq!(said.quotes.expect("a quote").id.as_str(), poll);
    votes(&mut community.alice, &room, &asked, &ids[1..]).await;
    livia.counts(&poll, "coffee", &community.own).await;
    let tally = livia.handle.tally(&livia.group, &poll);
    let voters: usize = tally.iter().map(|(_, voters)| voters.len()).sum();
    assert_eq!(voters, 1, "{tally:?}");
}

/// A user votes in a poll.
async fn votes(user: &mut User, room: &str, poll: &str, answers: &[&str]) {
    let content = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": poll},
        "org.matrix.msc3381.poll.response": {"answers": answers}});
    user.send(room, "org.matrix.msc3381.poll.response", &content)
        .await;
}

impl Phone {
    /// Votes in a poll of somebody else's.
    async fn votes(&self, poll: &str, options: &[&str]) {
        let voted = self.handle.vote(&self.group, poll, false, options).await;
        voted.expect("a phone can always vote");
    }

    /// Waits until somebody has voted for an option of a poll.
    async fn counts(&self, poll: &str, option: &str, voter: &str) {
        let voter = voter.parse().expect("an address");
        until(&format!("a vote for {option}"), PATIENCE, async || {
            let tally = self.handle.tally(&self.group, poll);
            let (_, voters) = tally.into_iter().find(|(text, _)| text == option)?;
            voters.contains(&voter).then_some(())
        })
        .await;
    }
}
