//! Sender keys in groups, against a client that is not the sandbox's: given, missed, asked for, changed, kept.

use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, Flavour, Received, Status},
};

use super::{
    groups::liam,
    member::{Member, with_members},
    partner::{DEADLINE, Stage},
    talk::{live, text_message},
};

async fn got(contact: &ContactHandle, id: &str) -> Received {
    let came = |contact: &ContactHandle| contact.received().into_iter().find(|m| m.id == id);
    contact.wait_for(came, DEADLINE).await.unwrap()
}

fn contact(stage: &Stage, jid: &Jid) -> ContactHandle {
    stage.sandbox.contact(&jid.to_string()).unwrap()
}

fn retry(node: &Node) -> bool {
    node.tag == "receipt" && node.attr("type").as_deref() == Some("retry")
}

#[tokio::test]
async fn a_contact_gives_its_key_once_and_to_whoever_is_added() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let livia = contact(&stage, &live());
    let group = livia
        .create_group("Flat", &[alice.jid(), liam()])
        .await
        .unwrap();
    let name = group.to_string();
    livia.send_text(&name, "first").await.unwrap();
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("first"));
    assert_eq!(node.children().len(), 2);
    livia.send_text(&name, "second").await.unwrap();
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("second"));
    assert_eq!(node.children().len(), 1, "the key is known");

    livia.add_members(&name, &[bob.jid()]).await.unwrap();
    let (_, create) = bob.told(&group, "create").await;
    assert_eq!(create.attr("reason").as_deref(), Some("invite"));
    livia.send_text(&name, "third").await.unwrap();
    assert_eq!(bob.hear_text(&group).await, "third");
    let (node, _) = alice.hear(&group).await;
    assert_eq!(node.children().len(), 1, "the key is the same");
    let (third, lia) = (node.attr("id").unwrap(), contact(&stage, &liam()));
    got(&lia, &third).await;
    assert_eq!(lia.received_count(), 3);

    let (id, from) = (node.attr("id").unwrap().into_owned(), live());
    for (kind, wanted) in [(None, Status::Delivered), (Some("read"), Status::Read)] {
        let receipt = Node::new("receipt")
            .with("to", &group)
            .with("participant", &from)
            .with("id", id.as_str())
            .with_opt("type", kind);
        alice.client.send(receipt).await;
        let so = |livia: &ContactHandle| {
            let message = livia.message(&name, &id)?;
            (message.receipts.get(&alice.jid()) == Some(&wanted)).then_some(message)
        };
        let message = livia.wait_for(so, DEADLINE).await.unwrap();
        assert!(message.status < Status::Read, "not everybody read it");
    }
}

#[tokio::test]
async fn who_lost_the_key_asks_for_the_message_and_gets_it_whole() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let group = alice.create("K1", &[&live(), &liam()]).await;
    let name = group.to_string();
    let (livia, all) = (contact(&stage, &live()), [live(), liam()]);
    let first = text_message("first");
    alice.write(&group, "A1", &first, &all).await;
    got(&livia, "A1").await;
    livia.forget_sender_keys().await.unwrap();
    let lost = text_message("lost");
    alice.write(&group, "A2", &lost, &[]).await;
    let receipt = alice.find(retry).await;
    assert_eq!(receipt.jid("from"), Some(group.clone()));
    assert_eq!(receipt.jid("participant"), Some(live()));
    assert_eq!(receipt.attr("id").as_deref(), Some("A2"));
    assert_eq!(receipt.find("retry").unwrap().number("count"), Some(1));
    alice.write_again(&receipt, &lost).await;
    let message = got(&livia, "A2").await;
    assert_eq!(
        (message.text.as_str(), &message.sender),
        ("lost", &alice.jid())
    );
    alice.write(&group, "A3", &text_message("third"), &[]).await;
    assert_eq!(got(&livia, "A3").await.text, "third");
    assert_eq!(livia.counters().retries_sent, 1);
    assert_eq!(contact(&stage, &liam()).counters().undecryptable, 0);
    let asked_again = contact(&stage, &liam()).received();
    assert_eq!(asked_again.iter().filter(|m| m.id == "A2").count(), 1);

    livia.send_text(&name, "hello").await.unwrap();
    alice.hear(&group).await;
    alice.keys = super::member::Keys::default();
    let id = livia.send_text(&name, "again").await.unwrap();
    let node = alice.hear_sealed(&group).await;
    alice.open(&node).unwrap_err();
    let ask = Node::new("receipt")
        .with("id", id.as_str())
        .with("to", &group)
        .with("participant", live())
        .with("type", "retry")
        .child(
            Node::new("retry")
                .with("count", "1")
                .with("id", id.as_str())
                .with("v", "1"),
        );
    alice.client.send(ask).await;
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("again"));
    assert_eq!(node.children().len(), 1, "pairwise alone");
    assert_eq!(node.find("enc").unwrap().number("count"), Some(1));
    assert_eq!(node.attr("id").as_deref(), Some(id.as_str()));
    livia.send_text(&name, "and on").await.unwrap();
    assert_eq!(alice.hear_text(&group).await, "and on");
    assert_eq!(contact(&stage, &liam()).counters().duplicates, 0);
}

#[tokio::test]
async fn a_removed_member_cannot_read_what_comes_after() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let livia = contact(&stage, &live());
    let group = livia
        .create_group("Flat", &[alice.jid(), bob.jid()])
        .await
        .unwrap();
    let name = group.to_string();
    livia.send_text(&name, "to both").await.unwrap();
    assert_eq!(alice.hear_text(&group).await, "to both");
    assert_eq!(bob.hear_text(&group).await, "to both");

    let outcome = livia.remove_members(&name, &[bob.jid()]).await.unwrap();
    assert_eq!(outcome[&bob.jid()], Ok(()));
    assert!(livia.gave_sender_key_to(&name).is_empty());
    let (_, removed) = bob.told(&group, "remove").await;
    assert_eq!(removed.children()[0].jid("jid"), Some(bob.jid()));
    livia.send_text(&name, "to one").await.unwrap();
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("to one"));
    assert_eq!(node.children().len(), 2, "there is a new key");
    // Even if somebody showed it to the removed member.
    let shown = Node {
        content: drawbridge::network::interop::wire::Content::Nodes(vec![
            node.children()[1].clone(),
        ]),
        ..node.clone()
    };
    bob.open(&shown).unwrap_err();
    assert!(!bob.has_come(|node| node.tag == "message").await);
    let ack = bob.write(&group, "B1", &text_message("let me"), &[]).await;
    assert_eq!(ack.attr("error").as_deref(), Some("403"));
    assert_eq!(bob.query(&group).await, Err(403));
}

#[tokio::test]
async fn keys_of_both_sides_survive_a_restart() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let group = alice.create("K1", &[&live()]).await;
    let name = group.to_string();
    let livia = contact(&stage, &live());
    alice
        .write(&group, "A1", &text_message("before"), &[live()])
        .await;
    got(&livia, "A1").await;
    livia.send_text(&name, "before").await.unwrap();
    alice.hear(&group).await;

    alice.settle(&stage).await;
    let stage = stage.restart().await;
    alice.reconnect(&stage).await;
    let livia = contact(&stage, &live());
    alice.write(&group, "A2", &text_message("after"), &[]).await;
    assert_eq!(got(&livia, "A2").await.text, "after");
    livia.send_text(&name, "after").await.unwrap();
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("after"));
    assert_eq!(node.children().len(), 1);
    assert_eq!(livia.counters().undecryptable, 0);
    assert_eq!(livia.counters().key_reuse, 0);
}

#[tokio::test]
async fn a_contact_that_is_away_writes_to_who_is_in_the_group_when_it_comes_back() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let livia = contact(&stage, &live());
    let group = alice.create("K1", &[&live(), &bob.jid()]).await;
    let name = group.to_string();
    let online = |contact: &ContactHandle| contact.is_connected().then_some(());
    livia.wait_for(online, DEADLINE).await.unwrap();
    let id = livia.send_text(&name, "one").await.unwrap();
    bob.hear(&group).await;
    let taken = |livia: &ContactHandle| {
        let status = livia.message(&name, &id)?.status;
        (status >= Status::Sent).then_some(())
    };
    livia.wait_for(taken, DEADLINE).await.unwrap();
    livia.set_online(false).unwrap();
    let away = |contact: &ContactHandle| (!contact.is_connected()).then_some(());
    livia.wait_for(away, DEADLINE).await.unwrap();
    livia.send_text(&name, "two").await.unwrap();
    let remove = with_members("remove", &[&bob.jid()]);
    alice.set(&group, remove).await.unwrap();
    livia.set_online(true).unwrap();
    alice.hear(&group).await;
    let (node, message) = alice.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("two"));
    assert_eq!(node.children().len(), 2, "there is a new key");
    assert_eq!(livia.gave_sender_key_to(&name), [alice.jid()]);
}

#[tokio::test]
async fn users_of_two_partners_and_a_phone_talk_in_a_group() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let users = stage.sandbox.partner_users().into_iter();
    let ivy = users
        .filter(|user| user.visible_id() == Some("@ivy:other.example"))
        .find(|user| user.flavour() == Flavour::WhatsApp)
        .unwrap();
    let others = [ivy.jid().clone(), live()];
    let group = alice.create("K1", &[&others[0], &others[1]]).await;
    let (name, livia) = (group.to_string(), contact(&stage, &live()));
    alice
        .write(&group, "A1", &text_message("hello both"), &others)
        .await;
    assert_eq!(got(&ivy, "A1").await.sender, alice.jid());
    got(&livia, "A1").await;
    let id = ivy.send_text(&name, "hello from elsewhere").await.unwrap();
    let (node, message) = alice.hear(&group).await;
    assert_eq!(
        message.conversation.as_deref(),
        Some("hello from elsewhere")
    );
    assert_eq!(node.jid("participant").as_ref(), Some(ivy.jid()));
    assert_eq!(node.attr("display_name").as_deref(), Some("Ivy Other"));
    assert_eq!(got(&livia, &id).await.sender, *ivy.jid());
}
