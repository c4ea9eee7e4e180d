//! A login's connection against a gatekeeper whose every stanza is decided here.

use drawbridge::{
    domain::LoginId,
    network::{
        ConnectionState, Enqueued, Network,
        interop::{
            ConnectionPolicy,
            partner::PushSink,
            wire::{Jid, Node},
        },
    },
    store::{LoginState, RemoteNotice},
};

use super::{
    peer::{Line, Peer, bundle},
    stage::{MXID, Stage, USER, chat},
    websocket,
};

fn user() -> Jid {
    USER.parse().unwrap()
}

fn ack(stanza: &Node) -> Node {
    Node::new("ack")
        .with("class", stanza.tag.as_ref())
        .with("id", stanza.attr("id").expect("an id").into_owned())
        .with("from", user())
        .with_opt("type", (stanza.tag != "message").then_some("read"))
}

/// A login, connected, with a session with [`USER`].
pub(crate) async fn logged_in(policy: ConnectionPolicy) -> (Peer, Stage, LoginId, Line) {
    let peer = Peer::start().await;
    let stage = Stage::new(&peer.profile_layer(), policy).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let login = login.unwrap();
    line.users.push(bundle(&user()));
    let prepared = {
        let chat = chat();
        let prepare = stage.gatekeeper.prepare(login, &chat);
        tokio::join!(prepare, line.until_asked("key")).0
    };
    prepared.unwrap();
    (peer, stage, login, line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_enlisted_connected_and_gets_prekeys() {
    let peer = Peer::start().await;
    let stage = Stage::new(&peer.profile_layer(), ConnectionPolicy::Always).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let login = login.unwrap();
    let row = stage.row(login).await;
    assert_eq!(row.state, LoginState::Active);
    assert_eq!(
        row.remote_login.as_deref(),
        Some("1-10853634039893@interop")
    );
    assert_eq!(row.visible_id, MXID);
    assert_eq!(line.payload.account_id, 10_853_634_039_893);
    let upload = line.until_asked("list").await;
    assert_eq!(upload.attr("xmlns").as_deref(), Some("encrypt"));
    assert_eq!(upload.find("list").unwrap().children().len(), 812);
    line.until_asked("count").await;
    // A second time is the same login.
    assert_eq!(stage.gatekeeper.log_in(MXID).await.unwrap(), login);
    assert_eq!(peer.enlistments().len(), 1);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_stays_queued_until_it_is_acknowledged() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    stage.send(login, "M1", "one").await;
    stage.send(login, "M2", "two").await;
    let (first, second) = (line.next().await, line.next().await);
    assert_eq!(first.attr("id").as_deref(), Some("M1"));
    assert_eq!(second.attr("id").as_deref(), Some("M2"));
    assert_eq!(first.jid("to"), Some(user()));
    assert_eq!(stage.queue_length(login).await, 2);
    line.send(ack(&first)).await;
    line.send(ack(&second)).await;
    stage.until_sent(login).await;
    assert_eq!(stage.enqueue(login, "M1", "one").await, Enqueued::Known);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_flight_goes_again_with_the_same_bytes() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    for number in 0..100 {
        stage.send(login, &format!("M{number}"), "text").await;
    }
    let mut sent = Vec::new();
    for _ in 0..100 {
        sent.push(line.next().await);
    }
    line.send(ack(&sent[0])).await;
    line.send(ack(&sent[1])).await;
    stage.until_queued(login, 98).await;
    drop(line);
    let mut line = peer.log_in().await;
    for before in &sent[2..] {
        assert_eq!(line.next().await, *before);
    }
    for stanza in &sent[2..] {
        line.send(ack(stanza)).await;
    }
    stage.until_sent(login).await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_leaves_the_queue_and_the_room_is_told() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    stage.send(login, "M1", "one").await;
    let stanza = line.next().await;
    line.send(ack(&stanza).with("error", "479")).await;
    stage.until_heard().await;
    assert_eq!(stage.queue_length(login).await, 0);
    assert!(stage.inbox(login).await[0].message.notice.is_some());
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_asked_for_again_and_acknowledged() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let message = Node::new("message")
        .with("id", "A1")
        .with("from", user())
        .with("t", "1700000000")
        .with("type", "text")
        .child(
            Node::new("enc")
                .with("v", "2")
                .with("type", "msg")
                .bytes(vec![0x33; 60]),
        );
    line.send(message).await;
    let receipt = line.next().await;
    assert_eq!(receipt.attr("type").as_deref(), Some("retry"));
    let answer = line.next().await;
    assert_eq!(answer.tag, "ack");
    assert_eq!(answer.attr("id").as_deref(), Some("A1"));
    // It was committed before it was acknowledged.
    let inbox = stage.inbox(login).await;
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].message.plaintext, None);
    stage.until_heard().await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_could_not_be_read_is_sent_again() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    for id in ["M1", "M2"] {
        stage.send(login, id, "text").await;
        let stanza = line.next().await;
        line.send(ack(&stanza)).await;
    }
    stage.until_sent(login).await;
    let registration = line.users[0].find("registration").unwrap().clone();
    let retry = Node::new("receipt")
        .with("id", "M1")
        .with("from", user())
        .with("type", "retry")
        .child(
            Node::new("retry")
                .with("count", "1")
                .with("id", "M1")
                .with("t", "1700000000")
                .with("v", "1"),
        )
        .child(registration);
    line.send(retry).await;
    // Both are after the commit; which is first does not matter.
    let mut answers = [line.next().await, line.next().await];
    answers.sort_by(|a, b| a.tag.cmp(&b.tag));
    let [acknowledged, message] = answers;
    assert_eq!(acknowledged.attr("class").as_deref(), Some("receipt"));
    assert_eq!(message.attr("id").as_deref(), Some("M1"));
    assert_eq!(message.find("enc").unwrap().number("count"), Some(1));
    line.send(ack(&message)).await;
    stage.until_sent(login).await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_identity_is_fetched_and_the_room_is_told() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    line.users = vec![bundle(&user())];
    line.asked.clear();
    let notification = Node::new("notification")
        .with("id", "N1")
        .with("from", user())
        .with("type", "encrypt")
        .child(Node::new("identity"));
    line.send(notification).await;
    let fetch = line.until_asked("key").await;
    let wanted = &fetch.find("key").unwrap().children()[0];
    assert_eq!(wanted.attr("reason").as_deref(), Some("identity"));
    stage.until_heard().await;
    let inbox = stage.inbox(login).await;
    assert_eq!(inbox[0].message.notice, Some(RemoteNotice::IdentityChanged));
    assert_eq!(line.next().await.attr("id").as_deref(), Some("N1"));
    stage.send(login, "M1", "for the new key").await;
    let enc = line.next().await.find("enc").unwrap().clone();
    assert_eq!(enc.attr("type").as_deref(), Some("pkmsg"));
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_root_key_does_not_vouch_for_gets_nothing() {
    let peer = Peer::start().await;
    let mut layer = peer.profile_layer();
    layer["root_key"] = "5f".repeat(32).into();
    let stage = Stage::new(&layer, ConnectionPolicy::Always).await;
    let (login, refused) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.refused());
    assert!(refused, "the login's payload was sent");
    let login = login.unwrap();
    let ConnectionState::Waiting { reason, .. } = stage.gatekeeper.connection(login) else {
        panic!("it does not wait");
    };
    assert!(reason.contains("certificate"), "{reason}");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_carries_the_same_in_pieces_of_any_size() {
    let peer = Peer::start().await;
    let mut layer = peer.profile_layer();
    let url = websocket::in_front_of(peer.chat_address()).await;
    layer["chat"] = serde_json::json!({ "transport": "websocket", "address": url });
    let stage = Stage::new(&layer, ConnectionPolicy::Always).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    login.unwrap();
    let upload = line.until_asked("list").await;
    assert_eq!(upload.find("list").unwrap().children().len(), 812);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_receipt_is_sent_until_it_is_acknowledged() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    stage.read(login, &chat(), &["A1", "A2"]).await;
    let receipt = line.next().await;
    assert_eq!(receipt.attr("type").as_deref(), Some("read"));
    assert_eq!(stage.queue_length(login).await, 1);
    line.send(ack(&receipt)).await;
    stage.until_sent(login).await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_connection_waits_and_says_why() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let conflict = Node::new("conflict").with("type", "replaced");
    line.send(Node::new("stream:error").child(conflict)).await;
    let waiting = stage
        .until_state(login, |state| {
            matches!(state, ConnectionState::Waiting { .. })
        })
        .await;
    let ConnectionState::Waiting { reason, .. } = waiting else {
        unreachable!("waited for it");
    };
    assert!(reason.contains("connected from elsewhere"), "{reason}");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_login_is_enlisted_again_with_the_same_keys() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    line.send(Node::new("stream:error").with("code", "515"))
        .await;
    let mut line = peer.accept().await;
    line.send(Node::new("failure").with("reason", "404")).await;
    let _line = peer.log_in().await;
    stage
        .until_state(login, |state| *state == ConnectionState::Connected)
        .await;
    let enlistments = peer.enlistments();
    assert_eq!(enlistments.len(), 2);
    assert_eq!(enlistments[0].keys, enlistments[1].keys);
    assert_eq!(stage.row(login).await.state, LoginState::Active);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_too_old_fails_and_says_so() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    line.send(Node::new("stream:error").with("code", "515"))
        .await;
    let mut line = peer.accept().await;
    line.send(Node::new("failure").with("reason", "405")).await;
    stage
        .until_state(
            login,
            |state| matches!(state, ConnectionState::Failed { reason } if reason.contains("version")),
        )
        .await;
    let refused = stage.gatekeeper.resolve(login, "+49 151 5555 9999").await;
    assert!(refused.is_err());
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_who_has_no_keys() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let serve = async { while line.next_or_end().await.is_some() {} };
    let ask = async {
        let error = stage
            .gatekeeper
            .resolve(login, "+49 151 5555 9999")
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("WhatsApp has no such user"),
            "{error}"
        );
        let found = stage.gatekeeper.resolve(login, "+49 (151) 5555-0001").await;
        assert_eq!(found.unwrap().as_str(), USER);
        stage.gatekeeper.stop().await;
    };
    tokio::join!(serve, ask);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_demand_closes_when_idle_and_comes_back_for_work_and_for_a_push() {
    let idle = ConnectionPolicy::OnDemand { idle_ms: 300 };
    let (peer, stage, login, mut line) = logged_in(idle).await;
    while line.next_or_end().await.is_some() {}
    stage
        .until_state(login, |state| *state == ConnectionState::Idle)
        .await;

    stage.send(login, "M1", "wakes it").await;
    let mut line = peer.log_in().await;
    let stanza = line.next().await;
    line.send(ack(&stanza)).await;
    stage.until_sent(login).await;
    while line.next_or_end().await.is_some() {}
    stage
        .until_state(login, |state| *state == ConnectionState::Idle)
        .await;

    assert!(stage.gatekeeper.pushed(MXID).await.unwrap());
    assert!(!stage.gatekeeper.pushed("@bob:example.org").await.unwrap());
    let mut line = peer.log_in().await;
    while line.next_or_end().await.is_some() {}
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_deletes_the_enlistment_first() {
    let (peer, stage, login, line) = logged_in(ConnectionPolicy::Always).await;
    drop(line);
    let serve = async {
        loop {
            let mut line = peer.log_in().await;
            while line.next_or_end().await.is_some() {}
            if line
                .asked
                .iter()
                .any(|iq| iq.attr("xmlns").as_deref() == Some("w:interop"))
            {
                return;
            }
        }
    };
    let (logged_out, ()) = tokio::join!(stage.gatekeeper.log_out(login), serve);
    logged_out.unwrap();
    let row = stage
        .db
        .read(move |txn| Box::pin(txn.login(login)))
        .await
        .unwrap();
    assert!(row.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_the_gatekeeper_forgot_is_logged_out_all_the_same() {
    let (peer, stage, login, line) = logged_in(ConnectionPolicy::Always).await;
    drop(line);
    let refuse = async {
        loop {
            let mut line = peer.accept().await;
            line.send(Node::new("failure").with("reason", "404")).await;
        }
    };
    tokio::select! {
        logged_out = stage.gatekeeper.log_out(login) => logged_out.unwrap(),
        () = refuse => {}
    }
    let row = stage
        .db
        .read(move |txn| Box::pin(txn.login(login)))
        .await
        .unwrap();
    assert!(row.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_that_cannot_reach_the_gatekeeper_can_be_tried_again() {
    let (peer, stage, login, line) = logged_in(ConnectionPolicy::Always).await;
    drop(line);
    let busy = async {
        loop {
            let mut line = peer.accept().await;
            line.send(Node::new("failure").with("reason", "405")).await;
        }
    };
    tokio::select! {
        logged_out = stage.gatekeeper.log_out(login) => assert!(logged_out.is_err()),
        () = busy => {}
    }
    assert_eq!(stage.row(login).await.state, LoginState::LoggedOut);
    let serve = async {
        let mut line = peer.log_in().await;
        while line.next_or_end().await.is_some() {}
    };
    let (logged_out, ()) = tokio::join!(stage.gatekeeper.log_out(login), serve);
    logged_out.unwrap();
}
