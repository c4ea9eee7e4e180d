//! Groups over the real wire: made, changed, written to and read, against the sandbox's server and phones.

use std::time::Instant;

use drawbridge::{
    domain::{ChatId, GroupChange, GroupRole, Picture, RemoteUserId},
    network::{
        Enqueued, Network, NetworkError,
        interop::{
            ConnectionPolicy,
            wire::{self, Jid, Node},
        },
    },
    sandbox::{ContactHandle, Flavour},
    store::Lane,
};

use super::{
    peer::{DEADLINE, PICTURE, within},
    sandboxed::Town,
};

/// The most a message to a thousand, with the key for each of them, may take on the wire, in bytes.
const LARGEST: usize = 512 * 1024;

fn user(jid: &Jid) -> RemoteUserId {
    RemoteUserId::parse(jid.to_string()).unwrap()
}

/// A group of the login and these, made by the login.
async fn group(town: &Town, subject: &str, members: &[RemoteUserId]) -> ChatId {
    let gatekeeper = &town.stage.gatekeeper;
    let made = gatekeeper.create_group(town.login, subject, subject, members);
    made.await.unwrap().0
}

/// Encrypts a text to a group, fetching what is missing; what leaves.
async fn write(town: &Town, chat: &ChatId, id: &str, text: &str) -> (Node, usize) {
    let (stage, login) = (&town.stage, town.login);
    let mut queued = stage.enqueue_to(login, chat, id, text).await;
    if queued == Enqueued::NoSession {
        stage.gatekeeper.prepare(login, chat).await.unwrap();
        queued = stage.enqueue_to(login, chat, id, text).await;
    }
    assert_eq!(queued, Enqueued::Queued);
    let rows = stage.db.read(move |txn| Box::pin(txn.queued(login, 0, 10)));
    let rows = rows.await.unwrap();
    let row = rows.iter().find(|row| row.row.stanza_id.as_str() == id);
    let payload = &row.expect("it is queued").row.payload;
    let stanza = wire::decode(payload).unwrap();
    let size = payload.len();
    stage.gatekeeper.flush(login);
    stage.until_sent(login).await;
    (stanza, size)
}

/// Those who get the sender key with a message.
fn given(stanza: &Node) -> Vec<Jid> {
    let participants = stanza.find("participants");
    let to = participants.map_or(&[][..], Node::children);
    to.iter().filter_map(|to| to.jid("jid")).collect()
}

async fn until_text(contact: &ContactHandle, text: &str) {
    let has = |contact: &ContactHandle| {
        let received = contact.received();
        received
            .iter()
            .any(|message| message.text == text)
            .then_some(())
    };
    contact.wait_for(has, DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_made_once_listed_changed_and_pictured() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (gatekeeper, login) = (town.stage.gatekeeper.clone(), town.login);
    let ann = town.sandbox.add_contact(Flavour::WhatsApp, "Ann").await;
    let (ann, joe) = (ann.unwrap(), town.contact.clone());
    let (with_ann, with_joe) = (user(ann.jid()), user(joe.jid()));
    let make = || gatekeeper.create_group(login, "key", "Hike", std::slice::from_ref(&with_joe));
    let (chat, made) = make().await.unwrap();
    assert_eq!(made.facts.subject, "Hike");
    assert_eq!(make().await.unwrap().0, chat);
    let all = gatekeeper.groups(login).await.unwrap();
    assert_eq!(all.iter().map(|(of, _)| of).collect::<Vec<_>>(), [&chat]);

    for change in [
        GroupChange::Subject("Climb".to_owned()),
        GroupChange::Description(Some("On Sunday".to_owned())),
        GroupChange::Add(vec![with_ann.clone()]),
        GroupChange::Promote(vec![with_joe.clone()]),
        GroupChange::Announce(true),
        GroupChange::Locked(true),
    ] {
        let refused = gatekeeper.change_group(login, &chat, &change).await;
        assert_eq!(refused.unwrap(), [], "{change:?}");
    }
    let found = gatekeeper.group(login, &chat).await.unwrap();
    assert_eq!(found.facts.subject, "Climb");
    assert_eq!(found.facts.description.as_deref(), Some("On Sunday"));
    assert!(found.facts.announce && found.facts.locked);
    let role = |of: &RemoteUserId| {
        let mut members = found.members.iter();
        members.find(|one| one.user == *of).map(|one| one.role)
    };
    assert_eq!(role(&with_joe), Some(GroupRole::Admin));
    assert_eq!(role(&with_ann), Some(GroupRole::Member));

    // What cannot be done is told of each.
    let nobody = RemoteUserId::parse("491700000009@s.whatsapp.net").unwrap();
    let add = GroupChange::Add(vec![nobody.clone()]);
    let refused = gatekeeper.change_group(login, &chat, &add).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, nobody);

    let set = gatekeeper.set_picture(login, Some(&chat), Some(PICTURE.to_vec()));
    let id = set.await.unwrap().expect("the picture has an id");
    let picture = gatekeeper.picture(login, &chat, None).await.unwrap();
    let bytes = PICTURE.to_vec();
    assert_eq!(
        picture,
        Picture::Jpeg {
            id: id.clone(),
            bytes
        }
    );
    let same = gatekeeper.picture(login, &chat, Some(&id)).await.unwrap();
    assert_eq!(same, Picture::Same);

    let leave = gatekeeper.change_group(login, &chat, &GroupChange::Leave);
    leave.await.unwrap();
    let gone = gatekeeper.group(login, &chat).await.unwrap_err();
    assert!(!gone.is_transient(), "{gone}");
    assert_eq!(gatekeeper.groups(login).await.unwrap(), []);
    let rename = GroupChange::Subject("Ours".to_owned());
    let refused = gatekeeper.change_group(login, &chat, &rename).await;
    assert!(
        matches!(refused, Err(NetworkError::Refused(_))),
        "{refused:?}"
    );
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_group_goes_out_once_and_again_to_who_lost_it() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let joe = town.contact.clone();
    let ann = town.sandbox.add_contact(Flavour::WhatsApp, "Ann").await;
    let ann = ann.unwrap();
    let chat = group(&town, "Hike", &[user(joe.jid()), user(ann.jid())]).await;
    let mut members = given(&write(&town, &chat, "M1", "first").await.0);
    members.sort();
    let mut expected = vec![joe.jid().clone(), ann.jid().clone()];
    expected.sort();
    assert_eq!(members, expected);
    for contact in [&joe, &ann] {
        until_text(contact, "first").await;
    }
    assert_eq!(given(&write(&town, &chat, "M2", "second").await.0), []);

    // A phone that lost the key asks, and gets what it could not read.
    until_text(&joe, "second").await;
    joe.forget_sender_keys().await.unwrap();
    assert_eq!(given(&write(&town, &chat, "M3", "third").await.0), []);
    for contact in [&joe, &ann] {
        until_text(contact, "third").await;
    }
    assert_eq!(joe.counters().retries_sent, 1);
    assert_eq!(ann.counters().retries_sent, 0);
    write(&town, &chat, "M4", "fourth").await;
    until_text(&joe, "fourth").await;
    assert_eq!(joe.counters().retries_sent, 1);

    // Who is gone has the key, so the next message goes out with another.
    let gone = GroupChange::Remove(vec![user(ann.jid())]);
    let gatekeeper = &town.stage.gatekeeper;
    let refused = gatekeeper.change_group(town.login, &chat, &gone).await;
    assert_eq!(refused.unwrap(), []);
    let has_left = |ann: &ContactHandle| {
        let group = ann.group(chat.as_str())?;
        (!group.members.contains_key(ann.jid())).then_some(())
    };
    ann.wait_for(has_left, DEADLINE).await.unwrap();
    let (login, known) = (town.login, chat.clone());
    within("the member's leaving", async {
        loop {
            let (rows, of) = (town.stage.inbox_of(login, &known).await, user(ann.jid()));
            let told = rows.iter().any(|row| {
                let notice = format!("{:?}", row.message.notice);
                notice.contains("Remove") && notice.contains(of.as_str())
            });
            if told {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let last = write(&town, &chat, "M5", "fifth").await.0;
    assert_eq!(given(&last), [joe.jid().clone()]);
    until_text(&joe, "fifth").await;
    assert!(ann.received().iter().all(|message| message.text != "fifth"));
    for contact in [&joe, &ann] {
        assert_eq!(contact.counters().key_reuse, 0);
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_lost_a_members_key_asks_for_what_it_could_not_read() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (stage, login) = (&town.stage, town.login);
    let joe = town.contact.clone();
    let chat = group(&town, "Hike", &[user(joe.jid())]).await;
    let texts = |count: usize| {
        let chat = chat.clone();
        async move {
            within("texts in the group", async {
                loop {
                    let rows = stage.inbox_of(login, &chat).await;
                    let messages = rows.iter().filter(|row| row.message.notice.is_none());
                    let read = messages.filter(|row| row.message.plaintext.is_some());
                    if read.count() == count {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            })
            .await;
        }
    };
    let known = |joe: &ContactHandle| joe.group(chat.as_str()).map(drop);
    joe.wait_for(known, DEADLINE).await.unwrap();
    joe.send_text(chat.as_str(), "first").await.unwrap();
    texts(1).await;
    let (of, address) = (chat.clone(), format!("{}.0", joe.jid()));
    let forgotten = stage.db.step(Lane::login(login), move |txn| {
        let (of, address) = (of.clone(), address.clone());
        Box::pin(async move {
            assert!(txn.sender_key(login, &of, &address).await?.is_some());
            txn.delete_sender_key(login, &of, &address).await
        })
    });
    forgotten.await.unwrap();
    joe.send_text(chat.as_str(), "second").await.unwrap();
    texts(2).await;
    assert_eq!(joe.counters().retries_answered, 1);
    joe.send_text(chat.as_str(), "third").await.unwrap();
    texts(3).await;
    assert_eq!(joe.counters().retries_answered, 1);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_a_group_of_a_thousand_and_the_key_goes_out_once() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let silent = town.sandbox.add_silent_phones(Flavour::WhatsApp, 1_000);
    let silent = silent.await.unwrap();
    let joe = town.contact.clone();
    let mut members: Vec<RemoteUserId> = silent.iter().map(user).collect();
    members.push(user(joe.jid()));
    let began = Instant::now();
    let chat = group(&town, "Everybody", &members).await;
    let made = began.elapsed();
    let began = Instant::now();
    let (first, size) = write(&town, &chat, "M1", "to all").await;
    let first_time = began.elapsed();
    until_text(&joe, "to all").await;
    assert_eq!(given(&first).len(), members.len());
    assert!(size < LARGEST, "{size} bytes");
    let began = Instant::now();
    let (second, small) = write(&town, &chat, "M2", "again").await;
    let second_time = began.elapsed();
    until_text(&joe, "again").await;
    assert_eq!(given(&second), []);
    assert!(small < 1024, "{small} bytes");
    assert_eq!(joe.counters().undecryptable, 0);
    println!(
        "a group of {}: made in {made:?}; first message {size} bytes in {first_time:?}, second {small} bytes in {second_time:?}",
        members.len() + 1
    );
    town.end().await;
}
