//! What changes earlier messages, both ways: edits, deletions, reactions, votes and timers; and what of it survives a restart.

use drawbridge::{
    domain::MediaKind,
    sandbox::{
        MediaToSend, SandboxError,
        content::{Content, Target},
    },
};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message, MessageContextInfo,
        message::{
            ImageMessage, PollCreationMessage, PollEncValue, PollUpdateMessage, ProtocolMessage,
            ReactionMessage, poll_creation_message, protocol_message::Type,
        },
    },
};

use super::{
    files,
    talk::{Talk, key, text_message},
};

fn protocol(message: ProtocolMessage) -> Message {
    Message {
        protocol_message: MessageField::some(message),
        ..Message::default()
    }
}

fn edit(id: &str, edited: Message) -> Message {
    protocol(ProtocolMessage {
        key: key(id, true),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(edited),
        ..ProtocolMessage::default()
    })
}

fn revoke(id: &str, from_me: bool) -> Message {
    protocol(ProtocolMessage {
        key: key(id, from_me),
        r#type: Some(Type::REVOKE),
        ..ProtocolMessage::default()
    })
}

fn reaction(id: &str, from_me: bool, emoji: &str) -> Message {
    Message {
        reaction_message: MessageField::some(ReactionMessage {
            key: key(id, from_me),
            text: Some(emoji.to_owned()),
            ..ReactionMessage::default()
        }),
        ..Message::default()
    }
}

#[tokio::test]
async fn the_user_changes_and_deletes_what_they_wrote_and_nothing_else() {
    let mut talk = Talk::start().await;
    let theirs = talk.contact.send_text(&talk.login, "mine").await.unwrap();
    talk.say("U1", "first").await;
    talk.write("E1", edit("U1", text_message("second"))).await;
    let kept = talk.until("U1", |m| m.edited).await;
    assert_eq!(kept.text, "second");

    talk.write("E2", edit(&theirs, text_message("forged")))
        .await;
    talk.write("R1", revoke(&theirs, false)).await;
    let mine = talk.contact.message(&talk.login, &theirs).unwrap();
    assert_eq!((mine.text.as_str(), mine.revoked), ("mine", false));

    talk.write("R2", revoke("U1", true)).await;
    let kept = talk.until("U1", |m| m.revoked).await;
    assert_eq!(kept.text, "");
    talk.write("E3", edit("U1", text_message("back from the dead")))
        .await;
    let kept = talk.contact.message(&talk.login, "U1").unwrap();
    assert_eq!(kept.text, "");

    let talk = talk.restart().await;
    let kept = talk.contact.message(&talk.login, "U1").unwrap();
    assert!(kept.revoked && kept.text.is_empty());
    assert_eq!(talk.contact.received_count(), 6);
    let login = talk.user.login.clone();
    assert_eq!(
        talk.contact.messages(&login).len(),
        2,
        "changes are not shown"
    );
}

#[tokio::test]
async fn the_contact_changes_and_deletes_what_it_wrote() {
    let mut talk = Talk::start().await;
    let id = talk.contact.send_text(&talk.login, "first").await.unwrap();
    talk.hear().await;
    talk.contact.edit(&talk.login, &id, "second").await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(node.attr("edit").as_deref(), Some("1"));
    let wrapper = got.edited_message.into_option().unwrap();
    let mut inner = wrapper.message.into_option().unwrap();
    let change = inner.protocol_message.take().unwrap();
    assert_eq!(change.r#type, Some(Type::MESSAGE_EDIT));
    assert_eq!(change.key.id.as_deref(), Some(id.as_str()));
    assert_eq!(change.key.from_me, Some(true));
    assert_eq!(
        change.edited_message.conversation.as_deref(),
        Some("second")
    );
    let kept = talk.contact.message(&talk.login, &id).unwrap();
    assert_eq!((kept.text.as_str(), kept.edited), ("second", true));

    talk.contact.revoke(&talk.login, &id).await.unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(node.attr("edit").as_deref(), Some("7"));
    let change = got.protocol_message.into_option().unwrap();
    assert_eq!(change.r#type, Some(Type::REVOKE));
    assert_eq!(change.key.id.as_deref(), Some(id.as_str()));
    assert!(talk.contact.message(&talk.login, &id).unwrap().revoked);

    let refused = talk.contact.edit(&talk.login, "unknown", "x").await;
    assert!(matches!(refused, Err(SandboxError::NoMessage)));
}

#[tokio::test]
async fn captions_are_changed_as_captions() {
    let mut talk = Talk::start().await;
    let media = MediaToSend::bytes(MediaKind::Image, "image/png", [1]).with_caption("before");
    let id = talk.contact.send_media(&talk.login, media).await.unwrap();
    talk.hear().await;
    talk.contact.edit(&talk.login, &id, "after").await.unwrap();
    let (_, got) = talk.hear().await;
    let mut inner = got.edited_message.into_option().unwrap();
    let mut change = inner
        .message
        .take()
        .unwrap()
        .protocol_message
        .take()
        .unwrap();
    let edited = change.edited_message.take().unwrap();
    assert_eq!(edited.image_message.caption.as_deref(), Some("after"));

    let image = |caption: &str| Message {
        image_message: MessageField::some(ImageMessage {
            caption: Some(caption.to_owned()),
            ..ImageMessage::default()
        }),
        ..Message::default()
    };
    talk.write("U1", image("one")).await;
    let got = talk.write("E1", edit("U1", image("two"))).await;
    assert_eq!(
        got.content,
        Content::Edit {
            of: "U1".to_owned(),
            caption_of: Some(MediaKind::Image)
        }
    );
    let kept = talk.until("U1", |m| m.edited).await;
    assert_eq!(kept.text, "two");
    assert!(kept.content.file().is_some());
}

#[tokio::test]
async fn one_reaction_a_side_comes_changes_and_goes() {
    let mut talk = Talk::start().await;
    let own = talk.contact.send_text(&talk.login, "mine").await.unwrap();
    talk.hear().await;
    talk.say("U1", "yours").await;
    talk.write("X1", reaction(&own, false, "👍")).await;
    talk.write("X2", reaction("U1", true, "🎉")).await;
    let by_user = |id: &str| {
        let reactions = talk.contact.reactions(&talk.login, id);
        reactions.get(&talk.user.login).cloned()
    };
    assert_eq!(by_user(&own).as_deref(), Some("👍"));
    assert_eq!(by_user("U1").as_deref(), Some("🎉"));
    for (emoji, edit) in [("❤️", None), ("😂", None), ("", Some("7"))] {
        talk.contact
            .react(&talk.login, "U1", false, emoji)
            .await
            .unwrap();
        let (node, got) = talk.hear().await;
        assert_eq!(node.attr("type").as_deref(), Some("reaction"));
        assert_eq!(node.attr("edit").as_deref(), edit);
        let enc = node.find("enc").unwrap();
        assert_eq!(enc.attr("decrypt-fail").as_deref(), Some("hide"));
        let reaction = got.reaction_message.into_option().unwrap();
        assert_eq!(reaction.text.as_deref(), Some(emoji));
        assert_eq!(reaction.key.id.as_deref(), Some("U1"));
        assert_eq!(reaction.key.from_me, Some(false));
        let reactions = talk.contact.reactions(&talk.login, "U1");
        let by_contact = reactions.get(&talk.jid).map(String::as_str);
        assert_eq!(by_contact, (!emoji.is_empty()).then_some(emoji));
    }
    talk.write("X3", reaction(&own, false, "👎")).await;
    let talk = talk.restart().await;
    let reactions = talk.contact.reactions(&talk.login, &own);
    assert_eq!(reactions[&talk.user.login], "👎");
}

#[tokio::test]
async fn polls_are_asked_and_voted_in_both_ways() {
    let mut talk = Talk::start().await;
    let (login, jid) = (talk.login.clone(), talk.jid.to_string());
    let options = ["tea", "milk", "water"];
    let id = talk
        .contact
        .send_poll(&login, "What will it be?", &options, 0)
        .await
        .unwrap();
    let (node, got) = talk.hear().await;
    assert_eq!(node.attr("type").as_deref(), Some("poll"));
    let secret = got.message_context_info.message_secret.clone().unwrap();
    let creation = got.poll_creation_message.into_option().unwrap();
    assert_eq!(creation.name.as_deref(), Some("What will it be?"));
    assert_eq!(creation.options.len(), 3);
    let vote = |poll: &str, author: &str, secret: &[u8], own: bool, choices: &[&str]| {
        let (payload, iv) = files::seal_vote(poll, author, &login, secret, choices);
        Message {
            poll_update_message: MessageField::some(PollUpdateMessage {
                poll_creation_message_key: key(poll, own),
                vote: MessageField::some(PollEncValue {
                    enc_payload: Some(payload),
                    enc_iv: Some(iv),
                }),
                ..PollUpdateMessage::default()
            }),
            ..Message::default()
        }
    };
    let first = vote(&id, &jid, &secret, false, &["tea", "water"]);
    talk.write("V1", first).await;
    let got = talk
        .write("V2", vote(&id, &jid, &secret, false, &["milk"]))
        .await;
    let poll = Target {
        id: id.clone(),
        own: true,
    };
    let choices = Some(vec!["milk".to_owned()]);
    assert_eq!(got.content, Content::Vote { poll, choices });
    talk.contact
        .vote(&login, &id, true, &["milk", "water"])
        .await
        .unwrap();
    let (node, _) = talk.hear().await;
    assert_eq!(node.attr("type").as_deref(), Some("poll"));
    let tally = talk.contact.tally(&login, &id);
    let counts: Vec<(&str, usize)> = tally.iter().map(|(o, v)| (o.as_str(), v.len())).collect();
    assert_eq!(counts, [("tea", 0), ("milk", 2), ("water", 1)]);
    let forged = vote(&id, &jid, &[0; 32], false, &["tea"]);
    let got = talk.write("V3", forged).await;
    assert!(matches!(got.content, Content::Vote { choices: None, .. }));
    assert_eq!(talk.contact.tally(&login, &id), tally);

    let option = |name: &str| poll_creation_message::Option {
        option_name: Some(name.to_owned()),
        ..poll_creation_message::Option::default()
    };
    let theirs = Message {
        poll_creation_message_v3: MessageField::some(PollCreationMessage {
            name: Some("When?".to_owned()),
            options: vec![option("now"), option("later")],
            selectable_options_count: Some(1),
            ..PollCreationMessage::default()
        }),
        message_context_info: MessageField::some(MessageContextInfo {
            message_secret: Some(vec![5; 32]),
            ..MessageContextInfo::default()
        }),
        ..Message::default()
    };
    let got = talk.write("P1", theirs).await;
    assert_eq!(got.text, "When?");
    assert_eq!(got.content.poll().unwrap().selectable, 1);
    talk.contact
        .vote(&login, "P1", false, &["later"])
        .await
        .unwrap();
    let (_, got) = talk.hear().await;
    let update = got.poll_update_message.into_option().unwrap();
    let key = update.poll_creation_message_key;
    assert_eq!((key.id.as_deref(), key.from_me), (Some("P1"), Some(false)));
    let sealed = update.vote.into_option().unwrap();
    let (payload, iv) = (sealed.enc_payload.unwrap(), sealed.enc_iv.unwrap());
    let chosen = files::open_vote("P1", &login, &jid, &[5; 32], &payload, &iv);
    assert_eq!(chosen, [files::sha256(b"later").to_vec()]);
    let talk = talk.restart().await;
    assert_eq!(talk.contact.tally(&login, &id), tally);
    assert_eq!(talk.contact.tally(&login, "P1")[1].1.len(), 1);
}

#[tokio::test]
async fn a_timer_goes_with_what_is_written_after_it() {
    let mut talk = Talk::start().await;
    let login = talk.login.clone();
    talk.contact.set_timer(&login, 604_800).await.unwrap();
    let (_, got) = talk.hear().await;
    let change = got.protocol_message.into_option().unwrap();
    assert_eq!(change.r#type, Some(Type::EPHEMERAL_SETTING));
    assert_eq!(change.ephemeral_expiration, Some(604_800));
    talk.contact.send_text(&login, "soon gone").await.unwrap();
    let (_, got) = talk.hear().await;
    let context = got.extended_text_message.context_info.clone();
    assert_eq!(context.expiration, Some(604_800));

    let off = protocol(ProtocolMessage {
        r#type: Some(Type::EPHEMERAL_SETTING),
        ephemeral_expiration: Some(0),
        ..ProtocolMessage::default()
    });
    talk.write("T1", off).await;
    assert_eq!(talk.contact.timer(&login), 0);
    talk.contact
        .send_text(&login, "here to stay")
        .await
        .unwrap();
    let (_, got) = talk.hear().await;
    assert_eq!(got.conversation.as_deref(), Some("here to stay"));
    let on = protocol(ProtocolMessage {
        r#type: Some(Type::EPHEMERAL_SETTING),
        ephemeral_expiration: Some(86_400),
        ..ProtocolMessage::default()
    });
    talk.write("T2", on).await;
    let mut talk = talk.restart().await;
    talk.contact.send_text(&login, "gone again").await.unwrap();
    let (_, got) = talk.hear().await;
    let context = got.extended_text_message.context_info.clone();
    assert_eq!(context.expiration, Some(86_400));
}
