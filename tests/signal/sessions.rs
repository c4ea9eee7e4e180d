//! Sessions: what makes one, what ends one, and what may never happen to one.

use drawbridge::signal::{self, Address, CiphertextKind, SignalError};

use super::{
    peer::{Peer, key_place},
    world::{LOGIN, World, phone, us},
};

/// A world, a phone, and the address the phone's sessions are kept under.
async fn pair() -> (World, Peer, Address) {
    let jid = phone(1);
    let address = Address::new(&jid.to_string(), 0);
    (World::new().await, Peer::new(&jid, &us()), address)
}

#[tokio::test]
async fn a_one_time_prekey_is_gone_with_the_commit_that_used_it_and_not_before() {
    let (world, mut peer, from) = pair().await;
    let bundle = world.bundle(true).await;
    let id = bundle.prekey.unwrap().id;
    peer.establish(&bundle);
    let (kind, bytes) = peer.encrypt(b"first");

    let lost = world.crash_decrypt(&from, kind, &bytes).await.unwrap();
    assert_eq!(lost.plaintext, b"first");
    assert!(world.has_prekey(id).await, "the commit was lost");

    let kept = world.decrypt(&from, kind, &bytes).await.unwrap();
    assert_eq!(kept.plaintext, b"first");
    assert!(!world.has_prekey(id).await);
}

#[tokio::test]
async fn a_replayed_prekey_message_resets_nothing() {
    let (world, mut peer, address) = pair().await;
    peer.establish(&world.bundle(true).await);
    let (kind, bytes) = peer.encrypt(b"first");
    world.decrypt(&address, kind, &bytes).await.unwrap();
    let reply = world.encrypt(&address, b"reply").await.unwrap();
    peer.decrypt(reply.kind, &reply.bytes).unwrap();

    let again = world.decrypt(&address, kind, &bytes).await;
    assert_eq!(again, Err(SignalError::Duplicate));

    let next = world.encrypt(&address, b"and on").await.unwrap();
    assert_eq!(next.kind, CiphertextKind::Message);
    assert_eq!(peer.decrypt(next.kind, &next.bytes).unwrap(), b"and on");
}

#[tokio::test]
async fn a_late_prekey_message_of_an_archived_session_makes_no_second_one() {
    let (world, mut peer, address) = pair().await;
    peer.establish(&world.bundle(true).await);
    let (kind, first) = peer.encrypt(b"first");
    let (late_kind, late) = peer.encrypt(b"late");
    assert_eq!(late_kind, CiphertextKind::PreKey);
    world.decrypt(&address, kind, &first).await.unwrap();
    let bundle = peer.bundle(true);
    world.establish(&address, bundle).await.unwrap();

    let read = world.decrypt(&address, late_kind, &late).await.unwrap();
    assert_eq!(read.plaintext, b"late");
    let reply = world.encrypt(&address, b"reply").await.unwrap();
    assert_eq!(
        reply.kind,
        CiphertextKind::Message,
        "the old session came back"
    );
    assert_eq!(peer.decrypt(reply.kind, &reply.bytes).unwrap(), b"reply");
}

#[tokio::test]
async fn without_a_session_nothing_is_encrypted() {
    let (world, _, address) = pair().await;
    let result = world.encrypt(&address, b"hello").await;
    assert_eq!(result, Err(SignalError::NoSession));
}

#[tokio::test]
async fn a_bundle_with_a_bad_signature_makes_no_session() {
    let (world, mut peer, address) = pair().await;
    let mut bundle = peer.bundle(true);
    bundle.signed_prekey.signature[3] ^= 1;
    let result = world.establish(&address, bundle).await;
    assert_eq!(result, Err(SignalError::BadSignature));
    let result = world.encrypt(&address, b"hello").await;
    assert_eq!(result, Err(SignalError::NoSession));
}

#[tokio::test]
async fn a_new_identity_key_is_accepted_and_told_once() {
    let (world, mut peer, address) = pair().await;
    peer.establish(&world.bundle(true).await);
    let (kind, first) = peer.encrypt(b"old phone");
    let read = world.decrypt(&address, kind, &first).await.unwrap();
    assert!(!read.identity_changed, "the first key is no change");
    let late_opening = peer.encrypt(b"late");
    let reply = world.encrypt(&address, b"reply").await.unwrap();
    peer.decrypt(reply.kind, &reply.bytes).unwrap();
    let late = [late_opening, peer.encrypt(b"late"), peer.encrypt(b"late")];
    let kinds = late.each_ref().map(|(kind, _)| *kind);
    let (opening, inner) = (CiphertextKind::PreKey, CiphertextKind::Message);
    assert_eq!(kinds, [opening, inner, inner]);

    peer.reinstall();
    peer.establish(&world.bundle(true).await);
    for (text, changed) in [("new phone", true), ("new phone again", false)] {
        let (kind, bytes) = peer.encrypt(text.as_bytes());
        let read = world.decrypt(&address, kind, &bytes).await.unwrap();
        assert_eq!(read.identity_changed, changed, "{text}");
    }

    for (kind, bytes) in late {
        let read = world.decrypt(&address, kind, &bytes).await.unwrap();
        assert_eq!(read.plaintext, b"late");
        assert!(!read.identity_changed, "a late message is no news");
    }
    let result = world.encrypt(&address, b"to whom?").await;
    assert_eq!(
        result,
        Err(SignalError::NoSession),
        "the session that came back is with a key that is not the known one"
    );
    let (kind, bytes) = peer.encrypt(b"new phone once more");
    let read = world.decrypt(&address, kind, &bytes).await.unwrap();
    assert!(!read.identity_changed, "the new key stayed the known one");
    world.encrypt(&address, b"to the new phone").await.unwrap();
}

#[tokio::test]
async fn two_thousand_messages_may_be_skipped_and_no_more() {
    let (world, mut peer, address) = pair().await;
    peer.establish(&world.bundle(true).await);
    let (kind, bytes) = peer.encrypt(b"first");
    world.decrypt(&address, kind, &bytes).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..=2_001 {
        sent.push(peer.encrypt(b"skipped"));
    }
    let (kind, too_far) = sent.pop().unwrap();
    let result = world.decrypt(&address, kind, &too_far).await;
    assert!(
        matches!(result, Err(SignalError::Undecryptable(_))),
        "{result:?}"
    );
    let (kind, far) = sent.pop().unwrap();
    world.decrypt(&address, kind, &far).await.unwrap();
    let (kind, skipped) = sent.pop().unwrap();
    world.decrypt(&address, kind, &skipped).await.unwrap();

    let stored = stored_record(&world, &address).await;
    assert!(stored <= 256 * 1024, "the record has {stored} bytes");
}

#[tokio::test]
async fn a_record_full_of_skipped_keys_forgets_the_oldest() {
    let (world, mut peer, address) = pair().await;
    let mut newest = Vec::new();
    // A session with 2,000 skipped keys, archived; then one with 2,000 in each of two chains.
    for archived in [true, false] {
        peer.establish(&world.bundle(true).await);
        for _ in 0..if archived { 1 } else { 2 } {
            newest = (0..2_000).map(|_| peer.encrypt(b"skipped")).collect();
            let (kind, last) = peer.encrypt(b"last");
            world.decrypt(&address, kind, &last).await.unwrap();
            let stored = stored_record(&world, &address).await;
            assert!(stored <= 256 * 1024, "the record has {stored} bytes");
            assert!(stored > 200 * 1024, "more was forgotten than had to be");
            let reply = world.encrypt(&address, b"turn").await.unwrap();
            peer.decrypt(reply.kind, &reply.bytes).unwrap();
        }
    }
    let (kind, late) = newest.pop().unwrap();
    let read = world.decrypt(&address, kind, &late).await.unwrap();
    assert_eq!(read.plaintext, b"skipped");
    let (kind, next) = peer.encrypt(b"next");
    let read = world.decrypt(&address, kind, &next).await.unwrap();
    assert_eq!(read.plaintext, b"next");
}

#[tokio::test]
async fn sessions_made_again_and_again_stay_within_bounds() {
    let (world, mut peer, address) = pair().await;
    for _ in 0..60 {
        let bundle = peer.bundle(true);
        world.establish(&address, bundle).await.unwrap();
    }
    let sent = world.encrypt(&address, b"the newest").await.unwrap();
    assert_eq!(peer.decrypt(sent.kind, &sent.bytes).unwrap(), b"the newest");
    let stored = stored_record(&world, &address).await;
    assert!(stored <= 256 * 1024, "the record has {stored} bytes");
}

#[tokio::test]
async fn after_a_restore_old_sessions_are_only_read_with() {
    let (world, mut peer, address) = pair().await;
    let bundle = peer.bundle(true);
    world.establish(&address, bundle).await.unwrap();
    let sent = world.encrypt(&address, b"before the backup").await.unwrap();
    peer.decrypt(sent.kind, &sent.bytes).unwrap();
    let place = key_place(sent.kind, &sent.bytes);
    let before = next_prekey(&world).await;

    // What follows the backup, in the life that is lost: the chain goes on.
    let lost = world.crash_encrypt(&address, b"lost life").await.unwrap();
    let lost_place = key_place(lost.kind, &lost.bytes);
    let (reply_kind, reply) = peer.encrypt(b"reply");
    let (late_kind, late) = peer.encrypt(b"later");

    world
        .step(|txn| Box::pin(signal::archive_all_sessions(txn, LOGIN)))
        .await;
    let result = world.encrypt(&address, b"again").await;
    assert_eq!(result, Err(SignalError::NoSession));
    assert!(next_prekey(&world).await > before + 1000);

    for (kind, bytes, text) in [(reply_kind, &reply, "reply"), (late_kind, &late, "later")] {
        let read = world.decrypt(&address, kind, bytes).await.unwrap();
        assert_eq!(read.plaintext, text.as_bytes());
        let result = world.encrypt(&address, b"again").await;
        assert_eq!(result, Err(SignalError::NoSession), "after {text}");
    }

    let bundle = peer.bundle(true);
    world.establish(&address, bundle).await.unwrap();
    let fresh = world.encrypt(&address, b"again").await.unwrap();
    let fresh_place = key_place(fresh.kind, &fresh.bytes);
    assert_ne!(fresh_place.0, place.0);
    assert_ne!(fresh_place.0, lost_place.0);
    assert_eq!(peer.decrypt(fresh.kind, &fresh.bytes).unwrap(), b"again");
}

async fn stored_record(world: &World, address: &Address) -> usize {
    let address = address.clone();
    world
        .step(move |txn| {
            let address = address.clone();
            Box::pin(async move {
                let record = txn.session(LOGIN, address.as_str()).await?;
                Ok(record.map_or(0, |record| record.len()))
            })
        })
        .await
}

async fn next_prekey(world: &World) -> u32 {
    world
        .step(|txn| Box::pin(async move { Ok(txn.login(LOGIN).await?.unwrap().next_prekey_id) }))
        .await
}
