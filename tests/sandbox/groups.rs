//! Groups as the server keeps them: creation, questions, messages to all, refusals, what survives a restart.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{Flavour, Role, SandboxError, Status},
};
use sha2::{Digest, Sha256};

use super::{
    member::{Member, all_groups, roles, with_members},
    partner::{DEADLINE, Stage},
    talk::{live, text_message},
};

/// Another who does nothing by themselves.
pub(crate) fn liam() -> Jid {
    Jid::user("447700900006", "s.whatsapp.net")
}

fn expected_hash(members: &[&Jid]) -> String {
    let mut sorted: Vec<String> = members.iter().map(ToString::to_string).collect();
    sorted.sort();
    let digest = Sha256::digest(sorted.concat());
    format!("2:{}", STANDARD.encode(&digest[..6]))
}

#[tokio::test]
async fn a_group_is_made_once_and_everybody_in_it_is_told() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let nobody = Jid::user("1", "s.whatsapp.net");
    let group = alice.create("K1", &[&live(), &liam(), &nobody]).await;
    assert_eq!(alice.create("K1", &[&live()]).await, group);
    assert_ne!(alice.create("K2", &[&live()]).await, group);
    let (node, create) = alice.told(&group, "create").await;
    assert_eq!(node.jid("participant"), Some(alice.jid()));
    assert_eq!(node.attr("notify").as_deref(), Some("@alice:example.org"));
    assert_eq!(create.attr("reason"), None);
    let told = create.find("group").unwrap();
    assert_eq!(told.attr("subject").as_deref(), Some("Bridge builders"));
    assert_eq!(told.jid("creator"), Some(alice.jid()));
    let wanted = [
        (alice.jid(), Some("superadmin".to_owned())),
        (live(), None),
        (liam(), None),
    ];
    assert_eq!(roles(told), wanted.into());

    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let known = contact
        .wait_for(|contact| contact.group(&group.to_string()), DEADLINE)
        .await
        .unwrap();
    assert_eq!(known.members[&alice.jid()], Role::Creator);
    alice.settle(&stage).await;
    let stage = stage.restart().await;
    alice.reconnect(&stage).await;
    assert_eq!(&alice.query(&group).await.unwrap(), told);
    assert_eq!(alice.create("K1", &[&live()]).await, group);
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    assert_eq!(contact.group(&group.to_string()), Some(known));
    let asked = Node::new("participating")
        .child(Node::new("participants"))
        .child(Node::new("description"));
    let all = alice
        .ask("get", "w:g2", &all_groups(), None, Some(asked))
        .await;
    assert_eq!(all.find("groups").unwrap().children().len(), 2);
}

#[tokio::test]
async fn a_message_goes_to_every_other_member_and_to_nobody_else() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let mut eve = Member::start(&stage, "@eve:example.org").await;
    let group = alice.create("K1", &[&live(), &liam(), &bob.jid()]).await;
    let all = [live(), liam(), bob.jid()];
    let ack = alice
        .write(&group, "A1", &text_message("hello all"), &all)
        .await;
    assert_eq!(ack.attr("error"), None);
    assert_eq!(ack.jid("from"), Some(group.clone()));
    let hash = expected_hash(&[&alice.jid(), &bob.jid(), &live(), &liam()]);
    assert_eq!(ack.attr("phash").as_deref(), Some(&*hash));

    let (node, message) = bob.hear(&group).await;
    assert_eq!(message.conversation.as_deref(), Some("hello all"));
    assert_eq!(node.jid("participant"), Some(alice.jid()));
    assert_eq!(
        node.attr("display_name").as_deref(),
        Some("@alice:example.org")
    );
    assert!(node.attr("sts").is_some() && node.find("participants").is_none());
    let kinds: Vec<_> = node.children().iter().map(|enc| enc.attr("type")).collect();
    assert_eq!(kinds, [Some("pkmsg".into()), Some("skmsg".into())]);

    for jid in [live(), liam()] {
        let contact = stage.sandbox.contact(&jid.to_string()).unwrap();
        let got = contact
            .wait_for(|contact| contact.received().pop(), DEADLINE)
            .await
            .unwrap();
        assert_eq!((got.id.as_str(), got.text.as_str()), ("A1", "hello all"));
        assert_eq!((&got.chat, &got.sender), (&group, &alice.jid()));
        let from =
            |node: &Node| node.tag == "receipt" && node.jid("participant") == Some(jid.clone());
        let receipt = alice.find(from).await;
        assert_eq!(receipt.attr("id").as_deref(), Some("A1"));
        assert_eq!(receipt.jid("from"), Some(group.clone()));
        assert_eq!(receipt.attr("type"), None);
    }
    assert!(!eve.has_come(|node| node.tag == "message").await);
    assert!(!alice.has_come(|node| node.tag == "message").await);
}

#[tokio::test]
async fn who_may_not_is_refused() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let mut eve = Member::start(&stage, "@eve:example.org").await;
    let mut mallory = Member::of(&stage, "@mallory:example.org", Flavour::Messenger).await;
    let group = alice
        .create("K1", &[&live(), &bob.jid(), &mallory.jid()])
        .await;
    let missing = Jid::user("120363000000000009", "g.us");
    assert_eq!(eve.query(&group).await, Err(403));
    assert_eq!(eve.query(&missing).await, Err(404));
    assert_eq!(mallory.query(&group).await, Err(404));
    for tag in ["announcement", "locked"] {
        assert_eq!(bob.set(&group, Node::new(tag)).await, Err(403));
    }
    for tag in ["add", "remove", "promote", "demote"] {
        let change = with_members(tag, &[&live()]);
        assert_eq!(bob.set(&group, change).await, Err(403));
    }
    let text = text_message("no");
    let ack = eve.write(&group, "E1", &text, &[]).await;
    assert_eq!(ack.attr("error").as_deref(), Some("403"));
    let ack = eve.write(&missing, "E2", &text, &[]).await;
    assert_eq!(ack.attr("error").as_deref(), Some("404"));

    alice.set(&group, Node::new("announcement")).await.unwrap();
    bob.told(&group, "announcement").await;
    let ack = bob.write(&group, "B1", &text, &[]).await;
    assert_eq!(ack.attr("error").as_deref(), Some("403"));
    let ack = alice.write(&group, "A1", &text, &[]).await;
    assert_eq!(ack.attr("error"), None);
    alice.set(&group, Node::new("locked")).await.unwrap();
    let subject = || Node::new("subject").bytes("mine");
    assert_eq!(bob.set(&group, subject()).await, Err(403));
    alice.set(&group, Node::new("unlocked")).await.unwrap();
    bob.set(&group, subject()).await.unwrap();
    let (_, told) = alice.told(&group, "subject").await;
    assert_eq!(told.attr("subject").as_deref(), Some("mine"));

    let nobody = Jid::user("1", "s.whatsapp.net");
    let add = with_members("add", &[&live(), &nobody, &liam()]);
    let answer = alice.set(&group, add).await.unwrap();
    let codes = answer.find("add").unwrap().children().iter();
    let codes: Vec<_> = codes.map(|member| member.number("error")).collect();
    assert_eq!(codes, [Some(409), Some(404), None]);
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let refused = contact.set_announce(&group.to_string(), false).await;
    assert!(matches!(refused, Err(SandboxError::Refused(403))));
    let failed = contact.send_text(&group.to_string(), "no").await.unwrap();
    contact
        .wait_for(
            |contact| {
                let sent = contact.message(&group.to_string(), &failed)?;
                (sent.status == Status::Failed).then_some(())
            },
            DEADLINE,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn many_members_who_never_connect_are_made_and_written_to_quickly() {
    let stage = Stage::start().await;
    let begun = Instant::now();
    let silent = stage
        .sandbox
        .add_silent_phones(Flavour::WhatsApp, 1000)
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut members = silent.clone();
    members.push(alice.jid());
    let group = contact.create_group("Stadium", &members).await.unwrap();
    let name = group.to_string();
    assert_eq!(contact.group(&name).unwrap().members.len(), 1002);
    contact.send_text(&name, "hello stadium").await.unwrap();
    assert_eq!(alice.hear_text(&group).await, "hello stadium");
    assert_eq!(contact.gave_sender_key_to(&name).len(), 1001);
    assert_eq!(stage.sandbox.waiting(&silent[0].to_string()), 0);
    let again = stage
        .sandbox
        .add_silent_phones(Flavour::WhatsApp, 2)
        .await
        .unwrap();
    assert!(!silent.contains(&again[0]));
}
