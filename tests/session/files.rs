//! What a connection keeps that is no message: calls, notices of the gatekeeper, and the way of a file that is asked for again.

use drawbridge::{
    domain::{
        ChatId, IncomingContent, LoginId, MediaDetails, MediaKey, MediaKind, MessageContext,
        MessageRef, OutgoingContent, RemoteMedia, RemoteUserId, StanzaId, Timestamp,
    },
    network::{
        Network,
        interop::{
            ConnectionPolicy,
            wire::{self, Jid, Node, media_retry, message::Encoding},
        },
    },
    store::{Lane, RemoteMessageRow, RemoteNotice},
};

use super::{
    messages::{acquainted, sealed_bytes},
    peer::Line,
    ratchet::Peer as Phone,
    stage::{Stage, USER, chat},
};

const KEY: MediaKey = MediaKey([5; 32]);

fn user() -> Jid {
    USER.parse().unwrap()
}

fn sender() -> RemoteUserId {
    RemoteUserId::parse(USER).unwrap()
}

/// A picture at a path, as a phone says it.
fn picture(path: &str) -> Vec<u8> {
    let content = OutgoingContent::Media {
        details: MediaDetails::new(MediaKind::Image, "image/jpeg"),
        file: RemoteMedia {
            path: path.to_owned(),
            key: KEY,
            sha256: [1; 32],
            encrypted_sha256: [2; 32],
            size: 3,
        },
        caption: None,
    };
    let how = Encoding {
        chat: &chat(),
        own: USER,
        now: Timestamp(1_700_000_000_000),
        nonce: [0; 12],
    };
    wire::message::encode(&content, &MessageContext::default(), &how)
}

fn path_in(stage: &Stage, row: &RemoteMessageRow) -> String {
    let plaintext = row.message.plaintext.as_deref().unwrap();
    match stage
        .gatekeeper
        .read_message(plaintext, &sender(), "")
        .content
    {
        IncomingContent::Media {
            file: Some(file), ..
        } => file.path,
        other => panic!("{other:?}"),
    }
}

/// Receives a picture, shows it without its file and asks for that, as the bridge does.
async fn asked(stage: &Stage, login: LoginId, line: &mut Line, phone: &mut Phone) -> Node {
    line.send(sealed_bytes(phone, "A1", &picture("/v/expired")))
        .await;
    for _ in ["receipt", "ack"] {
        line.next().await;
    }
    let row = stage.inbox(login).await.remove(0);
    let gatekeeper = stage.gatekeeper.clone();
    stage
        .db
        .step(Lane::login(login), move |txn| {
            let gatekeeper = gatekeeper.clone();
            let (seq, revision) = (row.seq, row.revision);
            Box::pin(async move {
                assert!(txn.finish_message(seq, revision, true).await?);
                ask(&*gatekeeper, txn, login).await
            })
        })
        .await
        .unwrap();
    stage.gatekeeper.flush(login);
    line.next().await
}

async fn ask(
    network: &dyn Network,
    txn: &mut dyn drawbridge::store::StoreTxn,
    login: LoginId,
) -> Result<(), drawbridge::store::StoreError> {
    let message = MessageRef {
        id: StanzaId::parse("A1").unwrap(),
        sender: Some(sender()),
    };
    network
        .enqueue_media_request(txn, login, &chat(), &message, &KEY, Timestamp(1))
        .await
}

fn request_ack(request: &Node) -> Node {
    Node::new("ack")
        .with("class", "receipt")
        .with("type", "server-error")
        .with("id", request.attr("id").unwrap().into_owned())
        .with("from", user())
}

fn answer(path: Option<&str>) -> Node {
    let id = StanzaId::parse("A1").unwrap();
    media_retry::answer(&KEY, &id, path, rand::random())
        .with("from", user())
        .with("t", "1700000009")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_asked_for_again_comes_under_a_new_path() {
    let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    let request = asked(&stage, login, &mut line, &mut phone).await;
    assert_eq!(request.jid("to"), Some(user()));
    let id = StanzaId::parse("A1").unwrap();
    assert_eq!(media_retry::read_request(&request, &KEY), Some(id));
    assert_eq!(stage.queue_length(login).await, 1);
    // The acknowledgement of the message's delivery receipt is not the request's.
    let delivery = Node::new("ack").with("class", "receipt").with("id", "A1");
    line.send(delivery.with("from", user())).await;
    line.send(request_ack(&request)).await;
    stage.until_sent(login).await;

    // Who does not have the key cannot lead the bridge anywhere.
    let forged = media_retry::answer(
        &MediaKey([6; 32]),
        &StanzaId::parse("A1").unwrap(),
        Some("/v/forged"),
        [7; 12],
    );
    line.send(forged.with("from", user())).await;
    line.send(answer(Some("/v/again"))).await;
    line.send(answer(Some("/v/and-again"))).await;
    for _ in 0..3 {
        let ack = line.next().await;
        assert_eq!(ack.attr("class").as_deref(), Some("notification"));
        assert_eq!(ack.attr("type").as_deref(), Some("mediaretry"));
    }
    let rows = stage.inbox(login).await;
    assert_eq!((rows.len(), rows[0].revision), (1, 1));
    assert_eq!(path_in(&stage, &rows[0]), "/v/again");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nobody_has_any_more_is_told() {
    let gone = |rows: &[RemoteMessageRow]| match &rows[0].message.notice {
        Some(RemoteNotice::MediaGone { id }) => id.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    for bare in [false, true] {
        let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
        let request = asked(&stage, login, &mut line, &mut phone).await;
        line.send(request_ack(&request)).await;
        let error = Node::new("notification")
            .with("type", "mediaretry")
            .with("id", "A1")
            .with("from", "s.whatsapp.net")
            .child(Node::new("rmr").with("jid", user()))
            .child(Node::new("error").with("code", "2"));
        let notification = if bare { error } else { answer(None) };
        for _ in 0..2 {
            line.send(notification.clone()).await;
            line.next().await;
        }
        let rows = stage.inbox(login).await;
        assert_eq!((rows.len(), gone(&rows)), (1, "A1".to_owned()));
        stage.gatekeeper.stop().await;
    }
    let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    let request = asked(&stage, login, &mut line, &mut phone).await;
    line.send(request_ack(&request).with("error", "479")).await;
    stage.until_sent(login).await;
    assert_eq!(gone(&stage.inbox(login).await), "A1");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_be_made_again_after_it_was_acknowledged() {
    let (_peer, stage, login, mut line, mut phone) = acquainted(ConnectionPolicy::Always).await;
    let request = asked(&stage, login, &mut line, &mut phone).await;
    line.send(request_ack(&request)).await;
    stage.until_sent(login).await;
    let gatekeeper = stage.gatekeeper.clone();
    stage
        .db
        .step(Lane::login(login), move |txn| {
            let gatekeeper = gatekeeper.clone();
            Box::pin(async move { ask(&*gatekeeper, txn, login).await })
        })
        .await
        .unwrap();
    stage.gatekeeper.flush(login);
    let second = line.next().await;
    assert_eq!(second.attr("type").as_deref(), Some("server-error"));
    line.send(request_ack(&second)).await;
    stage.until_sent(login).await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_kept_each_once_a_state_and_acknowledged() {
    let (_peer, stage, login, mut line, _phone) = acquainted(ConnectionPolicy::Always).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let call = |id: &str, step: &'static str| {
        Node::new("call")
            .with("from", user())
            .with("id", id)
            .with("t", now.as_secs())
            .child(Node::new(step).with("call-id", "C1"))
    };
    for (id, step) in [
        ("S1", "offer"),
        ("S1", "offer"),
        ("S2", "terminate"),
        ("S2", "terminate"),
    ] {
        line.send(call(id, step)).await;
        let ack = line.next().await;
        assert_eq!(ack.attr("class").as_deref(), Some("call"));
        assert_eq!(ack.attr("id").as_deref(), Some(id));
    }
    let rows = stage.inbox(login).await;
    let notices: Vec<_> = rows.iter().map(|row| row.message.notice.clone()).collect();
    let expected = |missed| {
        let video = false;
        Some(RemoteNotice::Call { video, missed })
    };
    assert_eq!(notices, [expected(false), expected(true)]);
    stage.until_heard().await;
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gatekeeper_says_is_kept_as_its_servers_and_nobody_else_can_say_it() {
    let (_peer, stage, login, mut line, _phone) = acquainted(ConnectionPolicy::Always).await;
    let notice = |id: &str, from: &str, text: &str| {
        Node::new("notification")
            .with("type", "w:notice")
            .with("id", id)
            .with("from", from)
            .with("t", "1700000009")
            .child(Node::new("body").bytes(text.as_bytes()))
    };
    let server = "s.whatsapp.net";
    let long = "x".repeat(10_000);
    let notices = [
        notice("N1", server, " New terms\nfrom\u{7} May.\r\n"),
        notice("N1", server, "New terms"),
        notice("N2", USER, "I am WhatsApp"),
        notice("N3", server, " \n"),
        notice("N4", server, &long),
        Node::new("notification")
            .with("type", "w:notice")
            .with("id", "N5"),
    ];
    for notice in notices {
        line.send(notice.clone()).await;
        assert_eq!(line.next().await.attr("id"), notice.attr("id"));
    }
    let own = ChatId::parse(server).unwrap();
    let rows = stage.inbox_of(login, &own).await;
    let texts: Vec<_> = rows
        .iter()
        .map(|row| match &row.message.notice {
            Some(RemoteNotice::Gatekeeper { text }) => text.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["New terms\nfrom May.".to_owned(), "x".repeat(4096)]);
    assert_eq!(rows[0].message.sender.as_str(), server);
    assert_eq!(stage.inbox(login).await, []);
    stage.gatekeeper.stop().await;
}
