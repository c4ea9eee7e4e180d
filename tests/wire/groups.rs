//! What is asked of groups and how it is answered, as stanzas; and how messages of groups name each other's authors.

use drawbridge::{
    domain::{
        ChatId, GroupChange, GroupMember, GroupRole, IncomingContent, MessageContext, MessageRef,
        OutgoingContent, Quote, RemoteUserId, StanzaId, Timestamp,
    },
    network::interop::{
        outbound::member_hash,
        session::groups::{self, GroupShape},
        wire::{
            Jid, Node,
            message::{self, Encoding},
        },
    },
};

const GROUP: &str = "120363000000000001@g.us";
const OWN: &str = "1-10853634039893@interop";
const OTHER_LOGIN: &str = "1-20000000000002@interop";
const PHONE: &str = "4915155550001@s.whatsapp.net";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn user(text: &str) -> RemoteUserId {
    RemoteUserId::parse(text).unwrap()
}

#[test]
fn each_change_is_the_element_the_gatekeeper_knows() {
    let (shape, group) = (GroupShape::default(), jid(GROUP));
    let members = [jid(PHONE)];
    let users = vec![user(PHONE)];
    let changes = [
        (GroupChange::Subject("x".to_owned()), "subject"),
        (
            GroupChange::Description(Some("x".to_owned())),
            "description",
        ),
        (GroupChange::Description(None), "description"),
        (GroupChange::Announce(true), "announcement"),
        (GroupChange::Announce(false), "not_announcement"),
        (GroupChange::Locked(true), "locked"),
        (GroupChange::Locked(false), "unlocked"),
        (GroupChange::Add(users.clone()), "add"),
        (GroupChange::Remove(users.clone()), "remove"),
        (GroupChange::Promote(users.clone()), "promote"),
        (GroupChange::Demote(users), "demote"),
    ];
    for (change, tag) in changes {
        let iq = groups::change(&shape, &group, &change, &members, "D1");
        assert_eq!(iq.attr("xmlns").as_deref(), Some("w:g2"));
        assert_eq!(iq.jid("to"), Some(group.clone()));
        let [asked] = iq.children() else {
            panic!("one element")
        };
        assert_eq!(asked.tag, tag);
        match tag {
            "add" | "remove" | "promote" | "demote" => {
                assert_eq!(asked.children()[0].jid("jid"), Some(jid(PHONE)));
            }
            "subject" => assert_eq!(asked.content_bytes(), Some(&b"x"[..])),
            "description" => {
                assert_eq!(asked.attr("id").as_deref(), Some("D1"));
                let deletes = asked.attr("delete").is_some();
                assert_eq!(asked.find("body").is_none(), deletes);
            }
            _ => assert!(asked.children().is_empty()),
        }
    }
    let leave = groups::change(&shape, &group, &GroupChange::Leave, &[], "D1");
    assert_eq!(leave.attr("to").as_deref(), Some("g.us"));
    let left = leave.find("leave").unwrap().find("group").unwrap();
    assert_eq!(left.jid("id"), Some(group));
    let create = groups::create(&shape, "K1", "Friends", &members);
    let create = create.find("create").unwrap();
    assert_eq!(create.attr("key").as_deref(), Some("K1"));
    assert_eq!(create.attr("subject").as_deref(), Some("Friends"));
    assert_eq!(create.children().len(), 1);
}

#[test]
fn a_group_is_read_without_what_is_no_member() {
    let shape = GroupShape::default();
    let participant = |jid: &str, kind: Option<&'static str>| {
        Node::new("participant")
            .with("jid", jid)
            .with_opt("type", kind)
    };
    let group = Node::new("group")
        .with("id", GROUP)
        .with("subject", "x".repeat(1000))
        .child(participant(PHONE, Some("superadmin")))
        .child(participant(OWN, Some("admin")))
        .child(participant(OTHER_LOGIN, Some("unheard-of")))
        .child(participant("g.us", None))
        .child(participant(GROUP, None))
        .child(Node::new("participant"))
        .child(Node::new("locked"));
    let answer = Node::new("iq").child(
        Node::new("groups")
            .child(group)
            .child(Node::new("group").with("id", PHONE))
            .child(Node::new("group")),
    );
    let read = groups::read_all(&shape, &answer);
    assert_eq!(read.len(), 1);
    let (chat, group) = &read[0];
    assert_eq!(chat.as_str(), GROUP);
    let member = |who: &str, role| GroupMember {
        user: user(who),
        role,
    };
    let members = [
        member(PHONE, GroupRole::Owner),
        member(OWN, GroupRole::Admin),
        member(OTHER_LOGIN, GroupRole::Member),
    ];
    assert_eq!(group.members, members);
    assert_eq!(group.facts.subject.chars().count(), 255);
    assert!(group.facts.locked && !group.facts.announce);
    assert_eq!(group.facts.description, None);
}

#[test]
fn only_the_refused_of_a_change_are_told_of() {
    let answer = Node::new("iq").child(
        Node::new("add")
            .child(Node::new("participant").with("jid", PHONE))
            .child(
                Node::new("participant")
                    .with("jid", OWN)
                    .with("error", "409"),
            ),
    );
    assert_eq!(groups::refused(&answer), [(user(OWN), 409)]);
    assert_eq!(groups::refused(&Node::new("iq")), []);
}

#[test]
fn only_groups_have_addresses_of_groups() {
    for good in [GROUP, "4915155550001-1400000000@g.us"] {
        assert_eq!(groups::address(&jid(good)).unwrap().as_str(), good);
    }
    for bad in [
        PHONE,
        OWN,
        "g.us",
        "a@g.us",
        "1-@g.us",
        "1-2-3@g.us",
        "1:2@g.us",
        "1@g.us.org",
    ] {
        assert_eq!(groups::address(&jid(bad)), None, "{bad}");
    }
}

#[test]
fn the_hash_of_the_members_does_not_depend_on_their_order() {
    let (a, b) = (jid("1@s.whatsapp.net"), jid("1-9@interop"));
    let hash = member_hash([&a, &b].into_iter());
    assert_eq!(hash, member_hash([&b, &a].into_iter()));
    assert_ne!(hash, member_hash([&a].into_iter()));
    assert_eq!(hash.len(), 10);
    assert!(hash.starts_with("2:"));
}

fn encode(own: &str, content: &OutgoingContent, context: &MessageContext) -> Vec<u8> {
    let chat = ChatId::parse(GROUP).unwrap();
    let how = Encoding {
        chat: &chat,
        own,
        now: Timestamp(1_767_225_600_000),
        nonce: [9; 12],
    };
    message::encode(content, context, &how)
}

/// How a message is named when it is read by `own` after `sender` reacted to it.
fn read_target(sender: &str, target: Option<&str>, own: &str) -> Option<RemoteUserId> {
    let reaction = OutgoingContent::Reaction {
        target: MessageRef {
            id: StanzaId::parse("3EB0").unwrap(),
            sender: target.map(user),
        },
        emoji: "x".to_owned(),
    };
    let bytes = encode(sender, &reaction, &MessageContext::default());
    match message::read(&bytes, &user(sender), own).content {
        IncomingContent::Reaction { target, .. } => target.sender,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_author_in_a_group_is_the_login_itself_or_one_by_address() {
    let someone = |who: &str| Some(user(who));
    // One's own message is the sender's, whether it is named so or by address.
    assert_eq!(read_target(PHONE, None, OWN), someone(PHONE));
    assert_eq!(read_target(PHONE, Some(PHONE), OWN), someone(PHONE));
    // Another login of the bridge is not the one that reads.
    assert_eq!(
        read_target(OWN, Some(OTHER_LOGIN), PHONE),
        someone(OTHER_LOGIN)
    );
    assert_eq!(
        read_target(PHONE, Some(OTHER_LOGIN), OWN),
        someone(OTHER_LOGIN)
    );
    assert_eq!(read_target(PHONE, Some(OWN), OWN), None);
    assert_eq!(read_target(OTHER_LOGIN, Some(OWN), OWN), None);
    assert_eq!(read_target(OTHER_LOGIN, Some(PHONE), OWN), someone(PHONE));
}

#[test]
fn mentions_and_quotes_in_a_group_name_the_login_or_others() {
    let context = MessageContext {
        quote: Some(Quote {
            message: MessageRef {
                id: StanzaId::parse("3EB0").unwrap(),
                sender: Some(user(OWN)),
            },
            text: None,
        }),
        mentions: vec![user(OWN), user(OTHER_LOGIN), user(PHONE)],
        mentions_room: true,
        ..MessageContext::default()
    };
    let text = OutgoingContent::Text {
        body: "@all".to_owned(),
        preview: None,
    };
    let bytes = encode(PHONE, &text, &context);
    let here = message::read(&bytes, &user(PHONE), OWN).context;
    assert!(here.mentions_login && here.mentions_room);
    assert_eq!(here.mentions, [user(OTHER_LOGIN), user(PHONE)]);
    assert_eq!(here.quote.unwrap().message.sender, None);
    let there = message::read(&bytes, &user(PHONE), OTHER_LOGIN).context;
    assert!(there.mentions_login);
    assert_eq!(there.quote.unwrap().message.sender, Some(user(OWN)));
}

#[test]
fn a_sender_key_is_taken_for_its_group_alone_and_beside_what_a_message_says() {
    let chat = ChatId::parse(GROUP).unwrap();
    let other = ChatId::parse("120363000000000002@g.us").unwrap();
    let alone = message::distribution(&chat, vec![1, 2, 3]);
    let mut beside = message::text("hello", None, None);
    beside.extend_from_slice(&alone);
    for bytes in [&alone, &beside] {
        assert_eq!(message::distribution_in(bytes, &chat), Some(vec![1, 2, 3]));
        assert_eq!(message::distribution_in(bytes, &other), None);
    }
    let read = |bytes: &[u8]| message::read(bytes, &user(PHONE), OWN).content;
    assert_eq!(read(&alone), IncomingContent::Nothing);
    let hello = IncomingContent::Text {
        body: "hello".to_owned(),
        preview: None,
    };
    assert_eq!(read(&beside), hello);
    assert_eq!(message::distribution_in(b"\xff\xff", &chat), None);
}
