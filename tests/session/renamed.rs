//! A login that the gatekeeper forgot and calls something else when it is enlisted again.

use drawbridge::{
    domain::{ChatId, GatekeeperId, GroupMember, GroupRole, RemoteUserId},
    network::{
        ConnectionState, Network,
        interop::{
            ConnectionPolicy,
            wire::{Jid, Node},
        },
    },
    store::Lane,
};

use super::{
    connection::logged_in,
    peer::assigned,
    stage::{USER, chat},
};

fn group() -> ChatId {
    ChatId::parse("1-2@g.us").unwrap()
}

/// What the groups' keys are kept under.
fn own() -> String {
    format!("{}.0", assigned())
}

/// Forgets the login and lets it come back as `as_whom`; then what it sends first.
async fn forgotten(as_whom: Jid) -> (Option<Vec<u8>>, usize, Option<GroupRole>, bool, Node) {
    let (peer, stage, login, mut line) = logged_in(ConnectionPolicy::Always).await;
    let gatekeeper = GatekeeperId::parse("whatsapp").unwrap();
    let me = RemoteUserId::parse(assigned().to_string()).unwrap();
    let (of, who) = (gatekeeper.clone(), me.clone());
    stage
        .db
        .step(Lane::login(login), move |txn| {
            let (of, who) = (of.clone(), who.clone());
            Box::pin(async move {
                txn.put_sender_key(login, &group(), &own(), b"own").await?;
                txn.put_sender_key_share(login, &group(), USER).await?;
                let members = [who, RemoteUserId::parse(USER).unwrap()].map(|user| GroupMember {
                    user,
                    role: GroupRole::Member,
                });
                txn.set_group_members(&of, &group(), &members).await
            })
        })
        .await
        .unwrap();
    *peer.next_login.lock().unwrap() = Some(as_whom.clone());
    line.send(Node::new("stream:error").with("code", "515"))
        .await;
    let mut line = peer.accept().await;
    line.send(Node::new("failure").with("reason", "404")).await;
    let mut line = peer.log_in().await;
    let Jid::Interop { user, .. } = as_whom else {
        panic!("{as_whom}");
    };
    assert_eq!(line.payload.account_id, user);
    stage
        .until_state(login, |state| *state == ConnectionState::Connected)
        .await;
    let row = stage.row(login).await;
    assert_eq!(row.remote_login, Some(as_whom.to_string()));
    assert_eq!(peer.enlistments().len(), 2);
    let (key, shares, role) = stage
        .db
        .read(move |txn| {
            let (of, who) = (gatekeeper.clone(), me.clone());
            Box::pin(async move {
                let members = txn.group_members(&of, &group()).await?;
                let mine = members.iter().find(|member| member.user == who);
                Ok((
                    txn.sender_key(login, &group(), &own()).await?,
                    txn.sender_key_shares(login, &group()).await?.len(),
                    mine.and_then(|mine| mine.role),
                ))
            })
        })
        .await
        .unwrap();
    // The chat goes on, over a session that both know.
    line.users.push(super::peer::bundle(&USER.parse().unwrap()));
    let asked_before = line
        .asked
        .iter()
        .filter(|iq| iq.find("key").is_some())
        .count();
    let chat = chat();
    let prepared = stage.gatekeeper.prepare(login, &chat);
    let serve = async { while line.next_or_end().await.is_some() {} };
    tokio::select! {
        prepared = prepared => prepared.unwrap(),
        () = serve => panic!("the bridge closed the connection"),
    }
    let asked = line
        .asked
        .iter()
        .filter(|iq| iq.find("key").is_some())
        .count()
        > asked_before;
    stage.send(login, "M1", "still here").await;
    let sent = line.next().await;
    stage.gatekeeper.stop().await;
    (key, shares, role, asked, sent)
}

fn kind(message: &Node) -> Option<String> {
    let kind = message.find("enc")?.attr("type")?;
    Some(kind.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_another_name_sessions_are_made_anew_and_groups_are_left() {
    let (key, shares, role, asked, sent) = forgotten(Jid::interop(1, 4_711)).await;
    assert_eq!((key, shares, role), (None, 0, None));
    assert!(asked);
    assert_eq!(kind(&sent).as_deref(), Some("pkmsg"));
    assert_eq!(sent.attr("to").as_deref(), Some(USER));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_same_name_everything_is_kept() {
    let (key, shares, role, asked, _) = forgotten(assigned()).await;
    assert_eq!(key.as_deref(), Some(b"own".as_slice()));
    assert_eq!((shares, role), (1, Some(GroupRole::Member)));
    assert!(!asked);
}
