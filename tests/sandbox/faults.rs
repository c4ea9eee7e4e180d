//! Each fault switch does what it says, as often as it says.

use std::time::{Duration, Instant};

use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, Fault, Flavour},
};

use super::{
    partner::Stage,
    user::{Client, User},
};

fn live() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

async fn scene() -> (Stage, User, Client, ContactHandle) {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let client = user.connect(&stage).await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    (stage, user, client, contact)
}

async fn say(contact: &ContactHandle, user: &User, texts: &[&str]) {
    for text in texts {
        contact
            .send_text(&user.login.to_string(), text)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_dropped_stanza_comes_with_the_next_connection() {
    let (stage, mut user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::Drop, Some("message"), 1);
    say(&contact, &user, &["one", "two"]).await;
    let second = client.next_of("message").await;
    drop(client);
    let mut client = user.connect(&stage).await;
    let first = client.next_of("message").await;
    assert_eq!(user.read(&first), "one");
    assert_eq!(user.read(&second), "two");
    assert_eq!(stage.sandbox.faults().pending(), 0);
}

#[tokio::test]
async fn a_delayed_stanza_comes_later() {
    let (stage, mut user, mut client, contact) = scene().await;
    let delay = Duration::from_millis(300);
    stage
        .sandbox
        .faults()
        .inject(Fault::Delay(delay), Some("message"), 1);
    let begun = Instant::now();
    say(&contact, &user, &["one"]).await;
    let message = client.next_of("message").await;
    assert!(begun.elapsed() >= delay);
    assert_eq!(user.read(&message), "one");
}

#[tokio::test]
async fn a_duplicated_stanza_comes_twice() {
    let (stage, user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::Duplicate, Some("message"), 1);
    say(&contact, &user, &["one"]).await;
    let first = client.next_of("message").await;
    assert_eq!(client.next_of("message").await, first);
}

#[tokio::test]
async fn a_reordered_stanza_comes_after_the_next() {
    let (stage, mut user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::Reorder, Some("message"), 1);
    say(&contact, &user, &["one", "two"]).await;
    let (late, early) = (
        client.next_of("message").await,
        client.next_of("message").await,
    );
    assert_eq!(user.read(&early), "one");
    assert_eq!(user.read(&late), "two");
}

#[tokio::test]
async fn the_connection_ends_after_as_many_stanzas_as_it_is_told() {
    let (stage, user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject_after(Fault::Disconnect, Some("message"), 1, 1);
    say(&contact, &user, &["one", "two", "three"]).await;
    let mut messages = 0;
    while let Some(node) = client.next_or_end().await {
        messages += usize::from(node.tag == "message");
    }
    assert_eq!(messages, 2);
}

#[tokio::test]
async fn a_login_is_refused_with_the_code() {
    let (stage, user, _client, _contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::RefuseLogin(503), None, 1);
    let refusal = user.dial(&stage).await.next().await;
    assert_eq!(
        (refusal.tag.as_ref(), refusal.attr("reason").as_deref()),
        ("failure", Some("503"))
    );
    user.connect(&stage).await;
}

#[tokio::test]
async fn an_unknown_stanza_comes_before_a_message() {
    let (stage, user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::UnknownStanza, Some("message"), 1);
    say(&contact, &user, &["one"]).await;
    client.next_of("weather").await;
    client.next_of("message").await;
}

#[tokio::test]
async fn a_corrupted_ciphertext_is_mended_by_a_retry() {
    let (stage, mut user, mut client, contact) = scene().await;
    stage
        .sandbox
        .faults()
        .inject(Fault::CorruptCiphertext, Some("message"), 1);
    say(&contact, &user, &["one"]).await;
    let broken = client.next_of("message").await;
    let id = broken.attr("id").unwrap().into_owned();
    client.acknowledge(&broken).await;
    let retry = Node::new("retry")
        .with("count", "1")
        .with("id", id.as_str())
        .with("v", "1");
    let receipt = Node::new("receipt")
        .with("id", id.as_str())
        .with("to", live())
        .with("type", "retry")
        .child(retry);
    client.send(receipt).await;
    let whole = client.next_of("message").await;
    assert_ne!(
        whole.find("enc").unwrap().content_bytes(),
        broken.find("enc").unwrap().content_bytes()
    );
    assert_eq!(user.read(&whole), "one");
}
