//! What is said in groups besides texts, and what is said about what others wrote there.

use drawbridge::{
    domain::MediaKind,
    network::interop::wire::{Jid, Node},
    sandbox::{
        ContactHandle, MediaToSend, Message as Kept,
        content::{Card, Composed, Location},
    },
};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message, MessageKey,
        message::{ProtocolMessage, ReactionMessage, protocol_message::Type},
    },
};

use super::{
    groups::liam,
    member::{Member, with_members},
    partner::{DEADLINE, Stage},
    talk::{live, text_message},
};

/// Alice and two contacts in a group; everybody has everybody's key.
struct Scene {
    stage: Stage,
    alice: Member,
    livia: ContactHandle,
    lia: ContactHandle,
    group: Jid,
    name: String,
}

impl Scene {
    async fn start() -> Self {
        let stage = Stage::start().await;
        let mut alice = Member::start(&stage, "@alice:example.org").await;
        let group = alice.create("K1", &[&live(), &liam()]).await;
        let contact = |jid: Jid| stage.sandbox.contact(&jid.to_string()).unwrap();
        let (livia, lia) = (contact(live()), contact(liam()));
        let text = text_message("to all");
        alice.write(&group, "A1", &text, &[live(), liam()]).await;
        let mut scene = Self {
            livia,
            lia,
            alice,
            name: group.to_string(),
            group,
            stage,
        };
        for contact in [scene.livia.clone(), scene.lia.clone()] {
            scene.keeps(&contact, "A1", |_| true).await;
        }
        scene.alice.find(|node| node.tag == "receipt").await;
        scene
    }

    async fn keeps(&self, contact: &ContactHandle, id: &str, so: impl Fn(&Kept) -> bool) -> Kept {
        let found = |contact: &ContactHandle| contact.message(&self.name, id).filter(&so);
        contact.wait_for(found, DEADLINE).await.unwrap()
    }

    async fn hear(&mut self) -> (Node, Message) {
        self.alice.hear(&self.group).await
    }

    async fn write(&mut self, id: &str, message: &Message) {
        self.alice.write(&self.group, id, message, &[]).await;
    }

    fn key(&self, id: &str, author: Option<&Jid>) -> MessageField<MessageKey> {
        MessageField::some(MessageKey {
            remote_jid: Some(self.name.clone()),
            id: Some(id.to_owned()),
            from_me: Some(author.is_none()),
            participant: author.map(ToString::to_string),
        })
    }

    fn reaction(&self, id: &str, author: Option<&Jid>) -> Message {
        Message {
            reaction_message: MessageField::some(ReactionMessage {
                key: self.key(id, author),
                text: Some("👍".to_owned()),
                ..ReactionMessage::default()
            }),
            ..Message::default()
        }
    }

    fn revoke(&self, id: &str, author: Option<&Jid>) -> Message {
        Message {
            protocol_message: MessageField::some(ProtocolMessage {
                key: self.key(id, author),
                r#type: Some(Type::REVOKE),
                ..ProtocolMessage::default()
            }),
            ..Message::default()
        }
    }
}

#[tokio::test]
async fn reactions_name_whose_message_they_are_for() {
    let mut scene = Scene::start().await;
    scene
        .livia
        .react(&scene.name, "A1", false, "🎉")
        .await
        .unwrap();
    let (node, message) = scene.hear().await;
    assert_eq!(node.attr("type").as_deref(), Some("reaction"));
    let reaction = message.reaction_message.into_option().unwrap();
    assert_eq!(reaction.key.from_me, Some(false));
    let author = scene.alice.jid().to_string();
    assert_eq!(reaction.key.participant, Some(author));
    assert_eq!(reaction.key.remote_jid, Some(scene.name.clone()));
    let by_livia = |m: &Kept| m.reactions.get(&live()).map(String::as_str) == Some("🎉");
    scene.keeps(&scene.lia, "A1", by_livia).await;

    let id = scene.livia.send_text(&scene.name, "mine").await.unwrap();
    scene.hear().await;
    let reaction = scene.reaction(&id, Some(&live()));
    scene.write("A2", &reaction).await;
    let alice = scene.alice.jid();
    for contact in [&scene.livia, &scene.lia] {
        let kept = scene
            .keeps(contact, &id, |m| m.reactions.contains_key(&alice))
            .await;
        assert_eq!(kept.reactions[&alice], "👍");
        assert_eq!(kept.outgoing, contact.jid() == &live());
    }
    let own = scene.reaction("A1", None);
    scene.write("A3", &own).await;
    let by_alice = |m: &Kept| m.reactions.contains_key(&alice);
    scene.keeps(&scene.livia, "A1", by_alice).await;
}

#[tokio::test]
async fn only_its_author_and_admins_delete_a_message() {
    let mut scene = Scene::start().await;
    let id = scene.livia.send_text(&scene.name, "mine").await.unwrap();
    scene.hear().await;
    scene.keeps(&scene.lia, &id, |_| true).await;
    scene
        .lia
        .revoke_of_another(&scene.name, "A1")
        .await
        .unwrap();
    let (node, message) = scene.hear().await;
    assert_eq!(node.attr("edit").as_deref(), Some("8"));
    let key = message.protocol_message.into_option().unwrap().key;
    assert_eq!(key.participant, Some(scene.alice.jid().to_string()));
    let kept = scene.lia.message(&scene.name, "A1").unwrap();
    assert!(!kept.revoked, "a member is no admin");

    let revoke = scene.revoke(&id, Some(&live()));
    scene.write("A2", &revoke).await;
    for contact in [&scene.livia, &scene.lia] {
        scene.keeps(contact, &id, |m| m.revoked).await;
    }
    let promote = with_members("promote", &[&liam()]);
    scene.alice.set(&scene.group, promote).await.unwrap();
    let is_admin = |lia: &ContactHandle| {
        let info = lia.group(&scene.name)?;
        info.members[&liam()].is_admin().then_some(())
    };
    scene.lia.wait_for(is_admin, DEADLINE).await.unwrap();
    scene
        .lia
        .revoke_of_another(&scene.name, "A1")
        .await
        .unwrap();
    scene.hear().await;
    assert!(scene.lia.message(&scene.name, "A1").unwrap().revoked);
    scene.keeps(&scene.livia, "A1", |m| m.revoked).await;
}

#[tokio::test]
async fn everything_a_contact_sends_goes_to_the_group() {
    let mut scene = Scene::start().await;
    let name = scene.name.clone();
    let reply = Composed::text("answer to @you")
        .answering("A1", &scene.alice.jid().to_string())
        .mentioning(scene.alice.jid().to_string());
    let id = scene.livia.send(&name, reply).await.unwrap();
    let (_, message) = scene.hear().await;
    let context = message.extended_text_message.context_info.clone();
    assert_eq!(context.stanza_id.as_deref(), Some("A1"));
    assert_eq!(context.participant, Some(scene.alice.jid().to_string()));
    assert_eq!(context.mentioned_jid, [scene.alice.jid().to_string()]);
    scene.livia.edit(&name, &id, "changed").await.unwrap();
    let (node, message) = scene.hear().await;
    assert_eq!(node.attr("edit").as_deref(), Some("1"));
    assert!(message.edited_message.is_set());
    scene
        .keeps(&scene.lia, &id, |m| m.edited && m.text == "changed")
        .await;

    let place = Location::at(1.0, 2.0);
    scene.livia.send_location(&name, place).await.unwrap();
    let (node, _) = scene.hear().await;
    let enc = node.children().last().unwrap();
    assert_eq!(enc.attr("mediatype").as_deref(), Some("location"));
    let card = Card {
        name: "Lia".to_owned(),
        vcard: "BEGIN:VCARD".to_owned(),
    };
    scene.livia.send_contacts(&name, vec![card]).await.unwrap();
    assert!(scene.hear().await.1.contact_message.is_set());
    let sticker = MediaToSend::bytes(MediaKind::Sticker, "image/webp", [1, 2, 3]);
    let id = scene.livia.send_media(&name, sticker).await.unwrap();
    assert!(scene.hear().await.1.sticker_message.is_set());
    scene.keeps(&scene.lia, &id, |_| true).await;
    let file = scene.lia.open_media(&name, &id).await.unwrap();
    assert_eq!(file, [1, 2, 3]);

    let poll = scene
        .livia
        .send_poll(&name, "Tea?", &["yes", "no"], 1)
        .await
        .unwrap();
    assert!(scene.hear().await.1.poll_creation_message_v3.is_set());
    scene.keeps(&scene.lia, &poll, |_| true).await;
    scene.lia.vote(&name, &poll, false, &["yes"]).await.unwrap();
    let (_, message) = scene.hear().await;
    let key = message
        .poll_update_message
        .into_option()
        .unwrap()
        .poll_creation_message_key;
    assert_eq!(key.participant, Some(live().to_string()));
    let voted = |m: &Kept| m.votes.contains_key(&liam());
    scene.keeps(&scene.livia, &poll, voted).await;
    let tally = scene.livia.tally(&name, &poll);
    assert_eq!(tally[0], ("yes".to_owned(), vec![liam()]));
}

#[tokio::test]
async fn what_was_read_is_told_to_each_who_wrote() {
    let mut scene = Scene::start().await;
    let mine = scene.lia.send_text(&scene.name, "mine").await.unwrap();
    scene.hear().await;
    scene.keeps(&scene.livia, &mine, |_| true).await;
    scene.write("A2", &text_message("more")).await;
    scene.keeps(&scene.livia, "A2", |_| true).await;
    scene.livia.mark_read(&scene.name).unwrap();
    let read = |node: &Node| node.tag == "receipt" && node.attr("type").as_deref() == Some("read");
    let receipt = scene.alice.find(read).await;
    assert_eq!(receipt.jid("participant"), Some(live()));
    assert_eq!(receipt.jid("from"), Some(scene.group.clone()));
    assert_eq!(receipt.attr("id").as_deref(), Some("A2"));
    let list = receipt.find("list").unwrap().children();
    assert_eq!(list[0].attr("id").as_deref(), Some("A1"));
    assert_eq!(list.len(), 1, "the other's message is not alice's");
    let by_livia = |m: &Kept| m.receipts.get(&live()) == Some(&drawbridge::sandbox::Status::Read);
    scene.keeps(&scene.lia, &mine, by_livia).await;
}

#[tokio::test]
async fn a_scripted_contact_answers_in_a_group_when_it_is_mentioned() {
    let mut scene = Scene::start().await;
    let echo = Jid::user("447700900001", "s.whatsapp.net");
    let add = with_members("add", &[&echo]);
    scene.alice.set(&scene.group, add).await.unwrap();
    let (group, silent) = (scene.group.clone(), text_message("not you"));
    let all = [echo.clone()];
    scene.alice.write(&group, "A2", &silent, &all).await;
    let mention = Composed::text("@447700900001 hello").mentioning(echo.to_string());
    scene.livia.send(&scene.name, mention).await.unwrap();
    scene.hear().await;
    let (node, message) = scene.hear().await;
    assert_eq!(node.jid("participant"), Some(echo));
    assert_eq!(message.conversation.as_deref(), Some("hello"));
    drop(scene.stage);
}

#[tokio::test]
async fn a_file_of_a_group_message_is_asked_for_again_from_who_sent_it() {
    let mut scene = Scene::start().await;
    let media = MediaToSend::bytes(MediaKind::Image, "image/png", [7; 40]);
    let id = scene.livia.send_media(&scene.name, media).await.unwrap();
    let (_, message) = scene.hear().await;
    let image = message.image_message.into_option().unwrap();
    let key: [u8; 32] = image.media_key.unwrap().try_into().unwrap();
    let ask = super::media_retry::ask_for(&id, &key, &scene.group).with("participant", live());
    scene.alice.client.send(ask).await;
    let answer = scene
        .alice
        .find(|node| node.attr("type").as_deref() == Some("mediaretry"))
        .await;
    assert_eq!(answer.jid("from"), Some(scene.group.clone()));
    assert_eq!(answer.jid("participant"), Some(live()));
    assert_eq!(answer.attr("id").as_deref(), Some(id.as_str()));
    assert!(answer.find("encrypt").is_some());
}
