//! Sender keys, who has one's own, to whom messages to groups went and how far they are.

use drawbridge::{
    domain::LoginId,
    store::{ReceiptStage, StoreError},
};

use crate::{
    groups::group,
    place::{LOGIN, NOW, PLAINTEXT, Place, outgoing, stanza, step, user},
};

const OWN: &str = "1-7@interop.0";
const ANNA: &str = "1@s.whatsapp.net.0";
const OTHER: LoginId = LoginId(8);

pub(crate) async fn keeps_the_newest_sender_key_of_each(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for (login, chat, sender, record) in [
            (LOGIN, 1, ANNA, b"old".as_slice()), (LOGIN, 1, ANNA, b"new"), (LOGIN, 1, OWN, b"own"),
            (LOGIN, 2, ANNA, b"in another group"), (OTHER, 1, ANNA, b"of another login"),
        ] {
            txn.put_sender_key(login, &group(chat), sender, record).await?;
        }
        Ok(())
    });
    let key = |login, chat, sender: &'static str| {
        let db = &db;
        async move { step!(db, txn => txn.sender_key(login, &group(chat), sender).await) }
    };
    assert_eq!(
        key(LOGIN, 1, ANNA).await.as_deref(),
        Some(b"new".as_slice())
    );
    assert_eq!(key(LOGIN, 3, ANNA).await, None);
    step!(db, txn => txn.delete_sender_key(LOGIN, &group(1), ANNA).await);
    assert_eq!(key(LOGIN, 1, ANNA).await, None);
    assert_eq!(key(LOGIN, 1, OWN).await.as_deref(), Some(b"own".as_slice()));
    assert_eq!(
        key(LOGIN, 2, ANNA).await.as_deref(),
        Some(b"in another group".as_slice())
    );
    assert_eq!(
        key(OTHER, 1, ANNA).await.as_deref(),
        Some(b"of another login".as_slice())
    );
    db.close().await;
}

pub(crate) async fn a_step_of_a_sender_key_is_a_ratchet_step(place: Place) {
    let db = place.open().await;
    for which in 0..4 {
        let touched = step!(db, txn => {
            match which {
                0 => txn.put_sender_key(LOGIN, &group(1), OWN, b"k").await?,
                1 => txn.delete_sender_key(LOGIN, &group(1), OWN).await?,
                2 => txn.delete_own_sender_keys(LOGIN, OWN).await?,
                _ => txn.put_sender_key_share(LOGIN, &group(1), ANNA).await?,
            }
            Ok(txn.touched_ratchets())
        });
        assert_eq!(touched, which < 3, "{which}");
    }
    db.close().await;
}

pub(crate) async fn remembers_who_has_the_key(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for address in [ANNA, "2@s.whatsapp.net.0", ANNA] {
            txn.put_sender_key_share(LOGIN, &group(1), address).await?;
        }
        txn.put_sender_key_share(LOGIN, &group(2), ANNA).await?;
        txn.put_sender_key_share(OTHER, &group(1), ANNA).await
    });
    let shares = |login, chat| {
        let db = &db;
        async move { step!(db, txn => txn.sender_key_shares(login, &group(chat)).await) }
    };
    assert_eq!(shares(LOGIN, 1).await, [ANNA, "2@s.whatsapp.net.0"]);
    let groups = |address: &'static str| {
        let db = &db;
        async move { step!(db, txn => txn.groups_sharing(LOGIN, address).await) }
    };
    assert_eq!(groups(ANNA).await, [group(1), group(2)]);
    assert_eq!(groups("2@s.whatsapp.net.0").await, [group(1)]);
    step!(db, txn => txn.delete_sender_key_shares(LOGIN, &group(1)).await);
    assert!(shares(LOGIN, 1).await.is_empty());
    assert_eq!(groups(ANNA).await, [group(2)]);
    assert_eq!(shares(LOGIN, 2).await, [ANNA]);
    assert_eq!(shares(OTHER, 1).await, [ANNA]);
    db.close().await;
}

pub(crate) async fn forgets_the_own_keys_of_every_group_alone(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        for chat in [1, 2] {
            txn.put_sender_key(LOGIN, &group(chat), OWN, b"own").await?;
            txn.put_sender_key(LOGIN, &group(chat), ANNA, b"hers").await?;
            txn.put_sender_key_share(LOGIN, &group(chat), ANNA).await?;
        }
        txn.put_sender_key(OTHER, &group(1), OWN, b"another login's").await?;
        txn.put_sender_key_share(OTHER, &group(1), ANNA).await?;
        txn.delete_own_sender_keys(LOGIN, OWN).await
    });
    for chat in [1, 2] {
        let (own, hers, shares) = step!(db, txn => Ok((
            txn.sender_key(LOGIN, &group(chat), OWN).await?,
            txn.sender_key(LOGIN, &group(chat), ANNA).await?,
            txn.sender_key_shares(LOGIN, &group(chat)).await?,
        )));
        assert_eq!((own, shares.len()), (None, 0));
        assert_eq!(hers.as_deref(), Some(b"hers".as_slice()));
    }
    assert!(step!(db, txn => txn.sender_key(OTHER, &group(1), OWN).await).is_some());
    assert_eq!(
        step!(db, txn => txn.sender_key_shares(OTHER, &group(1)).await).len(),
        1
    );
    db.close().await;
}

pub(crate) async fn a_sender_key_moved_elsewhere_does_not_open(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_sender_key(LOGIN, &group(1), ANNA, PLAINTEXT).await?;
        txn.put_sender_key(LOGIN, &group(2), ANNA, PLAINTEXT).await?;
        txn.put_sender_key(OTHER, &group(1), ANNA, PLAINTEXT).await?;
        txn.put_sender_key(LOGIN, &group(1), OWN, PLAINTEXT).await
    });
    assert!(!place.contains(PLAINTEXT).await);
    db.close().await;
    for (from, to) in [
        (
            "chat = '1@g.us' AND login = 7 AND sender = '1@s.whatsapp.net.0'",
            "chat = '2@g.us'",
        ),
        (
            "chat = '1@g.us' AND login = 7 AND sender = '1@s.whatsapp.net.0'",
            "login = 8",
        ),
        (
            "chat = '1@g.us' AND login = 7 AND sender = '1@s.whatsapp.net.0'",
            "sender = '1-7@interop.0'",
        ),
    ] {
        place
            .sql(&format!(
                "UPDATE sender_keys SET record = (SELECT record FROM sender_keys WHERE {from}) WHERE {to}"
            ))
            .await;
    }
    let db = place.open().await;
    for (login, chat, sender) in [(LOGIN, 2, ANNA), (OTHER, 1, ANNA), (LOGIN, 1, OWN)] {
        let read = db
            .read(move |txn| {
                Box::pin(async move { txn.sender_key(login, &group(chat), sender).await })
            })
            .await;
        assert!(matches!(
            read,
            Err(StoreError::Unsealable {
                table: "sender_keys"
            })
        ));
    }
    assert!(step!(db, txn => txn.sender_key(LOGIN, &group(1), ANNA).await).is_some());
    db.close().await;
}

pub(crate) async fn remembers_who_has_a_message(place: Place) {
    use ReceiptStage::{Delivered, Read};
    let db = place.open().await;
    let put = |id: &'static str, number, stage| {
        let db = &db;
        async move {
            step!(db, txn => {
                txn.put_group_receipt(LOGIN, &stanza(id), &user(number), stage).await?;
                txn.group_receivers(LOGIN, &stanza(id)).await
            })
        }
    };
    assert_eq!(put("m", 1, Delivered).await, [user(1)]);
    assert_eq!(put("m", 1, Delivered).await, [user(1)]);
    // Who read it has it.
    assert_eq!(put("m", 2, Read).await, [user(1), user(2)]);
    assert_eq!(put("m", 2, Delivered).await, [user(1), user(2)]);
    assert_eq!(put("other", 3, Read).await, [user(3)]);
    db.close().await;
}

pub(crate) async fn remembers_to_whom_a_message_went_as_long_as_the_message(place: Place) {
    let db = place.open().await;
    let (few, more) = (|| vec![user(1)], || vec![user(1), user(2)]);
    step!(db, txn => {
        for id in ["sent", "too", "waits", "direct"] {
            let mut row = outgoing(id);
            row.chat = group(1);
            txn.queue(&row).await?;
        }
        txn.put_group_recipients(LOGIN, &group(1), &stanza("sent"), &few()).await?;
        txn.put_group_recipients(LOGIN, &group(1), &stanza("too"), &few()).await?;
        txn.put_group_recipients(LOGIN, &group(1), &stanza("waits"), &more()).await
    });
    let went_to = |id: &'static str| {
        let db = &db;
        async move { step!(db, txn => txn.group_recipients(LOGIN, &stanza(id)).await) }
    };
    for (id, expected) in [("sent", few()), ("too", few()), ("waits", more())] {
        assert_eq!(went_to(id).await, expected, "{id}");
    }
    assert!(went_to("direct").await.is_empty());
    assert_eq!(place.count("group_recipients").await, 2, "each set once");
    step!(db, txn => {
        for row in txn.queued(LOGIN, 0, 2).await? {
            txn.acknowledged(LOGIN, &row.row.stanza_id, row.seq, NOW).await?;
        }
        txn.prune_outbox(NOW.plus_millis(1)).await
    });
    assert_eq!(place.count("group_recipients").await, 1);
    assert!(went_to("sent").await.is_empty());
    assert_eq!(went_to("waits").await, more());
    db.close().await;
}

pub(crate) async fn how_far_it_is_goes_with_the_message(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.queue(&outgoing("waits")).await?;
        txn.queue(&outgoing("sent")).await?;
        let seq = txn.queued(LOGIN, 0, 9).await?[1].seq;
        txn.acknowledged(LOGIN, &stanza("sent"), seq, NOW).await?;
        for id in ["waits", "sent"] {
            for number in 1..=3 {
                txn.put_group_receipt(LOGIN, &stanza(id), &user(number), ReceiptStage::Read).await?;
            }
        }
        txn.prune_outbox(NOW.plus_millis(1)).await
    });
    for (id, counted) in [("waits", 3), ("sent", 0)] {
        let have_it = step!(db, txn => txn.group_receivers(LOGIN, &stanza(id)).await);
        assert_eq!(have_it.len(), counted, "{id}");
    }
    db.close().await;
}
