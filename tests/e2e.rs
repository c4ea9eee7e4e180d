//! The whole way against a real Synapse.

#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/homeserver.rs"]
mod homeserver;
#[path = "e2e/wait.rs"]
mod wait;

use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let reg = dir.path().join("registration.yaml");
    std::fs::write(&reg, json!({"id":"x","url":"http://127.0.0.1:1","as_token":"a","hs_token":"b","sender_localpart":"zz","namespaces":{"users":[],"aliases":[],"rooms":[]}}).to_string()).unwrap();
    let mut hs = homeserver::Homeserver::start(
        &dir.path().join("synapse"),
        homeserver::free_port(),
        &reg,
        "12",
    )
    .await;
    let mut alice = client::User::register(&hs.url(), "alice").await;
    let mut bob = client::User::register(&hs.url(), "bob").await;
    let room = alice.direct_chat(&bob.mxid).await;
    let by = alice.mxid.clone();
    let r2 = bob.watch("invite", |s| s.invited_by(&by)).await;
    assert_eq!(room, r2);
    bob.join(&room).await;
    let id = alice.say(&room, "hi\nthere").await;
    bob.hear(&room, &by, |b| b == "hi\nthere").await;
    bob.read(&room, &id).await;
    let me = bob.mxid.clone();
    alice
        .watch("read", |s| s.has_read(&room, &id, &me).then_some(()))
        .await;
    assert_eq!(bob.bodies(&room, &by).await, ["hi\nthere"]);
    hs.kill().await;
    hs.restart().await;
    alice.say(&room, "again").await;
    assert_eq!(bob.bodies(&room, &by).await.len(), 2);
}
