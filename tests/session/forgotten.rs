//! What is told and forgotten, over a connection: who is writing, who is there.

use drawbridge::{
    domain::{RemoteUserId, Typing},
    network::{
        ConnectionState, Network,
        interop::{
            ConnectionPolicy,
            wire::{Jid, Node},
        },
    },
};

use super::{
    connection::logged_in,
    peer::Peer,
    stage::{MXID, Stage, USER, chat},
};

fn user() -> Jid {
    USER.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logins_user_is_seen_writing_and_there() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let gatekeeper = &stage.gatekeeper;
    for state in [Typing::Composing, Typing::Recording, Typing::Paused] {
        gatekeeper.typing(login, &chat(), state);
        let told = line.next().await;
        assert_eq!(told.tag, "chatstate");
        assert_eq!(told.jid("to"), Some(user()));
        let tag = if state == Typing::Paused {
            "paused"
        } else {
            "composing"
        };
        assert!(told.find(tag).is_some(), "{told:?}");
    }
    for (available, kind) in [(true, "available"), (false, "unavailable")] {
        gatekeeper.presence(login, available);
        let told = line.next().await;
        assert_eq!(told.tag, "presence");
        assert_eq!(told.attr("type").as_deref(), Some(kind));
    }
    // Nothing of it is kept.
    assert_eq!(stage.queue_length(login).await, 0);
    gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_told_that_the_user_is_there_and_nothing_that_is_old() {
    let (peer, stage, login, line) = logged_in(ConnectionPolicy::Always).await;
    drop(line);
    stage
        .until_state(login, |state| *state != ConnectionState::Connected)
        .await;
    stage.gatekeeper.typing(login, &chat(), Typing::Composing);
    stage.gatekeeper.presence(login, true);
    let mut line = peer.log_in().await;
    stage
        .until_state(login, |state| *state == ConnectionState::Connected)
        .await;
    stage
        .send(login, "M1", "the first thing that is sent")
        .await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let node = line.next().await;
        let what = node.attr("id").or_else(|| node.attr("type"));
        told.push((node.tag.to_string(), what.map(String::from)));
    }
    told.sort();
    let expected = [("message", "M1"), ("presence", "available")];
    let expected = expected.map(|(tag, what)| (tag.to_owned(), Some(what.to_owned())));
    assert_eq!(told, expected);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_connects_to_say_that_somebody_writes() {
    let idle = ConnectionPolicy::OnDemand { idle_ms: 200 };
    let (peer, stage, login, mut line) = logged_in(idle).await;
    while line.next_or_end().await.is_some() {}
    stage
        .until_state(login, |state| *state == ConnectionState::Idle)
        .await;
    stage.gatekeeper.typing(login, &chat(), Typing::Composing);
    stage.gatekeeper.presence(login, true);
    let connected = tokio::time::timeout(std::time::Duration::from_millis(300), peer.accept());
    assert!(connected.await.is_err());
    assert_eq!(stage.gatekeeper.connection(login), ConnectionState::Idle);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gatekeeper_without_typing_is_told_nothing() {
    let peer = Peer::start().await;
    let mut layer = peer.profile_layer();
    layer["features"] = serde_json::json!({ "typing": false, "presence": false });
    let stage = Stage::new(&layer, ConnectionPolicy::Always).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let login = login.unwrap();
    stage.gatekeeper.typing(login, &chat(), Typing::Composing);
    stage.gatekeeper.presence(login, true);
    line.send(Node::new("nonsense").with("id", "S1")).await;
    assert_eq!(line.next().await.tag, "ack");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_heard_writing_coming_and_going() {
    let (_peer, stage, _login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let state = || Node::new("chatstate").with("from", user());
    line.send(state().child(Node::new("composing"))).await;
    // In a direct chat nobody speaks for somebody else.
    let stranger = Jid::user("4915155559999", "s.whatsapp.net");
    let forged = state().with("participant", &stranger);
    line.send(forged.child(Node::new("composing"))).await;
    line.send(state().child(Node::new("paused"))).await;
    let group = Node::new("chatstate")
        .with("from", "1-2@g.us")
        .with("participant", &stranger);
    line.send(group.child(Node::new("composing"))).await;
    let who = RemoteUserId::parse(USER).unwrap();
    let heard = stage.until_typing(3).await;
    assert_eq!(heard[0], (chat(), who.clone(), Typing::Composing));
    assert_eq!(heard[1], (chat(), who.clone(), Typing::Paused));
    assert_eq!(heard[2].0.as_str(), "1-2@g.us");
    assert_eq!(heard[2].1.as_str(), stranger.to_string());

    let presence = |from: &str| Node::new("presence").with("from", from);
    line.send(presence("s.whatsapp.net")).await;
    line.send(presence(USER)).await;
    line.send(presence(USER).with("type", "unavailable")).await;
    assert_eq!(
        stage.until_presence(2).await,
        [(who.clone(), true), (who, false)]
    );
    stage.gatekeeper.stop().await;
}
