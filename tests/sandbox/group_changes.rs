//! What changes in groups, and who is told: roles, names, pictures, who leaves, and who is gone.

use drawbridge::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, GroupChange, GroupInfo, Role, content::Content},
};

use super::{
    groups::liam,
    member::{Member, all_groups, roles, with_members},
    partner::{DEADLINE, Stage},
    talk::live,
};

fn contact(stage: &Stage, jid: &Jid) -> ContactHandle {
    stage.sandbox.contact(&jid.to_string()).unwrap()
}

async fn until(contact: &ContactHandle, group: &Jid, so: impl Fn(&GroupInfo) -> bool) -> GroupInfo {
    let found = |contact: &ContactHandle| contact.group(&group.to_string()).filter(&so);
    contact.wait_for(found, DEADLINE).await.unwrap()
}

/// What the contact was told of a group, oldest first.
fn changes(contact: &ContactHandle, group: &Jid) -> Vec<(Jid, GroupChange)> {
    let messages = contact.messages(group).into_iter();
    messages
        .filter_map(|message| match message.content {
            Content::Group { by, change } if message.notice => Some((by, change)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn roles_change_and_are_told() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let group = alice.create("K1", &[&live(), &bob.jid()]).await;
    let promote = with_members("promote", &[&bob.jid(), &live(), &liam()]);
    let answer = alice.set(&group, promote).await.unwrap();
    let codes = answer.find("promote").unwrap().children().iter();
    let codes: Vec<_> = codes.map(|member| member.number("error")).collect();
    assert_eq!(codes, [None, None, Some(404)]);
    let (node, told) = bob.told(&group, "promote").await;
    assert_eq!(node.jid("participant"), Some(alice.jid()));
    assert_eq!(roles(&told).len(), 2);
    let livia = contact(&stage, &live());
    until(&livia, &group, |info| info.members[&live()] == Role::Admin).await;

    let demote = with_members("demote", &[&alice.jid()]);
    let answer = bob.set(&group, demote).await.unwrap();
    let outcome = &answer.find("demote").unwrap().children()[0];
    assert_eq!(
        outcome.number("error"),
        Some(403),
        "nobody demotes its creator"
    );
    let name = group.to_string();
    livia.demote(&name, &[bob.jid()]).await.unwrap();
    bob.told(&group, "demote").await;
    assert_eq!(
        bob.set(&group, with_members("add", &[&liam()])).await,
        Err(403)
    );
    let who = livia.promote(&name, &[live()]).await.unwrap();
    assert_eq!(who[&live()], Err(409));
    let seen = changes(&livia, &group);
    let by = |jid: &Jid, change: GroupChange| (jid.clone(), change);
    assert_eq!(
        seen,
        [
            by(&alice.jid(), GroupChange::Created),
            by(
                &alice.jid(),
                GroupChange::Promoted {
                    who: vec![bob.jid(), live()]
                }
            ),
            by(
                &live(),
                GroupChange::Demoted {
                    who: vec![bob.jid()]
                }
            ),
        ]
    );
}

#[tokio::test]
async fn a_contact_changes_everything_about_its_group() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let (livia, lia) = (contact(&stage, &live()), contact(&stage, &liam()));
    let group = livia.create_group("One", &[alice.jid()]).await.unwrap();
    let name = group.to_string();
    livia.set_subject(&name, "Two").await.unwrap();
    livia.set_description(&name, "about *us*").await.unwrap();
    livia.set_announce(&name, true).await.unwrap();
    livia.set_locked(&name, true).await.unwrap();
    let jpeg = vec![0xff, 0xd8, 0xff, 1, 2, 3];
    livia
        .set_group_picture(&name, Some(jpeg.clone()))
        .await
        .unwrap();
    let (_, subject) = alice.told(&group, "subject").await;
    assert_eq!(subject.attr("subject").as_deref(), Some("Two"));
    assert!(subject.attr("s_t").is_some());
    let (_, description) = alice.told(&group, "description").await;
    let body = description.find("body").unwrap().content_bytes();
    assert_eq!(body, Some("about *us*".as_bytes()));
    alice.told(&group, "announcement").await;
    alice.told(&group, "locked").await;
    let (_, picture) = alice.told(&group, "picture").await;
    let id = picture.attr("id").unwrap().into_owned();

    alice.settle(&stage).await;
    let stage = stage.restart().await;
    alice.reconnect(&stage).await;
    let livia = contact(&stage, &live());
    let found = alice.query(&group).await.unwrap();
    assert_eq!(found.attr("subject").as_deref(), Some("Two"));
    assert_eq!(found.jid("s_o"), Some(live()));
    for tag in ["announcement", "locked", "description"] {
        assert!(found.find(tag).is_some(), "{tag}");
    }
    assert_eq!(
        found.find("picture").unwrap().attr("id"),
        Some(id.as_str().into())
    );
    let server = Jid::server("s.whatsapp.net");
    let ask = |known: Option<&str>| {
        Node::new("picture")
            .with("type", "image")
            .with("query", "url")
            .with_opt("id", known.map(str::to_owned))
    };
    let space = "w:profile:picture";
    let answer = alice
        .ask("get", space, &server, Some(&group), Some(ask(None)))
        .await;
    let url = answer.find("picture").unwrap().attr("url").unwrap();
    let got = stage.http.get(&*url).send().await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), jpeg);
    let answer = alice
        .ask("get", space, &server, Some(&group), Some(ask(Some(&id))))
        .await;
    assert_eq!(answer.find("picture").unwrap().attr("url"), None);
    assert_eq!(
        livia.group_picture(&name).await.unwrap().as_deref(),
        Some(&*url)
    );
    livia.set_group_picture(&name, None).await.unwrap();
    let (_, picture) = alice.told(&group, "picture").await;
    assert_eq!(picture.attr("id"), None);
    assert_eq!(livia.group_picture(&name).await.unwrap(), None);
    livia.set_description(&name, "").await.unwrap();
    let (_, description) = alice.told(&group, "description").await;
    assert_eq!(description.attr("delete").as_deref(), Some("true"));
    let refused = alice.ask("set", space, &server, Some(&group), None).await;
    assert_eq!(refused.find("error").unwrap().number("code"), Some(403));
    drop(lia);
}

#[tokio::test]
async fn who_leaves_or_is_unenlisted_is_out_and_somebody_stays_admin() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let mut bob = Member::start(&stage, "@bob:example.org").await;
    let livia = contact(&stage, &live());
    let group = alice.create("K1", &[&live(), &bob.jid()]).await;
    until(&livia, &group, |info| info.members.len() == 3).await;
    stage
        .sandbox
        .unenlist(&alice.jid().to_string())
        .await
        .unwrap();
    let (node, left) = bob.told(&group, "leave").await;
    assert_eq!(node.jid("participant"), Some(alice.jid()));
    assert_eq!(left.children()[0].jid("jid"), Some(alice.jid()));
    let (_, heir) = bob.told(&group, "promote").await;
    let heir = heir.children()[0].jid("jid").unwrap();
    let is_admin = |info: &GroupInfo| info.members.get(&heir) == Some(&Role::Admin);
    let known = until(&livia, &group, is_admin).await;
    assert!(!known.members.contains_key(&alice.jid()));

    let name = group.to_string();
    livia.leave_group(&name).await.unwrap();
    let known = livia.group(&name).unwrap();
    assert!(!known.members.contains_key(&live()));
    let (_, last) = changes(&livia, &group).pop().unwrap();
    assert_eq!(last, GroupChange::Left { who: vec![live()] });
    let leave = || Node::new("leave").child(Node::new("group").with("id", &group));
    bob.set(&all_groups(), leave()).await.unwrap();
    assert_eq!(bob.set(&all_groups(), leave()).await, Err(404));
}

#[tokio::test]
async fn typing_reaches_the_other_members() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let livia = contact(&stage, &live());
    let group = alice.create("K1", &[&live()]).await;
    until(&livia, &group, |info| info.members.len() == 2).await;
    let typing = Node::new("chatstate")
        .with("to", &group)
        .child(Node::new("composing"));
    alice.client.send(typing).await;
    let seen = |livia: &ContactHandle| (livia.typing_in(&group) == [alice.jid()]).then_some(());
    livia.wait_for(seen, DEADLINE).await.unwrap();
    livia.typing(&group.to_string(), Typing::Recording).unwrap();
    let state = alice.find(|node| node.tag == "chatstate").await;
    assert_eq!(state.jid("from"), Some(group));
    assert_eq!(state.jid("participant"), Some(live()));
}

#[tokio::test]
async fn the_chatty_contact_puts_the_writer_into_the_group_of_the_cast() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let chatty = Jid::user("447700900002", "s.whatsapp.net");
    let charlie = contact(&stage, &chatty);
    let known = charlie
        .wait_for(|charlie| charlie.groups().pop(), DEADLINE)
        .await
        .unwrap();
    assert_eq!(
        (known.subject.as_str(), known.members.len()),
        ("Sandbox neighbours", 3)
    );
    let bundle = alice.client.keys_of(&chatty).await.unwrap();
    alice.towards(&chatty);
    alice.user.ratchet.establish(&bundle);
    let told = alice.user.message("A1", &chatty, "Add me to the group");
    alice.client.send(told).await;
    let (node, _) = alice.told(&known.jid, "create").await;
    assert_eq!(node.jid("participant"), Some(chatty));
    assert_eq!(roles(&alice.query(&known.jid).await.unwrap()).len(), 4);
    let stage = stage.restart().await;
    let charlie = contact(&stage, &charlie.jid().clone());
    assert_eq!(charlie.groups().len(), 1, "it is made once");
}
