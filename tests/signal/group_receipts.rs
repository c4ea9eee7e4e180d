//! How far messages to groups are, and what the gatekeeper says of the members when it takes one.

use drawbridge::{
    domain::GroupRole,
    network::interop::wire::{Jid, Node},
    store::{RemoteNotice, SendStage},
};

use super::{
    group_world::{given, group, group_chat, in_a_group, sealed_bytes},
    peer::group_key_place,
    stanzas::id,
    world::{LOGIN, NOW, World, phone, us},
};

fn receipt(who: &Jid, kind: Option<&'static str>) -> Node {
    Node::new("receipt")
        .with("from", group())
        .with("participant", who)
        .with("id", "A1")
        .with("t", "1760000005")
        .with_opt("type", kind)
}

impl World {
    /// How far the message is as its sender is to be told.
    async fn stage(&self) -> Option<SendStage> {
        let reports = self
            .step(|txn| Box::pin(async move { txn.unreported(LOGIN, &group_chat(), 10).await }))
            .await;
        reports.into_iter().next().map(|report| report.stage)
    }

    async fn took(&self, hash: Option<&str>) -> Option<drawbridge::domain::ChatId> {
        let ack = Node::new("ack")
            .with("class", "message")
            .with("id", "A1")
            .with_opt("phash", hash);
        self.acked(ack).await.chat
    }
}

#[tokio::test]
async fn a_message_is_delivered_once_every_other_member_has_it() {
    let (world, _) = in_a_group(3).await;
    world.said("A1", "hello").await;
    world.took(None).await;
    world.receipt(&receipt(&phone(1), None), NOW).await;
    world.receipt(&receipt(&phone(1), Some("read")), NOW).await;
    world.receipt(&receipt(&us(), None), NOW).await;
    world.receipt(&receipt(&phone(9), None), NOW).await;
    world.receipt(&receipt(&phone(2), Some("read")), NOW).await;
    assert_eq!(world.stage().await, Some(SendStage::Sent));
    world.receipt(&receipt(&phone(3), None), NOW).await;
    assert_eq!(world.stage().await, Some(SendStage::Delivered));
    let rows = world.waiting(&group()).await;
    let readers: Vec<_> = rows
        .iter()
        .map(|row| {
            let Some(RemoteNotice::Read { ids }) = &row.message.notice else {
                panic!("{:?}", row.message.notice)
            };
            assert_eq!(ids[..], [id("A1")]);
            row.message.sender.to_string()
        })
        .collect();
    assert_eq!(readers, [phone(1).to_string(), phone(2).to_string()]);
}

#[tokio::test]
async fn who_has_left_is_not_waited_for() {
    let (world, _) = in_a_group(2).await;
    world.said("A1", "hello").await;
    world.took(None).await;
    world.set_role(&phone(2), None).await;
    world.receipt(&receipt(&phone(1), None), NOW).await;
    assert_eq!(world.stage().await, Some(SendStage::Delivered));
}

#[tokio::test]
async fn who_has_come_since_or_left_with_it_does_not_stand_for_who_lacks_it() {
    let (world, _) = in_a_group(3).await;
    world.said("A1", "hello").await;
    world.took(None).await;
    world.set_role(&phone(4), Some(GroupRole::Member)).await;
    world.receipt(&receipt(&phone(1), None), NOW).await;
    world.set_role(&phone(1), None).await;
    world.receipt(&receipt(&phone(4), None), NOW).await;
    world.receipt(&receipt(&phone(2), None), NOW).await;
    assert_eq!(world.stage().await, Some(SendStage::Sent));
    world.receipt(&receipt(&phone(3), None), NOW).await;
    assert_eq!(world.stage().await, Some(SendStage::Delivered));
}

#[tokio::test]
async fn a_receipt_of_another_chat_says_nothing_of_a_message() {
    let (world, peers) = in_a_group(2).await;
    world.send(&peers[0].jid, "A1", "to one").await.unwrap();
    world.took(None).await;
    let kept = async || {
        world
            .step(|txn| Box::pin(async move { txn.retryable(LOGIN, &id("A1")).await }))
            .await
            .is_some()
    };
    let direct = |from: &Jid| Node::new("receipt").with("from", from).with("id", "A1");
    world.receipt(&direct(&phone(2)), NOW).await;
    world.receipt(&receipt(&phone(1), None), NOW).await;
    assert!(kept().await, "the one it was for does not have it");
    world.receipt(&direct(&phone(1)), NOW).await;
    assert!(!kept().await);
}

#[tokio::test]
async fn when_the_gatekeeper_counts_others_the_group_is_asked_for_and_the_key_shared_anew() {
    let (world, _) = in_a_group(2).await;
    let sent = world.said("A1", "hello").await;
    let ours = sent.attr("phash").unwrap().into_owned();
    assert_eq!(world.took(Some(&ours)).await, Some(group_chat()));
    assert_eq!(world.waiting(&group()).await.len(), 0);
    assert_eq!(world.shares().await.len(), 2);

    for (name, told) in [("A2", 1), ("A3", 1), ("A4", 2)] {
        world.said(name, "hello").await;
        let hash = if name == "A4" { "2:other" } else { "2:another" };
        let ack = Node::new("ack")
            .with("class", "message")
            .with("id", name)
            .with("phash", hash);
        world.acked(ack).await;
        let rows = world.waiting(&group()).await;
        assert_eq!(rows.len(), told, "the same disagreement is told once");
        assert_eq!(rows[0].message.notice, Some(RemoteNotice::Joined));
        if name == "A2" {
            assert_eq!(world.shares().await.len(), 0);
            let renewed = world.said("B1", "hello").await;
            assert_eq!(given(&renewed).len(), 2);
            let chain = |sent: &Node| group_key_place(&sealed_bytes(sent)).0;
            assert_ne!(
                chain(&sent),
                chain(&renewed),
                "who is not counted has the key"
            );
            world
                .acked(Node::new("ack").with("class", "message").with("id", "B1"))
                .await;
        }
    }
    world.set_role(&phone(3), Some(GroupRole::Member)).await;
}
