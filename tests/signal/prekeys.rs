//! Our prekeys at the gatekeeper: never fewer here than there, never the same id for two keys.

use std::collections::HashSet;

use drawbridge::{
    domain::Timestamp,
    network::interop::{
        prekeys::{self, BatchSizes, Rotation, Upload},
        wire::{Jid, Node},
    },
};

use super::{
    peer::Peer,
    world::{LOGIN, NOW, SERVER, World, bundle_in, phone, us},
};

const SIZES: BatchSizes = BatchSizes {
    first: 5,
    refill: 2,
};
const DAY: i64 = 24 * 60 * 60 * 1000;

async fn upload(world: &World) -> Upload {
    world
        .step(|txn| {
            Box::pin(async move {
                let server = Jid::server(SERVER);
                let upload = prekeys::upload(txn, LOGIN, &server, SIZES, NOW).await?;
                Ok(upload.expect("there is a login"))
            })
        })
        .await
}

async fn confirm(world: &World, ids: &[u32]) {
    let ids = ids.to_vec();
    world
        .step(move |txn| {
            let ids = ids.clone();
            Box::pin(async move { prekeys::confirm(txn, LOGIN, &ids).await })
        })
        .await;
}

async fn rotation(world: &World, now: Timestamp) -> Option<Rotation> {
    world
        .step(move |txn| {
            Box::pin(async move { prekeys::rotation(txn, LOGIN, &Jid::server(SERVER), now).await })
        })
        .await
}

async fn confirm_rotation(world: &World, id: u32) {
    world
        .step(move |txn| Box::pin(async move { prekeys::confirm_rotation(txn, LOGIN, id).await }))
        .await;
}

#[tokio::test]
async fn an_upload_is_repeated_until_it_is_confirmed() {
    let world = World::new().await;
    let first = upload(&world).await;
    assert_eq!(first.ids, [1, 2, 3, 4, 5]);
    assert_eq!(upload(&world).await, first, "the answer was lost");
    confirm(&world, &first.ids).await;
    let refill = upload(&world).await;
    assert_eq!(refill.ids, [6, 7]);
    let distinct: HashSet<_> = first.ids.iter().chain(&refill.ids).collect();
    assert_eq!(distinct.len(), 7);
}

#[tokio::test]
async fn what_is_uploaded_is_what_a_peer_needs() {
    let world = World::new().await;
    let upload = upload(&world).await;
    let iq = &upload.iq;
    assert_eq!(iq.attr("type").as_deref(), Some("set"));
    assert_eq!(iq.attr("xmlns").as_deref(), Some("encrypt"));
    assert_eq!(iq.attr("to").as_deref(), Some(SERVER));
    assert_eq!(iq.find("type").unwrap().content_bytes(), Some(&[5][..]));
    let list = iq.find("list").unwrap();
    assert_eq!(list.children().len(), 5);
    // The gatekeeper hands out the identity, the signed prekey and one key of the list.
    let mut handed_out = Node::new("user");
    for tag in ["registration", "type", "identity", "skey"] {
        handed_out = handed_out.child(iq.find(tag).unwrap().clone());
    }
    handed_out = handed_out.child(list.children()[2].clone());

    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&bundle_in(&handed_out, &handed_out));
    let (kind, bytes) = peer.encrypt(b"hello");
    let from = drawbridge::signal::Address::new(&peer.jid.to_string(), 0);
    let read = world.decrypt(&from, kind, &bytes).await.unwrap();
    assert_eq!(read.plaintext, b"hello");
    assert!(!world.has_prekey(upload.ids[2]).await);
}

#[tokio::test]
async fn the_signed_prekey_is_replaced_in_time_and_the_last_three_are_kept() {
    let world = World::new().await;
    assert_eq!(rotation(&world, NOW).await, None);
    assert_eq!(rotation(&world, NOW.plus_millis(24 * DAY)).await, None);

    let mut peer = Peer::new(&phone(1), &us());
    peer.establish(&world.bundle(false).await);
    let (kind, on_its_way) = peer.encrypt(b"hello");

    let mut ids = Vec::new();
    for round in 1..=3 {
        let now = NOW.plus_millis(round * 26 * DAY);
        let made = rotation(&world, now).await.expect("it is due");
        let again = rotation(&world, now.plus_millis(DAY)).await;
        assert_eq!(again.as_ref(), Some(&made), "not confirmed yet");
        confirm_rotation(&world, made.id).await;
        assert_eq!(rotation(&world, now.plus_millis(DAY)).await, None);
        let skey = made.iq.find("rotate").unwrap().find("skey").unwrap();
        assert!(skey.find("signature").is_some());
        ids.push(made.id);
        if round == 2 {
            let from = drawbridge::signal::Address::new(&peer.jid.to_string(), 0);
            let read = world.decrypt(&from, kind, &on_its_way).await.unwrap();
            assert_eq!(read.plaintext, b"hello", "the last three are kept");
        }
    }
    assert_eq!(ids, [2, 3, 4]);
    let kept = world
        .step(|txn| {
            Box::pin(async move {
                let mut kept = Vec::new();
                for id in 1..=4 {
                    if txn.signed_prekey(LOGIN, id).await?.is_some() {
                        kept.push(id);
                    }
                }
                Ok(kept)
            })
        })
        .await;
    assert_eq!(kept, [2, 3, 4]);
}
