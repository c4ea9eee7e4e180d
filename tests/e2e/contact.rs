//! A contact on the gatekeeper's side: a phone with keys and ratchets of its own, and what its owner sees.

use drawbridge::{
    domain::{MessageRef, RemoteUserId, StanzaId},
    sandbox::{ContactHandle, Flavour, Message, Received, Status},
};

use super::{
    client::{PATIENCE, User},
    wait::until,
    world::World,
};

/// A contact who knows one Matrix user.
pub(crate) struct Contact {
    /// The phone.
    pub(crate) phone: ContactHandle,
    /// The user's address at the gatekeeper.
    pub(crate) user: String,
}

impl Contact {
    /// A new contact who will write to a user that is logged in.
    pub(crate) async fn of(world: &World, user: &User, flavour: Flavour) -> Self {
        let phone = world
            .sandbox
            .add_contact(flavour, "Nora New")
            .await
            .expect("one more contact");
        let user = world
            .sandbox
            .partner_login(flavour, &user.mxid)
            .expect("the gatekeeper knows the user");
        Self { phone, user }
    }

    /// What a Matrix user writes behind `start-chat`.
    pub(crate) fn number(&self) -> String {
        self.phone.phone()
    }

    /// The address at the gatekeeper.
    pub(crate) fn jid(&self) -> String {
        self.phone.jid().to_string()
    }

    /// Writes to the user.
    pub(crate) async fn say(&self, text: &str) {
        let sent = self.phone.send_text(&self.user, text).await;
        sent.expect("a contact can always write");
    }

    /// Answers a text the user wrote.
    pub(crate) async fn reply(&self, to: &str, text: &str) {
        let message = self.receives(to).await;
        let quotes = MessageRef {
            id: StanzaId::parse(message.id).expect("an id"),
            sender: Some(RemoteUserId::parse(self.user.as_str()).expect("an address")),
        };
        let sent = self.phone.send_reply(&self.user, text, quotes).await;
        sent.expect("a contact can always write");
    }

    /// Reads everything.
    pub(crate) fn read(&self) {
        self.phone.mark_read(&self.user).expect("the sandbox runs");
    }

    /// Goes out of reach, or comes back.
    pub(crate) fn set_online(&self, online: bool) {
        self.phone.set_online(online).expect("the sandbox runs");
    }

    /// Gets a new phone: new keys, no sessions.
    pub(crate) async fn reinstall(&self) {
        self.phone.reinstall().await.expect("the sandbox runs");
    }

    /// Waits for a text to arrive.
    pub(crate) async fn receives(&self, text: &str) -> Received {
        until(
            &format!("{text:?} to reach the contact"),
            PATIENCE,
            async || {
                self.phone
                    .received()
                    .into_iter()
                    .find(|message| message.text == text)
            },
        )
        .await
    }

    /// Waits for something to arrive.
    pub(crate) async fn gets<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Received) -> Option<T>,
    ) -> T {
        until(
            &format!("{what} to reach the contact"),
            PATIENCE,
            async || self.phone.received().iter().find_map(&mut look),
        )
        .await
    }

    /// Waits until the chat on the phone shows something.
    pub(crate) async fn sees<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Message) -> Option<T>,
    ) -> T {
        until(
            &format!("the contact to see {what}"),
            PATIENCE,
            async || self.shown().iter().find_map(&mut look),
        )
        .await
    }

    /// The chat as the phone shows it, oldest first.
    pub(crate) fn shown(&self) -> Vec<Message> {
        let chat = self.user.parse().expect("an address");
        self.phone.messages(&chat)
    }

    /// A message of the chat as the phone shows it.
    pub(crate) fn shows(&self, id: &str) -> Message {
        let mut shown = self.shown().into_iter();
        shown
            .find(|message| message.id == id)
            .expect("a message of the chat")
    }

    /// Waits until as many texts arrived, which must be exactly these, in this order, each once.
    pub(crate) async fn receives_exactly<T: AsRef<str>>(&self, texts: &[T]) {
        let what = format!("{} messages to reach the contact", texts.len());
        until(&what, PATIENCE, async || {
            (self.phone.received_count() >= texts.len()).then_some(())
        })
        .await;
        let received: Vec<String> = self.phone.received().into_iter().map(|m| m.text).collect();
        let expected: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        assert_eq!(received, expected);
        let counters = self.phone.counters();
        assert_eq!(counters.key_reuse, 0, "a message key was used twice");
    }

    /// How many messages arrived.
    pub(crate) fn received_count(&self) -> usize {
        self.phone.received_count()
    }

    /// A message the contact wrote.
    pub(crate) fn wrote(&self, text: &str) -> Message {
        let mut sent = self.phone.sent().into_iter();
        sent.rfind(|message| message.text == text)
            .expect("the contact wrote this")
    }

    /// Waits until the contact sees that the user read a message.
    pub(crate) async fn sees_read(&self, text: &str) {
        until(
            "a read receipt to reach the contact",
            PATIENCE,
            async || (self.wrote(text).status == Status::Read).then_some(()),
        )
        .await;
    }

    /// Waits until a message the contact wrote has come as far.
    pub(crate) async fn has_status(&self, text: &str, status: Status) {
        let what = format!("{text:?} to be {status:?}");
        let has = async || (self.wrote(text).status == status).then_some(());
        until(&what, PATIENCE, has).await;
    }

    /// How many messages could not be decrypted when they came.
    pub(crate) fn undecryptable(&self) -> usize {
        self.phone.counters().undecryptable
    }
}

/// A message as it was decrypted.
pub(crate) fn proto(received: &Received) -> waproto::whatsapp::Message {
    waproto::codec::message_decode(&received.plaintext).expect("a message")
}
