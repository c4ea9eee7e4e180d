//! What a phone does with what its owner writes, and what a message of either side does to an earlier one.

use super::{
    cast::Script,
    compose::{self, Around},
    content::{Composed, Content},
    crypt::{Ballot, SealedVote},
    group_talk,
    message::Message,
    phone::{Phone, new_id},
    understand,
};
use crate::{
    network::interop::wire::Jid,
    sandbox::{directory::is_group, error::SandboxError},
};

impl Phone {
    /// Writes a message; the id it has.
    pub(super) fn write(
        &mut self,
        chat: &Jid,
        mut message: Composed,
    ) -> Result<String, SandboxError> {
        if message.expires_after.is_none() && message.content.is_shown() {
            let timer = self.stored.timers.get(chat).copied();
            message.expires_after = timer.filter(|seconds| *seconds > 0);
        }
        let mut vote = None;
        match &mut message.content {
            Content::Edit { of, caption_of } => {
                let log = self.shared.log();
                let original = log.find(chat, true, of).ok_or(SandboxError::NoMessage)?;
                *caption_of = original.content.file().map(|file| file.kind);
            }
            Content::Vote { poll, choices } => {
                let log = self.shared.log();
                let original = log.find(chat, poll.own, &poll.id);
                let original = original.ok_or(SandboxError::NoMessage)?;
                let choices = choices.get_or_insert_default();
                vote = Some(self.ballot(original, &self.stored.jid)?.seal(choices));
            }
            _ => {}
        }
        let (quoted, quoted_text) = self.quoted(chat, &message);
        let author = self.author_of_target(chat, &message.content);
        let around = Around {
            own: &self.stored.jid,
            chat,
            quoted,
            vote,
            author,
            now: self.now,
        };
        let plaintext = compose::encode(&message, around);
        let written = Message {
            quoted_text,
            plaintext,
            ..Message::written(new_id(), chat, message, self.now)
        };
        Ok(self.queue(&written))
    }

    /// Sends bytes as they are in the place of a message.
    pub(super) fn write_raw(&mut self, chat: &Jid, plaintext: Vec<u8>) -> String {
        let name = "raw".to_owned();
        let message = Composed::of(Content::Other { name });
        let written = Message {
            plaintext,
            ..Message::written(new_id(), chat, message, self.now)
        };
        self.queue(&written)
    }

    fn queue(&mut self, message: &Message) -> String {
        let (chat, id) = (message.chat.clone(), message.id.clone());
        let row = self.shared.log().add(&self.stored.jid, message.clone());
        self.changes.push(row);
        self.apply(message);
        self.waiting
            .entry(chat.clone())
            .or_default()
            .push(id.clone());
        self.release(&chat);
        id
    }

    /// The message a message answers, and its text.
    fn quoted(
        &self,
        chat: &Jid,
        message: &Composed,
    ) -> (Option<waproto::whatsapp::Message>, Option<String>) {
        let log = self.shared.log();
        let Some(original) = message
            .quotes
            .as_ref()
            .and_then(|quote| log.either(chat, quote.id.as_str()))
        else {
            return (None, None);
        };
        let text = (!original.text.is_empty()).then(|| original.text.clone());
        (understand::quotable(&original.plaintext), text)
    }

    /// The message's protobuf with its padding, as it was first written.
    pub(super) fn padded(&self, message: &Message) -> Vec<u8> {
        let mut padded = message.plaintext.clone();
        if padded.is_empty() {
            // It was stored before plaintexts were.
            let composed = Composed {
                quotes: message.quotes.clone(),
                ..Composed::text(message.text.as_str())
            };
            let around = Around {
                own: &self.stored.jid,
                chat: &message.chat,
                quoted: None,
                vote: None,
                author: None,
                now: self.now,
            };
            padded = compose::encode(&composed, around);
        }
        group_talk::padded(padded)
    }

    /// What a vote in a poll is bound to.
    fn ballot<'a>(&self, poll: &'a Message, voter: &Jid) -> Result<Ballot<'a>, SandboxError> {
        let secret = poll.content.poll().map(|poll| poll.secret.as_slice());
        let secret = secret.filter(|secret| secret.len() == 32);
        Ok(Ballot {
            poll: &poll.id,
            author: poll.author(&self.stored.jid).to_string(),
            voter: voter.to_string(),
            secret: secret.ok_or(SandboxError::NoMessage)?,
        })
    }

    /// Which options of a poll somebody chose.
    pub(super) fn read_vote(
        &self,
        chat: &Jid,
        voter: &Jid,
        content: &Content,
        vote: &SealedVote,
    ) -> Option<Vec<String>> {
        let Content::Vote { poll, .. } = content else {
            return None;
        };
        let log = self.shared.log();
        let original = log.find(chat, poll.own, &poll.id)?;
        let options = &original.content.poll()?.options;
        self.ballot(original, voter).ok()?.open(vote, options)
    }

    /// Does to earlier messages what a message of either side says.
    pub(super) fn apply(&mut self, message: &Message) {
        let Message {
            chat,
            outgoing,
            text,
            ..
        } = message;
        let author = message.author(&self.stored.jid).clone();
        let owner = self.stored.jid.clone();
        let by_admin = self.is_admin(chat, &author);
        let mut log = self.shared.log();
        let row = match &message.content {
            Content::Reaction { to } => log.change(&owner, chat, to.own, &to.id, |target| {
                if text.is_empty() {
                    target.reactions.remove(&author);
                } else if !target.revoked {
                    target.reactions.insert(author, text.clone());
                }
                true
            }),
            Content::Vote {
                poll,
                choices: Some(choices),
            } => log.change(&owner, chat, poll.own, &poll.id, |target| {
                if choices.is_empty() {
                    target.votes.remove(&author);
                } else {
                    target.votes.insert(author, choices.clone());
                }
                true
            }),
            Content::Edit { of, .. } => log.change(&owner, chat, *outgoing, of, |target| {
                let editable = matches!(target.content, Content::Text { .. } | Content::File(_));
                let changes = editable && !target.revoked && *target.author(&owner) == author;
                if changes {
                    target.text.clone_from(text);
                    target.mentions.clone_from(&message.mentions);
                    target.edited = true;
                }
                changes
            }),
            // Only its author can delete a message, and an admin in a group.
            Content::Revoke { of } => log.change(&owner, chat, of.own, &of.id, |target| {
                let allowed = by_admin || *target.author(&owner) == author;
                if allowed {
                    target.revoke();
                }
                allowed
            }),
            Content::Timer { seconds } => {
                self.stored.timers.insert(chat.clone(), *seconds);
                Some(self.stored.change())
            }
            _ => None,
        };
        drop(log);
        self.changes.extend(row);
    }

    /// In a group, who wrote the message a message is about.
    fn author_of_target(&self, chat: &Jid, content: &Content) -> Option<String> {
        let (Content::Reaction { to: target }
        | Content::Vote { poll: target, .. }
        | Content::Revoke { of: target }) = content
        else {
            return None;
        };
        let log = self.shared.log();
        let sender = log.find(chat, target.own, &target.id)?.sender.as_ref();
        sender.map(ToString::to_string)
    }

    /// Whether somebody may delete what others wrote in a chat.
    fn is_admin(&self, chat: &Jid, who: &Jid) -> bool {
        let groups = self.shared.groups();
        let role = groups
            .get(chat)
            .and_then(|state| state.info.members.get(who));
        role.is_some_and(|role| role.is_admin())
    }

    /// A message of a group that mentions the contact, without the mention: contacts who act by themselves answer it alone.
    fn addressed(&self, message: &Message) -> Option<Message> {
        let own = self.stored.jid.to_string();
        if !message.mentions.contains(&own) {
            return None;
        }
        let mut message = message.clone();
        let address = own.split_once('@').map_or(&*own, |(user, _)| user);
        let mention = format!("@{address}");
        let text = message.text.replace(&mention, "");
        text.trim().clone_into(&mut message.text);
        message.mentions.clear();
        Some(message)
    }

    /// Takes a message that came: read and answered as the contact's script says.
    pub(super) fn respond(&mut self, message: &Message) {
        let script = self.stored.script;
        if script.reads() && message.is_shown() {
            self.read_chat(&message.chat);
        }
        let answers = if is_group(&message.chat) {
            match self.addressed(message) {
                Some(message) => script.answers(&message, self.late_by),
                None => return,
            }
        } else {
            script.answers(message, self.late_by)
        };
        if script == Script::Chatty && message.is_shown() {
            // One conversation at a time: what was still to come gives way to the new answer.
            self.lines.retain(|(other, _)| *other != message.chat);
        }
        for line in answers {
            self.lines.push((message.chat.clone(), line));
        }
    }
}
