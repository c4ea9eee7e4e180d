//! What the gatekeeper tells of groups, in the store and for the room.

use drawbridge::{
    domain::{GroupChange, GroupFacts, GroupRole, LoginId},
    network::interop::wire::{Jid, Node},
    store::{RemoteMessageRow, RemoteNotice},
};

use super::{
    group_world::{GROUP, gatekeeper, group, group_chat, in_a_group, naming, notification, user},
    stanzas::{chat, kinds},
    world::{LOGIN, World, phone, us},
};

const T: i64 = 1_760_000_100;

fn subject(text: &str) -> Node {
    Node::new("subject").with("subject", text).with("s_t", "1")
}

fn notices(rows: &[RemoteMessageRow]) -> Vec<(String, String, RemoteNotice)> {
    rows.iter()
        .map(|row| {
            let notice = row.message.notice.clone().unwrap();
            let id = row.message.stanza_id.to_string();
            (row.message.sender.to_string(), id, notice)
        })
        .collect()
}

fn whole() -> Node {
    Node::new("group")
        .with("id", group())
        .with("creator", phone(1))
        .with("creation", "1")
        .with("subject", "Friends")
        .child(
            Node::new("participant")
                .with("jid", phone(1))
                .with("type", "superadmin"),
        )
        .child(
            Node::new("participant")
                .with("jid", phone(2))
                .with("type", "admin"),
        )
        .child(Node::new("participant").with("jid", us()))
        .child(
            Node::new("description")
                .with("id", "D1")
                .child(Node::new("body").bytes("about us")),
        )
        .child(Node::new("announcement"))
        .child(Node::new("picture").with("id", "77"))
}

#[tokio::test]
async fn what_the_group_is_called_and_allows_is_taken_in_and_told() {
    let (world, _) = in_a_group(2).await;
    let description = Node::new("description")
        .with("id", "D2")
        .child(Node::new("body").bytes("what we do"));
    let no_description = Node::new("description")
        .with("id", "D3")
        .with("delete", "true");
    let text = |text: &str| GroupChange::Description(Some(text.to_owned()));
    let told = [
        (subject("Family"), GroupChange::Subject("Family".to_owned())),
        (description, text("what we do")),
        (Node::new("announcement"), GroupChange::Announce(true)),
        (Node::new("locked"), GroupChange::Locked(true)),
    ];
    let mut expected = Vec::new();
    for (number, (node, change)) in told.into_iter().enumerate() {
        let id = format!("N{number}");
        let node = notification(&id, &phone(1), T, node).with("notify", "Joe");
        for _ in 0..2 {
            let answer = world.notified(&node).await;
            assert_eq!(kinds(&answer), ["ack w:gp2"]);
            assert_eq!(answer.chat, Some(chat(&group())));
        }
        expected.push((phone(1).to_string(), id, RemoteNotice::Group(change)));
    }
    let rows = world.waiting(&group()).await;
    assert_eq!(notices(&rows), expected);
    assert_eq!(rows[0].message.display_name.as_deref(), Some("Joe"));
    assert_eq!(rows[0].message.sent_at.seconds(), T);
    let facts = GroupFacts {
        subject: "Family".to_owned(),
        description: Some("what we do".to_owned()),
        picture: None,
        announce: true,
        locked: true,
    };
    assert_eq!(world.facts().await, Some(facts));
    for (number, node) in [
        no_description,
        Node::new("not_announcement"),
        Node::new("unlocked"),
        Node::new("picture").with("id", "99"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("O{number}");
        world
            .notified(&notification(&id, &phone(1), T + 1, node))
            .await;
    }
    let facts = GroupFacts {
        subject: "Family".to_owned(),
        picture: Some("99".to_owned()),
        ..GroupFacts::default()
    };
    assert_eq!(world.facts().await, Some(facts));
    let last = world.waiting(&group()).await.pop().unwrap();
    assert_eq!(last.message.notice, Some(RemoteNotice::GroupPicture));
    let none = notification("P1", &phone(1), T + 2, Node::new("picture"));
    world.notified(&none).await;
    assert_eq!(world.facts().await.unwrap().picture, None);
}

#[tokio::test]
async fn who_comes_goes_and_rises_is_taken_in_and_told() {
    let (world, _) = in_a_group(2).await;
    let (a, b, c) = (phone(1), phone(2), phone(3));
    let tell = async |id: &str, by: &Jid, child: Node| {
        world.notified(&notification(id, by, T, child)).await;
        world.members().await
    };
    let members = tell("N1", &a, naming("add", &[&c])).await;
    assert!(members.contains(&(c.to_string(), GroupRole::Member)));
    let members = tell("N2", &a, naming("promote", &[&c, &b])).await;
    assert!(members.contains(&(c.to_string(), GroupRole::Admin)));
    let members = tell("N3", &a, naming("demote", &[&b])).await;
    assert!(members.contains(&(b.to_string(), GroupRole::Member)));
    let members = tell("N4", &a, naming("remove", &[&b])).await;
    assert!(!members.iter().any(|(who, _)| *who == b.to_string()));
    let members = tell("N5", &c, naming("leave", &[&c])).await;
    assert_eq!(members.len(), 2);
    let rows = world.waiting(&group()).await;
    let told: Vec<_> = notices(&rows)
        .into_iter()
        .map(|(by, _, notice)| (by, notice))
        .collect();
    let all = |users: &[&Jid]| users.iter().map(|jid| user(jid)).collect::<Vec<_>>();
    let expected = [
        (&a, GroupChange::Add(all(&[&c]))),
        (&a, GroupChange::Promote(all(&[&c, &b]))),
        (&a, GroupChange::Demote(all(&[&b]))),
        (&a, GroupChange::Remove(all(&[&b]))),
        (&c, GroupChange::Leave),
    ];
    let expected = expected.map(|(by, change)| (by.to_string(), RemoteNotice::Group(change)));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_login_that_comes_into_a_group_knows_all_of_it() {
    let world = World::new().await;
    let create = Node::new("create").with("reason", "invite").child(whole());
    let mut node = notification("N1", &phone(2), T, create);
    world.notified(&node).await;
    let facts = GroupFacts {
        subject: "Friends".to_owned(),
        description: Some("about us".to_owned()),
        picture: Some("77".to_owned()),
        announce: true,
        locked: false,
    };
    assert_eq!(world.facts().await, Some(facts));
    let mut expected = [
        (phone(1).to_string(), GroupRole::Owner),
        (phone(2).to_string(), GroupRole::Admin),
        (us().to_string(), GroupRole::Member),
    ];
    expected.sort();
    assert_eq!(world.members().await, expected);
    // Nobody is said to have done it: then it was who made the group.
    node.attrs.retain(|(key, _)| key != "participant");
    world.notified(&node.with("id", "N2")).await;
    let by: Vec<_> = notices(&world.waiting(&group()).await);
    assert_eq!(
        by,
        [
            (phone(2).to_string(), "N1".to_owned(), RemoteNotice::Joined),
            (phone(1).to_string(), "N2".to_owned(), RemoteNotice::Joined),
        ]
    );
}

#[tokio::test]
async fn a_login_that_is_removed_forgets_its_key() {
    let (world, peers) = in_a_group(1).await;
    world.said("A1", "hello").await;
    assert_eq!(world.shares().await.len(), 1);
    let removed = naming("remove", &[&us()]);
    world
        .notified(&notification("N1", &peers[0].jid, T, removed))
        .await;
    assert_eq!(world.members().await.len(), 1);
    assert_eq!(world.shares().await, Vec::<String>::new());
    let own = format!("{}.0", us());
    let key = world
        .step(move |txn| {
            let own = own.clone();
            Box::pin(async move { txn.sender_key(LOGIN, &group_chat(), &own).await })
        })
        .await;
    assert_eq!(key, None);
}

#[tokio::test]
async fn a_group_nothing_is_known_of_is_one_to_ask_about() {
    let world = World::new().await;
    world
        .notified(&notification("N1", &phone(1), T, subject("Family")))
        .await;
    let gone = naming("remove", &[&us()]);
    world
        .notified(&notification("N2", &phone(1), T, gone))
        .await;
    assert_eq!(world.facts().await, None);
    let rows = world.waiting(&group()).await;
    assert_eq!(
        notices(&rows),
        [(phone(1).to_string(), "N1".to_owned(), RemoteNotice::Joined)]
    );
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_acknowledged() {
    let (world, _) = in_a_group(1).await;
    let unknown = notification("N1", &phone(1), T, Node::new("ephemeral"));
    let nowhere = notification("N2", &phone(1), T, subject("x")).with("from", phone(1));
    let odd = notification("N3", &phone(1), T, subject("x")).with("from", "a-b@g.us");
    let no_subject = notification("N4", &phone(1), T, Node::new("subject"));
    for node in [unknown, nowhere, odd, no_subject] {
        assert_eq!(kinds(&world.notified(&node).await), ["ack w:gp2"]);
    }
    assert_eq!(world.waiting(&group()).await.len(), 0);
    assert_eq!(world.facts().await.unwrap().subject, "Friends");
}

#[tokio::test]
async fn several_logins_are_told_the_same_and_the_late_one_takes_nothing_back() {
    let (world, _) = in_a_group(2).await;
    let early = notification("N1", &phone(1), T, subject("one"));
    let same_second = notification("N2", &phone(1), T, subject("two"));
    let promoted = notification("N3", &phone(1), T + 5, naming("promote", &[&phone(2)]));
    let late = [early, same_second, promoted];
    for node in &late {
        world.notified(node).await;
    }
    let last = notification("N4", &phone(1), T + 9, subject("three"));
    world.notified(&last).await;
    let added = notification("N0", &phone(1), T - 5, naming("add", &[&phone(2)]));
    let other = world.second_login().await;
    for node in [&added].into_iter().chain(&late) {
        world.notified_as(other, node).await;
    }
    assert_eq!(world.facts().await.unwrap().subject, "three");
    let admin = (phone(2).to_string(), GroupRole::Admin);
    assert!(world.members().await.contains(&admin));
    let told = world.waiting_of(other).await;
    assert_eq!(told.len(), 4, "its own inbox has them all the same");
}

impl World {
    /// Another login of the same gatekeeper.
    async fn second_login(&self) -> LoginId {
        self.step(|txn| {
            Box::pin(async move {
                let mut row = txn.login(LOGIN).await?.unwrap();
                row.id = LoginId(8);
                "@bob:example.org".clone_into(&mut row.mxid);
                "bob".clone_into(&mut row.visible_id);
                row.remote_login = Some("1-20000000000002@interop".to_owned());
                txn.insert_login(&row).await?;
                Ok(row.id)
            })
        })
        .await
    }

    async fn notified_as(&self, login: LoginId, node: &Node) {
        let node = node.clone();
        let layers = ["whatsapp".to_owned(), "sandbox".to_owned()];
        let profile = drawbridge::network::interop::profile::Profile::load(&layers, None).unwrap();
        let profile = std::sync::Arc::new(profile);
        self.step(move |txn| {
            let (node, profile) = (node.clone(), profile.clone());
            Box::pin(async move {
                let now = super::world::NOW;
                drawbridge::network::interop::inbound::notification(
                    txn, login, &node, &profile, now,
                )
                .await
            })
        })
        .await;
    }

    async fn waiting_of(&self, login: LoginId) -> Vec<RemoteMessageRow> {
        self.step(move |txn| {
            Box::pin(async move { txn.waiting_messages(login, &group_chat(), 100).await })
        })
        .await
    }
}

#[tokio::test]
async fn what_the_room_shows_is_kept_when_the_group_changes() {
    let (world, _) = in_a_group(1).await;
    world
        .step(|txn| {
            Box::pin(async move {
                let mut row = txn.group(&gatekeeper(), &group_chat()).await?.unwrap();
                row.shown.avatar = Some("mxc://example.org/a".to_owned());
                txn.set_group_shown(&row.gatekeeper, &row.chat, &row.shown)
                    .await
            })
        })
        .await;
    let create = Node::new("create").child(whole());
    world
        .notified(&notification("N1", &phone(1), T, create))
        .await;
    let shown = world
        .step(|txn| {
            Box::pin(async move {
                let row = txn.group(&gatekeeper(), &group_chat()).await?;
                Ok(row.unwrap().shown.avatar)
            })
        })
        .await;
    assert_eq!(shown.as_deref(), Some("mxc://example.org/a"));
    assert_eq!(GROUP, group().to_string());
}
