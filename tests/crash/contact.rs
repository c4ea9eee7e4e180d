//! What the contact does in a chat, by the handle on their phone.

use drawbridge::{
    domain::{MessageRef, RemoteUserId, StanzaId, Typing},
    sandbox::{
        ContactHandle, MediaToSend, SandboxError,
        content::{Card, Location},
    },
};

use super::{
    files::MadeUp,
    ledger::{Way, has_caption, number_in},
    support::stage::{Chat, Stage},
    user::OPTIONS,
};

/// How many of a chat's messages are looked through for something to answer.
const LATEST: usize = 40;

/// The contact of a chat.
pub(crate) struct Contact<'a> {
    chat: &'a Chat,
    phone: &'a ContactHandle,
}

fn id(sent: Result<String, SandboxError>) -> String {
    sent.expect("the contact can write")
}

impl<'a> Contact<'a> {
    pub(crate) fn of(stage: &'a Stage, chat: usize) -> Self {
        let chat = &stage.chats[chat];
        Self {
            chat,
            phone: chat.contact(),
        }
    }

    fn to(&self) -> &str {
        self.chat.login()
    }

    /// The latest numbered messages of the user's that the phone shows.
    pub(crate) fn seen(&self, prefix: &str) -> Vec<(usize, String)> {
        let Some(login) = self.chat.login_address() else {
            return Vec::new();
        };
        let latest = self.phone.latest(&login, LATEST).into_iter();
        latest
            .filter(|message| !message.outgoing && !message.revoked)
            .filter_map(|message| Some((number_in(&message.text, prefix)?, message.id)))
            .collect()
    }

    /// Writes a text.
    pub(crate) async fn say(&self, text: &str) -> String {
        id(self.phone.send_text(self.to(), text).await)
    }

    /// Writes a text that answers one of the user's messages, or of the contact's own.
    pub(crate) async fn answer(&self, text: &str, message: &str, of: Way) -> String {
        let author = match of {
            Way::Out => self.to().to_owned(),
            Way::In => self.phone.jid().to_string(),
        };
        let quotes = MessageRef {
            id: StanzaId::parse(message).expect("a message has an id"),
            sender: RemoteUserId::parse(author).ok(),
        };
        id(self.phone.send_reply(self.to(), text, quotes).await)
    }

    /// Sends a file.
    pub(crate) async fn send_file(&self, file: MadeUp, caption: &str) -> String {
        let mut media = MediaToSend::bytes(file.kind, file.mime_type(), file.bytes.clone());
        media.file_name = Some(file.name().to_owned());
        if has_caption(file.kind) {
            media = media.with_caption(caption);
        }
        id(self.phone.send_media(self.to(), media).await)
    }

    /// The server loses the file of one of the contact's messages; the phone has it still.
    pub(crate) async fn lose(&self, stage: &Stage, message: &str) {
        let login = self.chat.login_address();
        let message = login.and_then(|login| self.phone.message_of(&login, true, message));
        let file = message.and_then(|message| message.content.file()?.remote.clone());
        let path = file.expect("the file was uploaded").path;
        let lost = stage.sandbox.forget_file(self.phone.flavour(), &path);
        lost.await.expect("the sandbox can delete a file");
    }

    /// Sends a place.
    pub(crate) async fn send_location(&self, name: &str, at: (f64, f64)) -> String {
        let mut place = Location::at(at.0, at.1);
        place.name = Some(name.to_owned());
        id(self.phone.send_location(self.to(), place).await)
    }

    /// Sends a contact card.
    pub(crate) async fn send_card(&self, name: &str) -> String {
        let card = Card {
            name: name.to_owned(),
            vcard: format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL:+447700900123\nEND:VCARD"),
        };
        id(self.phone.send_contacts(self.to(), vec![card]).await)
    }

    /// Asks in a poll.
    pub(crate) async fn ask(&self, question: &str) -> String {
        let options = OPTIONS.map(|(_, text)| text);
        id(self.phone.send_poll(self.to(), question, &options, 1).await)
    }

    /// Votes in a poll, the user's or the contact's own.
    pub(crate) async fn vote(&self, poll: &str, of: Way, option: usize) {
        let options = [OPTIONS[option].1];
        let vote = self.phone.vote(self.to(), poll, of == Way::In, &options);
        id(vote.await);
    }

    /// Gives a message of the contact's own another text.
    pub(crate) async fn edit(&self, message: &str, text: &str) {
        id(self.phone.edit(self.to(), message, text).await);
    }

    /// Deletes a message of the contact's own.
    pub(crate) async fn revoke(&self, message: &str) {
        id(self.phone.revoke(self.to(), message).await);
    }

    /// Reacts to a message, in the place of an earlier reaction; empty takes that back.
    pub(crate) async fn react(&self, message: &str, of: Way, emoji: &str) {
        let reaction = self.phone.react(self.to(), message, of == Way::In, emoji);
        id(reaction.await);
    }

    /// Lets messages disappear.
    pub(crate) async fn set_timer(&self, seconds: u32) {
        id(self.phone.set_timer(self.to(), seconds).await);
    }

    /// Calls; the call's id.
    pub(crate) async fn call(&self) -> String {
        id(self.phone.call(self.to(), false).await)
    }

    /// Gives up a call.
    pub(crate) fn hang_up(&self, call: &str) {
        let done = self.phone.hang_up(self.to(), call);
        done.expect("the contact can give up a call");
    }

    /// Writes, or stops writing.
    pub(crate) fn typing(&self, writes: bool) {
        let state = if writes {
            Typing::Composing
        } else {
            Typing::Paused
        };
        let told = self.phone.typing(self.to(), state);
        told.expect("the contact can write");
    }

    /// Reads what came.
    pub(crate) fn read(&self) {
        let read = self.phone.mark_read(self.to());
        read.expect("the contact can read");
    }
}
