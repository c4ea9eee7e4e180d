//! What waits for whom, over restarts, and the push calls about it.

use std::sync::{Arc, atomic::Ordering};

use drawbridge::{
    network::interop::wire::Jid,
    sandbox::{Flavour, Sandbox, Status},
};
use serde_json::json;

use super::{
    partner::{Stage, options},
    user::User,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn live() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

fn offline() -> Jid {
    Jid::user("447700900004", "s.whatsapp.net")
}

/// An absent user for whom this many messages wait.
async fn absent(stage: &Stage, messages: usize) -> User {
    let user = User::enlist(stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    for n in 1..=messages {
        contact
            .send_text(&user.login.to_string(), &format!("message {n}"))
            .await
            .unwrap();
    }
    let login = user.login.to_string();
    stage
        .until("the messages wait, and the contact knows", || {
            contact.sent().iter().all(|m| m.status == Status::Sent)
                && stage.sandbox.waiting(&login) == messages
        })
        .await;
    user
}

#[tokio::test]
async fn the_mailbox_survives_a_restart_and_is_emptied_by_acknowledgements_alone() {
    let stage = Stage::start().await;
    let mut user = absent(&stage, 3).await;
    let stage = stage.restart().await;
    let login = user.login.to_string();
    assert_eq!(stage.sandbox.waiting(&login), 3);

    let mut client = user.connect(&stage).await;
    let preview = client.next_of("ib").await;
    assert_eq!(
        preview.find("offline_preview").unwrap().number("message"),
        Some(3)
    );
    let first = client.mail().await.unwrap();
    assert_eq!(user.read(&first), "message 1");
    client.acknowledge(&first).await;
    assert_eq!(user.read(&client.mail().await.unwrap()), "message 2");
    stage
        .until("the acknowledged one is gone", || {
            stage.sandbox.waiting(&login) == 2
        })
        .await;
    drop(client);

    let mut client = user.connect(&stage).await;
    let second = client.mail().await.unwrap();
    let third = client.mail().await.unwrap();
    assert_eq!(user.read(&third), "message 3");
    assert!(client.mail().await.is_none(), "the end of the mailbox");
    client.acknowledge(&second).await;
    client.acknowledge(&third).await;
    stage
        .until("all are gone", || stage.sandbox.waiting(&login) == 0)
        .await;
    let stage = stage.restart().await;
    let mut client = user.connect(&stage).await;
    assert!(client.mail().await.is_none());
}

#[tokio::test]
async fn what_is_acknowledged_is_on_disk() {
    let stage = Stage::start().await;
    let mut user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &offline()).await;
    let mut client = user.connect(&stage).await;
    let bundle = client.keys_of(&offline()).await;
    assert!(
        bundle.is_some(),
        "a phone's signed prekey is registered with it"
    );
    user.ratchet.establish(&bundle.unwrap());
    client
        .send(user.message("kept", &offline(), "for later"))
        .await;
    let ack = client.next_of("ack").await;
    assert_eq!(
        (ack.attr("id").as_deref(), ack.attr("error")),
        (Some("kept"), None)
    );

    // What a power cut right after the acknowledgement would leave.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(
        stage.dir.path().join("sandbox/gatekeeper.redb"),
        copy.path().join("gatekeeper.redb"),
    )
    .unwrap();
    let revived = Sandbox::start(
        options(copy.path().to_owned(), &stage.base_url),
        Arc::new(stage.clock.clone()),
    )
    .await
    .unwrap();
    assert_eq!(revived.waiting(&offline().to_string()), 1);
    revived.shutdown().await;

    let contact = stage.sandbox.contact(&offline().to_string()).unwrap();
    contact.set_online(true).unwrap();
    let received = contact
        .wait_for(|contact| contact.received().pop(), super::partner::DEADLINE)
        .await
        .unwrap();
    assert_eq!(received.text, "for later");
}

#[tokio::test]
async fn what_waits_longer_than_thirty_days_is_gone() {
    let stage = Stage::start().await;
    let user = absent(&stage, 1).await;
    stage.clock.advance(29 * DAY);
    stage.sandbox.sweep().await;
    assert_eq!(stage.sandbox.waiting(&user.login.to_string()), 1);
    drop(user.connect(&stage).await);
    stage.clock.advance(2 * DAY);
    stage.sandbox.sweep().await;
    assert_eq!(stage.sandbox.waiting(&user.login.to_string()), 0);
}

#[tokio::test]
async fn the_partner_of_an_absent_user_is_called_until_it_answers() {
    let stage = Stage::start().await;
    stage.seen.refuse_push_with.store(503, Ordering::SeqCst);
    let user = absent(&stage, 1).await;
    stage
        .until("a second call after the refused one", || {
            stage.pushes().len() >= 2
        })
        .await;
    let (authorization, body) = stage.pushes().remove(0);
    assert_eq!(body, json!({"to": user.visible_id}));

    let profile = stage.profile(Flavour::WhatsApp);
    let keys: jsonwebtoken::jwk::JwkSet = stage
        .http
        .get(profile.jwks_url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_issuer(&["WHATSAPP"]);
    rules.set_audience(&[&stage.base_url]);
    let calls = stage.pushes().len();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        stage.pushes().len(),
        calls,
        "a call that was answered is not repeated"
    );
    let claims = jsonwebtoken::decode::<serde_json::Value>(token, &key, &rules)
        .unwrap()
        .claims;
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600
    );
}

#[tokio::test]
async fn nobody_is_called_about_a_user_who_is_there() {
    let stage = Stage::start().await;
    let mut user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut client = user.connect(&stage).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .send_text(&user.login.to_string(), "hello")
        .await
        .unwrap();
    let message = client.next_of("message").await;
    assert_eq!(user.read(&message), "hello");
    client.acknowledge(&message).await;
    let login = user.login.to_string();
    stage
        .until("it is acknowledged", || stage.sandbox.waiting(&login) == 0)
        .await;
    assert!(stage.pushes().is_empty());
}
