//! Messages to groups: who gets the sender key, when it is a new one, and what is given again.

use drawbridge::{
    domain::{GroupRole, Timestamp},
    network::{
        Enqueued, NetworkError,
        interop::{
            outbound::{self, GroupRules, member_hash},
            wire::{self, Node},
        },
    },
    signal,
};

use super::{
    group_world::{
        GROUP, given, group, in_a_group, naming, notification, origin, read_in_group, saying,
        sealed_bytes,
    },
    peer::{Peer, group_key_place},
    stanzas::text,
    world::{LOGIN, NOW, World, phone, us},
};

#[tokio::test]
async fn every_member_gets_the_sender_key_once_and_reads_what_follows() {
    let (world, mut peers) = in_a_group(2).await;
    let first = world.said("A1", "hello").await;
    assert_eq!(first.jid("to"), Some(group()));
    assert_eq!(given(&first).len(), 2);
    let everybody = [us(), phone(1), phone(2)];
    let hash = member_hash(everybody.iter());
    assert_eq!(first.attr("phash").as_deref(), Some(&*hash));
    let second = world.said("A2", "and again").await;
    assert!(second.find("participants").is_none());
    for peer in &mut peers {
        assert_eq!(read_in_group(peer, &first).unwrap(), text("hello"));
        assert_eq!(read_in_group(peer, &second).unwrap(), text("and again"));
    }
    let queued = world.say("A2", "and again", NOW).await.unwrap();
    assert_eq!(queued, Enqueued::Known);
    assert_eq!(world.outbox().await.len(), 2);
}

#[tokio::test]
async fn what_comes_in_another_order_is_read_and_nothing_twice() {
    let (world, mut peers) = in_a_group(1).await;
    let first = world.said("A1", "one").await;
    let second = world.said("A2", "two").await;
    let third = world.said("A3", "three").await;
    let peer = &mut peers[0];
    read_in_group(peer, &first).unwrap();
    assert_eq!(read_in_group(peer, &third).unwrap(), text("three"));
    assert_eq!(read_in_group(peer, &second).unwrap(), text("two"));
    read_in_group(peer, &second).unwrap_err();
}

#[tokio::test]
async fn without_members_or_sessions_nothing_is_written() {
    let world = World::new().await;
    let queued = world.say("A1", "hello", NOW).await.unwrap();
    assert_eq!(queued, Enqueued::NoSession, "who is in it is not known");
    world.form_group(&[us(), phone(1)]).await;
    let queued = world.say("A1", "hello", NOW).await.unwrap();
    assert_eq!(queued, Enqueued::NoSession);
    assert_eq!(world.outbox().await.len(), 0);
    assert_eq!(world.shares().await, Vec::<String>::new());

    world.set_role(&us(), None).await;
    let refused = world.say("A1", "hello", NOW).await;
    assert!(matches!(refused, Err(NetworkError::Unsendable(_))));
    let switched_off = world
        .step(|txn| {
            Box::pin(async move {
                let groups = GroupRules {
                    most: 0,
                    keyless: &outbound::Keyless::default(),
                };
                outbound::enqueue(txn, LOGIN, &saying("A1", "x"), &origin(), groups, NOW).await
            })
        })
        .await;
    assert!(matches!(switched_off, Err(NetworkError::Unsendable(_))));
}

#[tokio::test]
async fn who_has_no_keys_is_left_out_for_a_while() {
    let (world, mut peers) = in_a_group(1).await;
    let nobody = phone(9);
    world.set_role(&nobody, Some(GroupRole::Member)).await;
    let queued = world.say("A1", "hello", NOW).await.unwrap();
    assert_eq!(queued, Enqueued::NoSession);
    world.keyless.remember(LOGIN, nobody.clone(), false, NOW);
    let sent = world.said("A1", "hello").await;
    assert_eq!(given(&sent), [phone(1)]);
    let counted = member_hash([us(), phone(1), nobody].iter());
    assert_eq!(sent.attr("phash").as_deref(), Some(&*counted));
    assert_eq!(read_in_group(&mut peers[0], &sent).unwrap(), text("hello"));
    let later = NOW.plus_millis(2 * 60 * 60 * 1000);
    let queued = world.say("A2", "hello", later).await.unwrap();
    assert_eq!(queued, Enqueued::NoSession, "there may be keys by now");
}

#[tokio::test]
async fn an_added_member_reads_from_then_on() {
    let (world, mut peers) = in_a_group(1).await;
    let before = world.said("A1", "before").await;
    read_in_group(&mut peers[0], &before).unwrap();
    let mut added = Peer::new(&phone(2), &us());
    let bundle = added.bundle(true);
    world.fetched(&added.jid, &bundle).await.unwrap();
    world.set_role(&added.jid, Some(GroupRole::Member)).await;
    let after = world.said("A2", "after").await;
    assert_eq!(given(&after), [added.jid.clone()]);
    assert_eq!(read_in_group(&mut added, &after).unwrap(), text("after"));
    assert_eq!(read_in_group(&mut peers[0], &after).unwrap(), text("after"));
    added
        .decrypt_in_group(GROUP, &sealed_bytes(&before))
        .unwrap_err();
}

#[tokio::test]
async fn who_is_removed_or_leaves_cannot_read_what_follows() {
    for told in [true, false] {
        let (world, mut peers) = in_a_group(3).await;
        let before = world.said("A1", "before").await;
        for peer in &mut peers {
            read_in_group(peer, &before).unwrap();
        }
        let gone = peers[2].jid.clone();
        if told {
            let removed = naming("remove", &[&gone]);
            world
                .notified(&notification("N1", &peers[0].jid, 1_760_000_100, removed))
                .await;
            assert_eq!(world.shares().await, Vec::<String>::new());
        } else {
            world.set_role(&gone, None).await;
        }
        let after = world.said("A2", "after").await;
        assert_eq!(given(&after), [phone(1), phone(2)]);
        let mut places = [&before, &after].map(|sent| group_key_place(&sealed_bytes(sent)).0);
        places.sort_unstable();
        assert_ne!(places[0], places[1], "another sender key");
        for peer in &mut peers[..2] {
            assert_eq!(read_in_group(peer, &after).unwrap(), text("after"));
        }
        read_in_group(&mut peers[2], &after).unwrap_err();
    }
}

#[tokio::test]
async fn a_sender_key_is_used_for_a_month_or_a_thousand_messages() {
    let (world, _) = in_a_group(1).await;
    let chain = async |name: &str, now: Timestamp| {
        world.say(name, "hello", now).await.unwrap();
        let sent = world.outbox_nodes().await.pop().unwrap();
        (group_key_place(&sealed_bytes(&sent)).0, given(&sent).len())
    };
    let (first, _) = chain("A1", NOW).await;
    let day = 24 * 60 * 60 * 1000;
    let later = NOW.plus_millis(29 * day);
    assert_eq!(chain("A2", later).await, (first, 0));
    let later = NOW.plus_millis(31 * day);
    let (second, everybody) = chain("A3", later).await;
    assert_ne!(first, second);
    assert_eq!(everybody, 1);

    let keyless = world.keyless.clone();
    let changes = world
        .step(move |txn| {
            let keyless = keyless.clone();
            Box::pin(async move {
                let groups = GroupRules {
                    most: 1024,
                    keyless: &keyless,
                };
                for number in 0..1000 {
                    let message = saying(&format!("B{number}"), "x");
                    let queued =
                        outbound::enqueue(txn, LOGIN, &message, &origin(), groups, later).await?;
                    assert_eq!(queued.unwrap(), Enqueued::Queued);
                }
                let mut changes = Vec::new();
                for row in txn.queued(LOGIN, -1, 2000).await? {
                    let stanza = wire::decode(&row.row.payload).unwrap();
                    let place = group_key_place(&sealed_bytes(&stanza));
                    if place.0 != second && place.0 != first {
                        changes.push(place.1);
                    }
                }
                Ok(changes)
            })
        })
        .await;
    assert_eq!(changes, [0], "the last one began a new chain");
}

#[tokio::test]
async fn no_key_leaves_twice_whatever_is_lost() {
    let (world, mut peers) = in_a_group(1).await;
    world.say_and_crash("A1", "lost").await;
    assert_eq!(world.outbox().await.len(), 0);
    assert_eq!(world.shares().await, Vec::<String>::new());
    let first = world.said("A1", "kept").await;
    assert_eq!(given(&first).len(), 1, "the lost key was nobody's");
    world.say_and_crash("A2", "lost").await;
    let second = world.said("A3", "kept too").await;
    let places = [&first, &second].map(|sent| group_key_place(&sealed_bytes(sent)));
    assert_ne!(places[0], places[1]);
    let peer = &mut peers[0];
    assert_eq!(read_in_group(peer, &first).unwrap(), text("kept"));
    assert_eq!(read_in_group(peer, &second).unwrap(), text("kept too"));
}

#[tokio::test]
async fn after_a_restored_copy_everybody_gets_a_new_key() {
    let (world, mut peers) = in_a_group(2).await;
    let before = world.said("A1", "before").await;
    world
        .step(|txn| Box::pin(signal::archive_all_sessions(txn, LOGIN)))
        .await;
    let queued = world.say("A2", "after", NOW).await.unwrap();
    assert_eq!(queued, Enqueued::NoSession);
    for peer in &mut peers {
        let bundle = peer.bundle(true);
        world.fetched(&peer.jid, &bundle).await.unwrap();
    }
    let after = world.said("A2", "after").await;
    assert_eq!(given(&after).len(), 2);
    let chain = |sent: &Node| group_key_place(&sealed_bytes(sent)).0;
    assert_ne!(chain(&before), chain(&after));
    for peer in &mut peers {
        assert_eq!(read_in_group(peer, &after).unwrap(), text("after"));
    }
}

#[tokio::test]
async fn a_frame_for_the_largest_group_is_far_from_too_long() {
    let (world, _) = in_a_group(20).await;
    world.said("A1", "hello").await;
    let row = world.outbox().await.pop().unwrap();
    let a_member = row.row.payload.len() / 20;
    assert!(
        a_member * 1024 < wire::frame::MAX_FRAME / 16,
        "{a_member} bytes a member"
    );
}
