//! Messages from the gatekeeper.

use drawbridge::{
    domain::{GroupChange, LoginId},
    store::{NewRemoteMessage, RemoteNotice},
};

use crate::place::{LOGIN, NOW, PLAINTEXT, Place, chat, incoming, stanza, step, user};

fn placeholder(id: &str) -> NewRemoteMessage {
    NewRemoteMessage {
        plaintext: None,
        ..incoming(id)
    }
}

pub(crate) async fn remembers_a_message_once(place: Place) {
    let db = place.open().await;
    let known = || (chat(1), user(1), stanza("m"));
    let asked = step!(db, txn => {
        let (chat, user, id) = known();
        txn.remote_message_known(LOGIN, &chat, &user, &id).await
    });
    assert_eq!(asked, None);
    assert!(step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    assert!(!step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    assert!(!step!(db, txn => txn.put_remote_message(&placeholder("m")).await));
    let waiting = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].message, incoming("m"));
    let seq = waiting[0].seq;
    assert!(step!(db, txn => txn.finish_message(seq, 0, false).await));
    assert!(!step!(db, txn => txn.finish_message(seq, 0, false).await));
    assert!(!step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    assert!(step!(db, txn => txn.waiting_chats().await).is_empty());
    let asked = step!(db, txn => {
        let (chat, user, id) = known();
        txn.remote_message_known(LOGIN, &chat, &user, &id).await
    });
    assert_eq!(asked, Some(true));
    db.close().await;
}

pub(crate) async fn the_same_id_from_another_sender_is_another_message(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_remote_message(&incoming("m")).await);
    let other = step!(db, txn =>
        txn.put_remote_message(&NewRemoteMessage { sender: user(2), ..incoming("m") }).await);
    assert!(other);
    let other = step!(db, txn =>
        txn.put_remote_message(&NewRemoteMessage { login: LoginId(8), ..incoming("m") }).await);
    assert!(other);
    let mut chats = step!(db, txn => txn.waiting_chats().await);
    chats.sort();
    assert_eq!(chats, [(LOGIN, chat(1)), (LoginId(8), chat(1))]);
    db.close().await;
}

pub(crate) async fn replaces_a_placeholder_when_the_message_comes(place: Place) {
    let db = place.open().await;
    assert!(step!(db, txn => txn.put_remote_message(&placeholder("m")).await));
    assert!(!step!(db, txn => txn.put_remote_message(&placeholder("m")).await));
    let first = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    assert_eq!(
        (first[0].revision, first[0].message.plaintext.clone()),
        (0, None)
    );
    let seq = first[0].seq;
    // The message comes while the placeholder is on its way into the room.
    assert!(step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    assert!(!step!(db, txn => txn.finish_message(seq, 0, false).await));
    let second = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    assert_eq!((second[0].seq, second[0].revision), (seq, 1));
    assert_eq!(second[0].message.plaintext.as_deref(), Some(PLAINTEXT));
    assert!(step!(db, txn => txn.finish_message(seq, 1, false).await));
    assert!(!step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    db.close().await;
}

pub(crate) async fn keeps_order_and_notices(place: Place) {
    let db = place.open().await;
    let notice = || RemoteNotice::Read {
        ids: vec![stanza("x"), stanza("y")],
    };
    step!(db, txn => txn.put_remote_message(&incoming("1")).await);
    step!(db, txn => txn
        .put_remote_message(&NewRemoteMessage { notice: Some(notice()), ..placeholder("read-1") })
        .await);
    step!(db, txn => txn.put_remote_message(&incoming("2")).await);
    let waiting = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    let ids: Vec<_> = waiting
        .iter()
        .map(|row| row.message.stanza_id.as_str())
        .collect();
    assert_eq!(ids, ["1", "read-1", "2"]);
    assert_eq!(waiting[1].message.notice, Some(notice()));
    let known = step!(db, txn =>
        txn.remote_message_known(LOGIN, &chat(1), &user(1), &stanza("read-1")).await);
    assert_eq!(known, Some(true));
    assert_eq!(
        step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 2).await).len(),
        2
    );
    db.close().await;
}

pub(crate) async fn counts_retries(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_remote_message(&placeholder("m")).await);
    for expected in 1..4 {
        let count =
            step!(db, txn => txn.count_retry(LOGIN, &chat(1), &user(1), &stanza("m")).await);
        assert_eq!(count, expected);
    }
    let unknown = step!(db, txn => txn.count_retry(LOGIN, &chat(1), &user(1), &stanza("?")).await);
    assert_eq!(unknown, 0);
    db.close().await;
}

pub(crate) async fn forgets_handled_messages_but_not_waiting_ones(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_remote_message(&incoming("old")).await);
    step!(db, txn => txn.put_remote_message(&incoming("waits")).await);
    let seq = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 1).await)[0].seq;
    step!(db, txn => txn.finish_message(seq, 0, false).await);
    assert_eq!(step!(db, txn => txn.prune_remote_inbox(NOW).await), 0);
    assert_eq!(
        step!(db, txn => txn.prune_remote_inbox(NOW.plus_millis(1)).await),
        1
    );
    assert_eq!(
        step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await).len(),
        1
    );
    db.close().await;
}

pub(crate) async fn a_kept_message_waits_again_with_a_new_plaintext(place: Place) {
    let db = place.open().await;
    step!(db, txn => txn.put_remote_message(&incoming("m")).await);
    let seq = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await)[0].seq;
    // Nothing is kept of what still waits.
    let kept = step!(db, txn => txn.kept_message(LOGIN, &chat(1), &user(1), &stanza("m")).await);
    assert_eq!(kept, None);
    assert!(
        !step!(db, txn => txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), b"x").await)
    );
    assert!(step!(db, txn => txn.finish_message(seq, 0, true).await));
    assert!(step!(db, txn => txn.waiting_chats().await).is_empty());
    let kept = step!(db, txn => txn.kept_message(LOGIN, &chat(1), &user(1), &stanza("m")).await);
    assert_eq!(kept.map(|row| row.message), Some(incoming("m")));
    assert!(
        step!(db, txn => txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), b"new").await)
    );
    let waiting = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].seq, waiting[0].revision), (seq, 1));
    assert_eq!(waiting[0].message.plaintext.as_deref(), Some(&b"new"[..]));
    assert!(!step!(db, txn => txn.finish_message(seq, 0, true).await));
    assert!(step!(db, txn => txn.finish_message(seq, 1, true).await));
    assert!(
        step!(db, txn => txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), b"3").await)
    );
    // Handled for good.
    assert!(step!(db, txn => txn.finish_message(seq, 2, false).await));
    let kept = step!(db, txn => txn.kept_message(LOGIN, &chat(1), &user(1), &stanza("m")).await);
    assert_eq!(kept, None);
    assert!(
        !step!(db, txn => txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), b"4").await)
    );
    assert!(!step!(db, txn => txn.put_remote_message(&incoming("m")).await));
    db.close().await;
}

pub(crate) async fn only_the_message_that_is_meant_is_revised(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let others = [
            incoming("other"),
            NewRemoteMessage { chat: chat(2), ..incoming("m") },
            NewRemoteMessage { sender: user(2), ..incoming("m") },
            NewRemoteMessage { login: LoginId(8), ..incoming("m") },
            NewRemoteMessage { notice: Some(RemoteNotice::IdentityChanged), ..placeholder("notice") },
        ];
        for message in others.iter().chain([&incoming("m")]) {
            txn.put_remote_message(message).await?;
        }
        for (login, chat) in txn.waiting_chats().await? {
            for row in txn.waiting_messages(login, &chat, 9).await? {
                txn.finish_message(row.seq, row.revision, true).await?;
            }
        }
        Ok(())
    });
    assert!(step!(db, txn => txn.waiting_chats().await).is_empty());
    let notice =
        step!(db, txn => txn.kept_message(LOGIN, &chat(1), &user(1), &stanza("notice")).await);
    assert_eq!(notice, None);
    assert!(
        step!(db, txn => txn.revise_message(LOGIN, &chat(1), &user(1), &stanza("m"), b"new").await)
    );
    assert_eq!(
        step!(db, txn => txn.waiting_chats().await),
        [(LOGIN, chat(1))]
    );
    let waiting = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 9).await);
    let revised = NewRemoteMessage {
        plaintext: Some(b"new".to_vec()),
        ..incoming("m")
    };
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].message, revised);
    db.close().await;
}

pub(crate) async fn every_notice_is_read_as_it_was_written(place: Place) {
    let db = place.open().await;
    let notices = || {
        [
            RemoteNotice::Call {
                video: true,
                missed: false,
            },
            RemoteNotice::Gatekeeper {
                text: "Nothing \"to\" see".to_owned(),
            },
            RemoteNotice::MediaGone { id: stanza("m") },
            RemoteNotice::SendFailed {
                event_id: "$e".to_owned(),
                reason: "gone".to_owned(),
            },
            RemoteNotice::Group(GroupChange::Subject("new".to_owned())),
            RemoteNotice::Group(GroupChange::Description(None)),
            RemoteNotice::Group(GroupChange::Announce(true)),
            RemoteNotice::Group(GroupChange::Add(vec![user(1), user(2)])),
            RemoteNotice::Group(GroupChange::Leave),
            RemoteNotice::Joined,
            RemoteNotice::GroupPicture,
            RemoteNotice::Profile {
                name: Some("Bob".to_owned()),
                picture: false,
            },
            RemoteNotice::Reachability { accepted: true },
            RemoteNotice::Blocked {
                user: user(1),
                blocked: true,
            },
        ]
    };
    step!(db, txn => {
        for (n, notice) in notices().into_iter().enumerate() {
            let row = NewRemoteMessage { notice: Some(notice), ..placeholder(&format!("{n}")) };
            txn.put_remote_message(&row).await?;
        }
        Ok(())
    });
    let found: Vec<_> = step!(db, txn => txn.waiting_messages(LOGIN, &chat(1), 99).await)
        .into_iter()
        .filter_map(|row| row.message.notice)
        .collect();
    assert_eq!(found, notices());
    db.close().await;
}
