//! A Partner's user and a contact who talk.

use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, Flavour, Message as Kept, Received},
};
use waproto::{
    buffa::MessageField,
    whatsapp::{Message, MessageKey},
};

use super::{
    partner::{DEADLINE, Stage},
    user::{Client, User},
};

/// The two, and what is between them.
pub(crate) struct Talk {
    pub(crate) stage: Stage,
    pub(crate) user: User,
    pub(crate) client: Client,
    pub(crate) contact: ContactHandle,
    /// The contact's address.
    pub(crate) jid: Jid,
    /// The user's address, as contacts write it.
    pub(crate) login: String,
}

/// Who does nothing by themselves.
pub(crate) fn live() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

impl Talk {
    /// A user who can write to the live contact.
    pub(crate) async fn start() -> Self {
        Self::with(live()).await
    }

    /// A user who can write to a contact.
    pub(crate) async fn with(jid: Jid) -> Self {
        let stage = Stage::start().await;
        let mut user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &jid).await;
        let mut client = user.connect(&stage).await;
        let bundle = client.keys_of(&jid).await.unwrap();
        user.ratchet.establish(&bundle);
        let contact = stage.sandbox.contact(&jid.to_string()).unwrap();
        Self {
            login: user.login.to_string(),
            stage,
            user,
            client,
            contact,
            jid,
        }
    }

    /// The same after a restart of the sandbox.
    pub(crate) async fn restart(self) -> Self {
        let stage = self.stage.restart().await;
        let client = self.user.connect(&stage).await;
        let contact = stage.sandbox.contact(&self.jid.to_string()).unwrap();
        Self {
            stage,
            client,
            contact,
            ..self
        }
    }

    /// The user writes; what the contact keeps of it.
    pub(crate) async fn write(&mut self, id: &str, message: Message) -> Received {
        let node = self.user.seal(id, &self.jid, &message);
        self.client.send(node).await;
        let came = |contact: &ContactHandle| contact.received().into_iter().find(|m| m.id == id);
        self.contact.wait_for(came, DEADLINE).await.unwrap()
    }

    /// The user writes a text.
    pub(crate) async fn say(&mut self, id: &str, text: &str) -> Received {
        self.write(id, text_message(text)).await
    }

    /// The next message that comes to the user: its stanza and what is in it.
    pub(crate) async fn hear(&mut self) -> (Node, Message) {
        let node = self.client.next_of("message").await;
        self.client.acknowledge(&node).await;
        let message = self.user.open(&node);
        (node, message)
    }

    /// The next stanza that comes to the user with a tag and a type.
    pub(crate) async fn next(&mut self, tag: &str, kind: Option<&str>) -> Node {
        loop {
            let node = self.client.next_of(tag).await;
            if node.attr("type").as_deref() == kind {
                self.client.acknowledge(&node).await;
                return node;
            }
        }
    }

    /// Waits until the contact keeps a message as it should be.
    pub(crate) async fn until(&self, id: &str, so: impl Fn(&Kept) -> bool) -> Kept {
        let found = |contact: &ContactHandle| {
            let kept = contact.message(&self.login, id)?;
            so(&kept).then_some(kept)
        };
        self.contact.wait_for(found, DEADLINE).await.unwrap()
    }
}

pub(crate) fn text_message(text: &str) -> Message {
    Message {
        conversation: Some(text.to_owned()),
        ..Message::default()
    }
}

/// The key of a message, from the side of who writes it.
pub(crate) fn key(id: &str, from_me: bool) -> MessageField<MessageKey> {
    MessageField::some(MessageKey {
        id: Some(id.to_owned()),
        from_me: Some(from_me),
        ..MessageKey::default()
    })
}
