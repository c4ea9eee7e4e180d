//! Messages that disappear, on both sides.

use drawbridge::sandbox::content::Content;
use serde_json::json;

use super::{
    chat::{Chat, event, id_of},
    contact::proto,
    world::{MARKED, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn timers_are_kept_on_both_sides() {
    let world = World::start(Plan {
        profile: json!({"features": {"timers": [3, 86_400]}}),
        ..Plan::default()
    })
    .await;
    let mut chat = Chat::open(&world).await;
    let stays = chat.say("this stays").await;
    let received = chat.contact.receives("this stays").await;
    assert_eq!(received.expires_after, None);

    // Set in Matrix: the contact is told, and what is said from then on says so and is gone in time.
    let whom = chat.contact.number();
    let refused = format!("chat-settings {whom} timer 1h");
    let answer = chat.desk.command(&mut chat.alice, &refused).await;
    assert!(
        answer.contains("3 seconds") && answer.contains("1 day"),
        "{answer}"
    );
    let set = format!("chat-settings {whom} timer 3s");
    chat.desk.command(&mut chat.alice, &set).await;
    chat.contact
        .gets("the timer", |m| {
            (m.content == Content::Timer { seconds: 3 }).then_some(())
        })
        .await;
    chat.is_told("disappear after 3 seconds").await;
    let fleeting = format!("{MARKED} does not stay");
    let hers = chat.say(&fleeting).await;
    let received = chat.contact.receives(&fleeting).await;
    let context = proto(&received).extended_text_message.context_info.clone();
    assert_eq!(context.expiration, Some(3));
    chat.contact.say("nor does this").await;
    let theirs = id_of(&chat.hears("nor does this").await);
    chat.loses(&hers).await;
    chat.loses(&theirs).await;

    // Set at the gatekeeper: the room is told, and what is said from then on says so.
    let phone = chat.contact.phone.clone();
    phone
        .set_timer(&chat.contact.user, 86_400)
        .await
        .expect("the sandbox runs");
    chat.finds("the timer", |e| {
        let body = e["content"]["body"].as_str();
        body.is_some_and(|body| body.contains("1 day"))
    })
    .await;
    chat.say("for a day").await;
    assert_eq!(
        chat.contact.receives("for a day").await.expires_after,
        Some(86_400)
    );

    // And no more.
    phone
        .set_timer(&chat.contact.user, 0)
        .await
        .expect("the sandbox runs");
    chat.contact.say("for good").await;
    let theirs = id_of(&chat.hears("for good").await);
    chat.say("for good as well").await;
    assert_eq!(
        chat.contact
            .receives("for good as well")
            .await
            .expires_after,
        None
    );

    let events = chat.room().await;
    assert_eq!(event(&events, &hers)["class"], "RedactedEvent");
    assert_eq!(event(&events, &stays)["body"], "this stays");
    assert_eq!(event(&events, &theirs)["body"], "for good");
}
