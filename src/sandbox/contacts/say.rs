//! What a test, a script or the page lets a contact write and tell.

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::oneshot;

use super::{
    ContactHandle,
    actor::{Command, Done},
    content::{Card, Composed, Content, Location, Poll, Target},
    files::{TakeError, TakenFile},
    handle::recipient,
    media::MediaToSend,
};
use crate::{
    domain::{MessageRef, Typing},
    sandbox::error::SandboxError,
};

impl ContactHandle {
    /// Writes a text; its id, once it is stored. It is sent as soon as there is a connection and a session.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for what is no user's address, [`SandboxError::Closed`] after the sandbox's end.
    pub async fn send_text(&self, to: &str, text: &str) -> Result<String, SandboxError> {
        self.send(to, Composed::text(text)).await
    }

    /// Writes a text without waiting until it is stored: many written in a row share a commit and keep their order.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn post_text(&self, to: &str, text: &str) -> Result<(), SandboxError> {
        // Nobody waits at the other end.
        let (done, _) = oneshot::channel();
        let message = Box::new(Composed::text(text));
        self.command(Command::Write(recipient(to)?, message, done))
    }

    /// Writes a text that answers another; otherwise as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_reply(
        &self,
        to: &str,
        text: &str,
        quotes: MessageRef,
    ) -> Result<String, SandboxError> {
        let message = Composed {
            quotes: Some(quotes),
            ..Composed::text(text)
        };
        self.send(to, message).await
    }

    /// Writes any message; otherwise as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SandboxError::NoMessage`] for what changes a message that is not there or a vote
    /// in a poll that is not.
    pub async fn send(&self, to: &str, message: Composed) -> Result<String, SandboxError> {
        let to = recipient(to)?;
        self.told(|done| Command::Write(to, Box::new(message), done))
            .await
    }

    /// Sends bytes as they are in the place of a message: of a kind no phone writes, or no message at all.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_raw(&self, to: &str, plaintext: Vec<u8>) -> Result<String, SandboxError> {
        let to = recipient(to)?;
        self.told(|done| Command::Raw(to, plaintext, done)).await
    }

    /// Uploads a file and writes its message; the message's id. The phone keeps the file.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`SandboxError::File`] if the file cannot be read or uploaded.
    pub async fn send_media(&self, to: &str, media: MediaToSend) -> Result<String, SandboxError> {
        recipient(to)?;
        let quotes = media.quotes.clone();
        let (file, text) = self.files().send(media).await?;
        let message = Composed {
            text,
            quotes,
            ..Composed::of(Content::File(file))
        };
        self.send(to, message).await
    }

    /// Takes a file to send as it comes, at most `limit` bytes.
    pub(in crate::sandbox) async fn take_file(
        &self,
        chunks: impl Stream<Item = std::io::Result<Bytes>> + Unpin,
        limit: u64,
    ) -> Result<TakenFile, TakeError> {
        self.files().take(chunks, limit).await
    }

    /// Gives a message of the contact's own another text; the id of the change.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn edit(&self, chat: &str, id: &str, text: &str) -> Result<String, SandboxError> {
        let edit = Content::Edit {
            of: id.to_owned(),
            caption_of: None,
        };
        let message = Composed {
            text: text.to_owned(),
            ..Composed::of(edit)
        };
        self.send(chat, message).await
    }

    /// Deletes a message of the contact's own for everybody; the id of the deletion.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn revoke(&self, chat: &str, id: &str) -> Result<String, SandboxError> {
        let of = target(id, true);
        self.send(chat, Composed::of(Content::Revoke { of })).await
    }

    /// Deletes somebody else's message in a group for everybody, which admins may; the id of the deletion.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn revoke_of_another(&self, group: &str, id: &str) -> Result<String, SandboxError> {
        let of = target(id, false);
        self.send(group, Composed::of(Content::Revoke { of })).await
    }

    /// Reacts to a message, which is the contact's own if `own` is set; an empty emoji takes the reaction back. The id of the
    /// reaction.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn react(
        &self,
        chat: &str,
        id: &str,
        own: bool,
        emoji: &str,
    ) -> Result<String, SandboxError> {
        let to = target(id, own);
        let message = Composed {
            text: emoji.to_owned(),
            ..Composed::of(Content::Reaction { to })
        };
        self.send(chat, message).await
    }

    /// Sends a place.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_location(&self, to: &str, place: Location) -> Result<String, SandboxError> {
        self.send(to, Composed::of(Content::Location(place))).await
    }

    /// Sends contact cards, one or more.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_contacts(&self, to: &str, cards: Vec<Card>) -> Result<String, SandboxError> {
        self.send(to, Composed::of(Content::Contacts { cards }))
            .await
    }

    /// Asks in a poll, of whose options `selectable` may be chosen, 0 for any number; the poll's id.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn send_poll(
        &self,
        to: &str,
        question: &str,
        options: &[&str],
        selectable: u32,
    ) -> Result<String, SandboxError> {
        let secret: [u8; 32] = rand::random();
        let poll = Poll {
            options: options.iter().map(|&option| option.to_owned()).collect(),
            selectable,
            secret: secret.to_vec(),
        };
        let message = Composed {
            text: question.to_owned(),
            ..Composed::of(Content::Poll(poll))
        };
        self.send(to, message).await
    }

    /// Votes in a poll, which the contact asked itself if `own` is set; no options take the vote back.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn vote(
        &self,
        chat: &str,
        poll: &str,
        own: bool,
        options: &[&str],
    ) -> Result<String, SandboxError> {
        let vote = Content::Vote {
            poll: target(poll, own),
            choices: Some(options.iter().map(|&option| option.to_owned()).collect()),
        };
        self.send(chat, Composed::of(vote)).await
    }

    /// Lets what is written in a chat disappear after as many seconds, 0 for never.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn set_timer(&self, chat: &str, seconds: u32) -> Result<String, SandboxError> {
        self.send(chat, Composed::of(Content::Timer { seconds }))
            .await
    }

    /// Calls somebody, with a picture if `video` is set; the call's id.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub async fn call(&self, chat: &str, video: bool) -> Result<String, SandboxError> {
        let chat = recipient(chat)?;
        self.told(|done| Command::Call(chat, video, done)).await
    }

    /// Gives up a call that nobody answered: it is a missed one.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn hang_up(&self, chat: &str, call: &str) -> Result<(), SandboxError> {
        self.command(Command::HangUp(recipient(chat)?, call.to_owned()))
    }

    /// Sends read receipts for what came in a chat.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn mark_read(&self, chat: &str) -> Result<(), SandboxError> {
        self.command(Command::Read(recipient(chat)?, false))
    }

    /// The same with the receipts gathered by message, as the gatekeeper's "sender-aggregated" ones.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn mark_read_aggregated(&self, chat: &str) -> Result<(), SandboxError> {
        self.command(Command::Read(recipient(chat)?, true))
    }

    /// Says that the contact listened to a voice note, or to audio, that came.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn mark_played(&self, chat: &str, id: &str) -> Result<(), SandboxError> {
        self.command(Command::Play(recipient(chat)?, id.to_owned()))
    }

    /// Says that the contact writes, records, or stopped. Forgotten while not connected.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn typing(&self, chat: &str, state: Typing) -> Result<(), SandboxError> {
        self.command(Command::Typing(recipient(chat)?, state))
    }

    /// Says that the contact is there, or not, to those it wrote with. Forgotten while not connected.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn presence(&self, present: bool) -> Result<(), SandboxError> {
        self.command(Command::Presence(present))
    }

    /// Connects the phone, or keeps it away.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn set_online(&self, online: bool) -> Result<(), SandboxError> {
        self.command(Command::Online(online))
    }

    /// Lets the phone answer, when it is asked for a file it sent, that it does not have it any more; or have it again.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn lose_files(&self, lost: bool) -> Result<(), SandboxError> {
        self.command(Command::LoseFiles(lost))
    }

    /// Installs the phone anew: all sessions are forgotten and the identity key is another.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub async fn reinstall(&self) -> Result<(), SandboxError> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Reinstall(done))?;
        wait.await.map_err(|_| SandboxError::Closed)
    }

    async fn told(&self, command: impl FnOnce(Done) -> Command) -> Result<String, SandboxError> {
        let (done, wait) = oneshot::channel();
        self.command(command(done))?;
        wait.await.map_err(|_| SandboxError::Closed)?
    }
}

fn target(id: &str, own: bool) -> Target {
    Target {
        id: id.to_owned(),
        own,
    }
}
