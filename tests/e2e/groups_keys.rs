//! Sender keys of groups: lost on either side, and mended without anybody's help.

use std::path::Path;

use drawbridge::sandbox::Fault;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    client::User,
    group::{CAN, Group, Member, WHATSAPP, logged_in},
    world::{Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_sender_key_is_mended() {
    let mut world = World::start(Plan::default()).await;
    let (mut alice, _desk) = logged_in(&world, "alice", WHATSAPP).await;
    let group = Group::found(&world, WHATSAPP, "Hiking", &mut [&mut alice]).await;
    let (room, own) = (group.room.clone(), WHATSAPP.login_of(&world, &alice));
    group.says(&world, &mut alice, "before").await;
    group.ben.contact.says("before too").await;
    alice.hears(&room, &group.ben.ghost, "before too").await;

    // A contact loses the user's key.
    let ann = &group.ann.contact.phone;
    ann.forget_sender_keys().await.expect(CAN);
    group.says(&world, &mut alice, "can you read this?").await;
    assert!(ann.counters().retries_sent > 0, "it was asked for again");
    group.says(&world, &mut alice, "and this").await;

    // The bridge loses the contacts' keys.
    world.bridge.kill().await;
    lose_keys(&world.bridge.folder().join("bridge.db")).await;
    world.bridge.start().await;
    group.ann.contact.says("once more").await;
    shows(&mut alice, &room, &group.ann, "once more").await;
    group.ann.contact.says("and on").await;
    shows(&mut alice, &room, &group.ann, "and on").await;
    assert!(
        ann.counters().retries_answered > 0,
        "it was asked for again"
    );

    // A message is damaged on its way: it comes again, in the place of its placeholder.
    let faults = world.sandbox.faults();
    faults.inject(Fault::CorruptCiphertext, Some("message"), 1);
    group.ben.contact.says("damaged").await;
    shows(&mut alice, &room, &group.ben, "damaged").await;
    shown_once(&alice, &room, &["once more", "and on", "damaged"]).await;

    // A contact has a new phone.
    group.ben.contact.reinstall().await;
    group.ben.contact.says("a new phone").await;
    shows(&mut alice, &room, &group.ben, "a new phone").await;
    alice.say(&room, "congratulations").await;
    for member in group.contacts() {
        member.gets(&own, "congratulations").await;
        assert_eq!(member.contact.phone.counters().key_reuse, 0);
    }
}

/// Takes away the keys others write with.
async fn lose_keys(database: &Path) {
    let uri = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&uri).await.expect("a database");
    let lost = sqlx::query("DELETE FROM sender_keys WHERE sender LIKE '%@s.whatsapp.net%'")
        .execute(&mut connection)
        .await
        .expect("the keys are deleted");
    assert!(lost.rows_affected() >= 2, "there were keys of both");
    connection.close().await.expect("the database is closed");
}

/// Waits until something a member wrote is shown with a text.
async fn shows(user: &mut User, room: &str, of: &Member, text: &str) {
    let what = format!("{text:?} to be shown");
    user.watch(&what, |seen| {
        let mut events = seen.timeline(room).iter();
        events
            .any(|event| {
                let id = event["event_id"].as_str().unwrap_or_default();
                event["sender"] == of.ghost.as_str()
                    && event["content"]["m.relates_to"]["rel_type"] != "m.replace"
                    && seen
                        .shown(room, id)
                        .is_some_and(|shown| shown["body"] == text)
            })
            .then_some(())
    })
    .await;
}

/// Asserts that each text is shown by one message and no more.
async fn shown_once(user: &User, room: &str, texts: &[&str]) {
    let history = user.history(room).await;
    for text in texts {
        let says = |event: &&serde_json::Value| {
            event["content"]["body"] == *text || event["content"]["m.new_content"]["body"] == *text
        };
        assert_eq!(history.iter().filter(says).count(), 1, "{text}");
    }
}
