//! People over a connection: pictures, names, blocks, reachability, and what is told of them.

use drawbridge::{
    domain::{ChatId, LoginId, Picture, Reachability, RemoteUserId},
    network::{
        Network, NetworkError,
        interop::{
            ConnectionPolicy,
            wire::{Jid, Node},
        },
    },
    store::{LoginState, RemoteNotice},
};
use serde_json::json;

use super::{
    connection::logged_in,
    peer::{Line, PICTURE, Peer, within},
    stage::{MXID, Stage, USER, chat},
};

const PICTURES: &str = "w:profile:picture";
const OTHER: &str = "4915155559999@s.whatsapp.net";

fn user() -> RemoteUserId {
    RemoteUserId::parse(USER).unwrap()
}

fn other() -> Jid {
    OTHER.parse().unwrap()
}

/// Serves a connection while something is asked.
async fn asking<T>(line: &mut Line, asked: impl Future<Output = T>) -> T {
    let serve = async { while line.next_or_end().await.is_some() {} };
    within("an answer", async {
        tokio::select! {
            answer = asked => answer,
            () = serve => panic!("the bridge closed the connection"),
        }
    })
    .await
}

fn last<'l>(line: &'l Line, xmlns: &str) -> &'l Node {
    line.asked
        .iter()
        .rfind(|iq| iq.attr("xmlns").as_deref() == Some(xmlns))
        .expect("it was asked")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_asked_for_and_fetched() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let found = Node::new("picture")
        .with("id", "p2")
        .with("type", "image")
        .with("url", peer.media("picture"));
    line.answers.push((PICTURES, Ok(found)));
    let chat = chat();
    let picture = asking(
        &mut line,
        stage.gatekeeper.picture(login, &chat, Some("p1")),
    )
    .await;
    let expected = Picture::Jpeg {
        id: "p2".to_owned(),
        bytes: PICTURE.to_vec(),
    };
    assert_eq!(picture.unwrap(), expected);
    let asked = last(&line, PICTURES);
    assert_eq!(asked.attr("target").as_deref(), Some(USER));
    let asked = asked.find("picture").unwrap();
    assert_eq!(asked.attr("query").as_deref(), Some("url"));
    assert_eq!(asked.attr("id").as_deref(), Some("p1"));

    let same = Node::new("picture").with("id", "p2");
    line.answers = vec![(PICTURES, Ok(same))];
    let picture = asking(
        &mut line,
        stage.gatekeeper.picture(login, &chat, Some("p2")),
    )
    .await;
    assert_eq!(picture.unwrap(), Picture::Same);
    for code in ["404", "401"] {
        line.answers = vec![(PICTURES, Err(code))];
        let picture = asking(&mut line, stage.gatekeeper.picture(login, &chat, None)).await;
        assert_eq!(picture.unwrap(), Picture::None);
    }
    line.answers = vec![(PICTURES, Err("503"))];
    let picture = asking(&mut line, stage.gatekeeper.picture(login, &chat, None)).await;
    assert!(picture.unwrap_err().is_transient());
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_elsewhere_too_large_or_behind_a_redirect_is_not_taken() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    // Somebody else's server on this machine, which must not be asked for anything.
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secret = format!("http://{}/media/picture", inside.local_addr().unwrap());
    let chat = chat();
    for url in [
        secret,
        peer.media("large"),
        peer.media("away"),
        peer.media("nothing"),
        "file:///etc/hostname".to_owned(),
    ] {
        let found = Node::new("picture")
            .with("id", "p")
            .with("url", url.as_str());
        line.answers = vec![(PICTURES, Ok(found))];
        let picture = asking(&mut line, stage.gatekeeper.picture(login, &chat, None)).await;
        assert!(
            matches!(picture, Err(NetworkError::Refused(_))),
            "{url}: {picture:?}"
        );
    }
    let asked = tokio::time::timeout(std::time::Duration::from_millis(50), inside.accept()).await;
    assert!(asked.is_err());
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_set_and_removed() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let group = ChatId::parse("1-2@g.us").unwrap();
    for (of, jpeg, id) in [
        (None, Some(PICTURE.to_vec()), Some("p1")),
        (Some(&group), Some(PICTURE.to_vec()), Some("p2")),
        (None, None, None),
    ] {
        let kept = Node::new("picture").with_opt("id", id);
        line.answers = vec![(PICTURES, Ok(kept))];
        let set = stage.gatekeeper.set_picture(login, of, jpeg.clone());
        assert_eq!(asking(&mut line, set).await.unwrap().as_deref(), id);
        let asked = last(&line, PICTURES);
        let target = asked.attr("target");
        assert_eq!(target.as_deref(), of.map(ChatId::as_str));
        let bytes = asked.find("picture").and_then(Node::content_bytes);
        assert_eq!(bytes, jpeg.as_deref());
    }
    line.answers = vec![(PICTURES, Err("403"))];
    let set = stage.gatekeeper.set_picture(login, Some(&group), None);
    let refused = asking(&mut line, set).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Refused(_)), "{refused}");
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_told_at_once_and_to_each_connection() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let long = format!("Ada\u{7}\n{}", "x".repeat(300));
    stage.gatekeeper.set_name(login, &long);
    let told = line.next().await;
    assert_eq!(told.tag, "presence");
    let name = told.attr("name").unwrap().into_owned();
    assert!(
        name.starts_with("Ada  xx") && name.chars().count() == 100,
        "{name}"
    );
    stage.gatekeeper.set_name(login, "Ada");
    assert_eq!(line.next().await.attr("name").as_deref(), Some("Ada"));
    // A name of nothing is none.
    stage.gatekeeper.set_name(login, " \u{1} ");
    drop(line);
    let mut line = peer.log_in().await;
    let told = line.next().await;
    assert_eq!(told.attr("name").as_deref(), Some("Ada"));
    assert_eq!(told.attr("type").as_deref(), Some("unavailable"));
    stage.gatekeeper.presence(login, true);
    let told = line.next().await;
    assert_eq!(told.attr("type").as_deref(), Some("available"));
    assert_eq!(told.attr("name").as_deref(), Some("Ada"));
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_blocked_listed_and_asked() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let gatekeeper = stage.gatekeeper.clone();
    for (block, action) in [(true, "block"), (false, "unblock")] {
        let user = user();
        asking(&mut line, gatekeeper.block(login, &user, block))
            .await
            .unwrap();
        let item = last(&line, "blocklist").find("item").unwrap();
        assert_eq!(item.attr("action").as_deref(), Some(action));
        assert_eq!(item.attr("jid").as_deref(), Some(USER));
    }
    let list = Node::new("list")
        .child(Node::new("item").with("jid", USER))
        .child(Node::new("item").with("jid", "nonsense@"));
    line.answers.push(("blocklist", Ok(list)));
    let blocked = asking(&mut line, gatekeeper.blocked(login)).await.unwrap();
    assert_eq!(blocked, [user()]);

    for (status, expected) in [
        ("sent", Reachability::Asked),
        ("already", Reachability::Accepted),
        ("refused", Reachability::Declined),
    ] {
        let asked = Node::new("user").with("jid", USER).with("status", status);
        let answer = Node::new("reachability").child(asked);
        line.answers = vec![("w:interop", Ok(answer))];
        let user = user();
        let asked = asking(&mut line, gatekeeper.ask_reachability(login, &user)).await;
        assert_eq!(asked.unwrap(), expected);
    }
    // Whoever was asked before has not answered as long as their keys are not given.
    let error = Node::new("error").with("code", "403");
    line.users = vec![Node::new("user").with("jid", USER).child(error)];
    let asked = Node::new("user")
        .with("jid", USER)
        .with("status", "already");
    let answer = Node::new("reachability").child(asked);
    line.answers = vec![("w:interop", Ok(answer))];
    let asked = {
        let user = user();
        asking(&mut line, gatekeeper.ask_reachability(login, &user)).await
    };
    assert_eq!(asked.unwrap(), Reachability::Asked);
    let asked = last(&line, "w:interop").find("reachability").unwrap();
    assert_eq!(asked.children()[0].attr("jid").as_deref(), Some(USER));
    line.answers = vec![("w:interop", Err("404"))];
    let user = user();
    let asked = asking(&mut line, gatekeeper.ask_reachability(login, &user)).await;
    assert!(matches!(asked, Err(NetworkError::NoSuchUser(_))));
    gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resolving_says_why_somebody_cannot_be_written_to() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let mut said = Vec::new();
    for code in ["403", "404", "406"] {
        let error = Node::new("error").with("code", code);
        line.users = vec![Node::new("user").with("jid", other()).child(error)];
        let found = stage.gatekeeper.resolve(login, "+49 151 5555 9999");
        let error = asking(&mut line, found).await.unwrap_err();
        assert_eq!(matches!(error, NetworkError::NotReachable), code == "403");
        assert!(!error.is_transient());
        said.push(error.to_string());
    }
    assert!(said[0].contains("request-reachability"), "{said:?}");
    assert_eq!(said[1], "WhatsApp has no such user");
    assert!(
        said[2].contains("does not take messages from you"),
        "{said:?}"
    );
    let error = Node::new("error").with("code", "503");
    line.users = vec![Node::new("user").with("jid", other()).child(error)];
    let found = stage.gatekeeper.resolve(login, "+49 151 5555 9999");
    assert!(asking(&mut line, found).await.unwrap_err().is_transient());
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gatekeeper_that_cannot_is_not_asked() {
    let peer = Peer::start().await;
    let mut layer = peer.profile_layer();
    layer["features"] = json!({ "pictures": false, "reachability": false, "presence": false });
    let stage = Stage::new(&layer, ConnectionPolicy::Always).await;
    let (login, mut line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let login = login.unwrap();
    let (gatekeeper, of, user) = (stage.gatekeeper.clone(), chat(), user());
    assert_eq!(
        gatekeeper.picture(login, &of, None).await.unwrap(),
        Picture::None
    );
    assert!(gatekeeper.set_picture(login, None, None).await.is_err());
    assert!(gatekeeper.ask_reachability(login, &user).await.is_err());
    gatekeeper.set_name(login, "Ada");
    line.send(Node::new("nonsense").with("id", "S1")).await;
    assert_eq!(line.next().await.tag, "ack");
    let about_people = |iq: &&Node| {
        let xmlns = iq.attr("xmlns").unwrap_or_default();
        xmlns == PICTURES || xmlns == "w:interop"
    };
    assert_eq!(line.asked.iter().find(about_people), None);
    gatekeeper.stop().await;
}

fn notification(kind: &str, from: &str, id: &str, child: Node) -> Node {
    Node::new("notification")
        .with("type", kind)
        .with("from", from)
        .with("id", id)
        .with("t", "1700000000")
        .child(child)
}

/// Sends a notification and takes its acknowledgement.
async fn tell(line: &mut Line, node: Node) {
    let id = node.attr("id").unwrap().into_owned();
    line.send(node).await;
    let ack = line.next().await;
    assert_eq!(ack.tag, "ack");
    assert_eq!(ack.attr("class").as_deref(), Some("notification"));
    assert_eq!(ack.attr("id").as_deref(), Some(id.as_str()));
}

async fn notices(stage: &Stage, login: LoginId, chat: &str) -> Vec<RemoteNotice> {
    let chat = ChatId::parse(chat).unwrap();
    let rows = stage.inbox_of(login, &chat).await;
    assert!(
        rows.iter()
            .all(|row| row.message.sender.as_str() == chat.as_str())
    );
    rows.into_iter()
        .filter_map(|row| row.message.notice)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_people_is_kept_once_before_it_is_acknowledged() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let name = |text: &str| Node::new("name").bytes(text.as_bytes().to_vec());
    let status = |status: &str| Node::new("reachability").with("status", status);
    for node in [
        notification("picture", USER, "1", Node::new("set").with("id", "p2")),
        notification("picture", USER, "2", Node::new("delete")),
        notification("profile", USER, "3", name("A\u{7}da\n")),
        // It comes again when its acknowledgement was lost.
        notification("profile", USER, "3", name("A\u{7}da\n")),
        // The same id of another type is another notification.
        notification("w:interop", USER, "3", status("accepted")),
        notification("w:interop", USER, "4", status("declined")),
    ] {
        tell(&mut line, node).await;
    }
    let picture = || RemoteNotice::Profile {
        name: None,
        picture: true,
    };
    assert_eq!(
        notices(&stage, login, USER).await,
        [
            picture(),
            picture(),
            RemoteNotice::Profile {
                name: Some("Ada".to_owned()),
                picture: false
            },
            RemoteNotice::Reachability { accepted: true },
            RemoteNotice::Reachability { accepted: false },
        ]
    );
    stage.until_heard().await;

    let block = Node::new("item").with("action", "block").with("jid", OTHER);
    let unblock = Node::new("item")
        .with("action", "unblock")
        .with("jid", USER);
    let told = notification("blocklist", "s.whatsapp.net", "5", block).child(unblock);
    tell(&mut line, told).await;
    let blocked = |user: &str, blocked| RemoteNotice::Blocked {
        user: RemoteUserId::parse(user).unwrap(),
        blocked,
    };
    assert_eq!(
        notices(&stage, login, "s.whatsapp.net").await,
        [blocked(OTHER, true), blocked(USER, false)]
    );
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_or_is_not_theirs_to_say_is_only_acknowledged() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let block = || Node::new("item").with("action", "block").with("jid", OTHER);
    for (n, (kind, from, child)) in [
        ("blocklist", USER, block()),
        ("blocklist", "s.whatsapp.net", Node::new("item")),
        ("picture", "s.whatsapp.net", Node::new("delete")),
        ("picture", "1-2@g.us", Node::new("delete")),
        ("picture", USER, Node::new("nothing")),
        ("profile", USER, Node::new("name").bytes(*b" \x07 ")),
        ("profile", USER, Node::new("name")),
        (
            "w:interop",
            USER,
            Node::new("reachability").with("status", "maybe"),
        ),
        ("w:interop", USER, Node::new("reachability")),
    ]
    .into_iter()
    .enumerate()
    {
        tell(&mut line, notification(kind, from, &n.to_string(), child)).await;
    }
    for chat in [USER, "s.whatsapp.net", "1-2@g.us"] {
        let chat = ChatId::parse(chat).unwrap();
        assert!(stage.inbox_of(login, &chat).await.is_empty());
    }
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_says_what_to_do() {
    let (_peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    for (id, code, text, words) in [
        ("M1", "403", Some("not-opted-in"), "request-reachability"),
        ("M2", "403", None, "unblock"),
        ("M3", "404", None, "does not know them any more"),
        ("M4", "479", None, "code 479"),
    ] {
        stage.send(login, id, "text").await;
        let stanza = line.next().await;
        let nack = Node::new("ack")
            .with("class", "message")
            .with("id", stanza.attr("id").unwrap().into_owned())
            .with("from", USER)
            .with("error", code)
            .with_opt("text", text);
        line.send(nack).await;
        stage.until_sent(login).await;
        let inbox = stage.inbox(login).await;
        match inbox.last().and_then(|row| row.message.notice.clone()) {
            Some(RemoteNotice::SendFailed { reason, event_id }) => {
                assert_eq!(event_id, format!("$event-{id}"));
                assert!(reason.contains(words), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_never_have_the_same_identifier() {
    let peer = Peer::start().await;
    let stage = Stage::named(
        &peer.profile_layer(),
        ConnectionPolicy::Always,
        "{localpart}",
    )
    .await;
    let (login, _line) = tokio::join!(stage.gatekeeper.log_in(MXID), peer.log_in());
    let row = stage.row(login.unwrap()).await;
    assert_eq!(row.visible_id, "alice");
    for mxid in ["@alice:elsewhere.example", "@Alice:example.org"] {
        let error = stage.gatekeeper.log_in(mxid).await.unwrap_err().to_string();
        assert!(error.contains("visible_id"), "{error}");
    }
    assert_eq!(peer.enlistments().len(), 1);
    let logins = stage
        .db
        .read(|txn| Box::pin(async move { txn.logins().await }))
        .await
        .unwrap();
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].state, LoginState::Active);
    stage.gatekeeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_a_login_of_their_own_at_each_gatekeeper() {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let elsewhere = Peer::start().await;
    let messenger = stage.beside("messenger", &elsewhere.profile_layer());
    let (other, other_line) = tokio::join!(messenger.log_in(MXID), elsewhere.log_in());
    let other = other.unwrap();
    assert_ne!(other, login);
    assert_eq!(messenger.log_in(MXID).await.unwrap(), other);
    assert_eq!(stage.gatekeeper.log_in(MXID).await.unwrap(), login);
    assert_eq!(
        (peer.enlistments().len(), elsewhere.enlistments().len()),
        (1, 1)
    );
    // What one knows is not the other's, and one's login is nobody to the other.
    let (row, beside) = (stage.row(login).await, stage.row(other).await);
    assert_eq!(row.visible_id, beside.visible_id);
    assert_ne!(row.secrets.identity_pair, beside.secrets.identity_pair);
    let user = user();
    let asked = messenger.block(login, &user, true).await;
    assert!(matches!(asked, Err(NetworkError::NoSuchLogin)));
    // The end of one is not the end of the other.
    drop(other_line);
    let serve = async {
        loop {
            let mut line = elsewhere.log_in().await;
            while line.next_or_end().await.is_some() {}
        }
    };
    tokio::select! {
        ended = messenger.log_out(other) => ended.unwrap(),
        () = serve => {}
    }
    assert_eq!(stage.row(login).await.state, LoginState::Active);
    asking(&mut line, stage.gatekeeper.block(login, &user, true))
        .await
        .unwrap();
    stage.gatekeeper.stop().await;
}
