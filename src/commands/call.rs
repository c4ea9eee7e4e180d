//! One command as it is carried out: who wrote it, where, and with what.

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedUserId};

use super::{
    Reply,
    arguments::{Arguments, Named},
    conversation::{Answer, Conversation, Partner, Question},
    dialogue,
    registry::Entry,
    say_store,
};
use crate::{
    bridge::{Bridge, BridgeError},
    config::Level,
    domain::GatekeeperId,
    network::Network,
    store::{LoginRow, PortalRow},
};

/// Who wrote a command, and where.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) sender: OwnedUserId,
    /// Where it was written and is answered.
    pub(super) answered_in: OwnedRoomId,
    /// Whether nobody else reads that.
    pub(super) is_private: bool,
    /// The room it is about if it names none; none in the management room.
    pub(super) here: Option<OwnedRoomId>,
    /// The event it was written in.
    pub(super) event_id: String,
}

/// One command as it is carried out.
pub(super) struct Call<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) said: &'a Said,
    pub(super) entry: &'static Entry,
    /// What its sender may do.
    pub(super) level: Level,
    pub(super) gatekeepers: Vec<Named>,
    pub(super) arguments: Arguments,
}

impl Call<'_> {
    /// The room it is about: the one named, else the one it is written in.
    pub(super) fn room(&self) -> Result<OwnedRoomId, String> {
        let room = self.arguments.room.as_ref().or(self.said.here.as_ref());
        room.cloned().ok_or_else(|| {
            format!(
                "Say which room, by its id, or write it there.\n\nWrite `{}`, such as `{}`.",
                self.entry.usage(),
                self.entry.example
            )
        })
    }

    /// The room it is about, if it is about one.
    pub(super) fn room_if_any(&self) -> Option<OwnedRoomId> {
        let room = self.arguments.room.as_ref().or(self.said.here.as_ref());
        room.cloned()
    }

    /// The portals of the room it is about.
    pub(super) async fn portals(&self) -> Result<(OwnedRoomId, Vec<PortalRow>), String> {
        let room = self.room()?;
        let mut portals = self
            .bridge
            .portals_in(&room)
            .await
            .map_err(|e| failed(&e))?;
        // Who is not in the room is told of their own chats alone.
        let is_here = self.said.here.as_ref() == Some(&room);
        if !is_here && self.bridge.level(&self.said.sender) < Level::Admin {
            let mut own = Vec::new();
            for portal in portals {
                let logins = super::chats::logins_in(self, &portal).await?;
                let whose = self.said.sender.as_str();
                if logins.iter().any(|login| login.mxid == whose) {
                    own.push(portal);
                }
            }
            portals = own;
        }
        if portals.is_empty() {
            return Err(format!(
                "{} mirrors no chat. Write `bridge` there to link it to one.",
                link(&room)
            ));
        }
        Ok((room, portals))
    }

    /// Everything its sender is logged in to.
    pub(super) async fn logins(&self) -> Result<Vec<LoginRow>, String> {
        let mxid = self.said.sender.to_string();
        self.bridge
            .database()
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await
            .map_err(|error| say_store(&error))
    }

    /// A gatekeeper.
    pub(super) fn network(&self, id: &GatekeeperId) -> Result<&Arc<dyn Network>, String> {
        self.bridge.network(id).map_err(|error| failed(&error))
    }

    /// A gatekeeper's name for people.
    pub(super) fn name<'a>(&'a self, id: &'a GatekeeperId) -> &'a str {
        self.bridge.gatekeeper_name(id)
    }

    /// Asks something; what is said is kept with it.
    pub(super) async fn ask(&self, question: Question, prompt: String) -> Reply {
        let conversation = Conversation {
            question,
            prompt: prompt.clone(),
            asked_by: self.said.event_id.clone(),
            answered: None,
        };
        self.partner().keep(self.bridge, &conversation).await?;
        Ok(prompt)
    }

    /// Asks whether something is to be done that cannot be undone, unless the command says `confirm` already.
    pub(super) async fn confirm(&self, question: Question, lost: &str) -> Reply {
        let prompt = format!("{lost}\n\nWrite `confirm` to go on, or `cancel`.");
        if !self.arguments.confirmed {
            return self.ask(question, prompt).await;
        }
        let conversation = Conversation {
            question,
            prompt,
            asked_by: self.said.event_id.clone(),
            answered: Some((self.said.event_id.clone(), Answer::Yes)),
        };
        self.partner().keep(self.bridge, &conversation).await?;
        dialogue::go_on(self.bridge, self.said, &conversation.question).await
    }

    fn partner(&self) -> Partner {
        Partner::new(&self.said.sender, &self.said.answered_in)
    }
}

/// A failure as a sentence.
pub(super) fn failed(error: &BridgeError) -> String {
    if error.is_transient() {
        format!("That did not work: {error}. Try again in a minute.")
    } else {
        format!("That did not work: {error}.")
    }
}

/// A room as a link.
pub(super) fn link(room: &ruma::RoomId) -> String {
    format!("[{room}](https://matrix.to/#/{room})")
}
