//! What the bridge has asked somebody, kept in the store so that a restart between question and answer loses nothing.
//!
//! Each state names the event that brought it about. So a command that is carried out again after a crash finds that it was the
//! one that asked or answered, and says and does the same again.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use super::say_store;
use crate::{
    bridge::Bridge,
    domain::{ChatId, GatekeeperId, LoginId, PortalId},
    store::Lane,
};

/// A login that is to be ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) login: LoginId,
    pub(super) gatekeeper: GatekeeperId,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "asks", rename_all = "snake_case")]
pub(super) enum Question {
    /// At which gatekeeper to log in.
    Gatekeeper,
    /// Whether the terms are accepted.
    Terms {
        gatekeeper: GatekeeperId,
        version: String,
    },
    /// Whether logins are to be ended; whose.
    LogOut {
        of: OwnedUserId,
        endings: Vec<Ending>,
    },
    /// Whether portals are to be given up, and the groups of these logins left.
    Delete {
        portals: Vec<PortalId>,
        leaves: Vec<(LoginId, GatekeeperId, ChatId)>,
    },
    /// Whether every portal of these logins is to be given up.
    DeleteAll { logins: Vec<LoginId> },
    /// Whether these portals are to be given up and these ghosts forgotten.
    CleanUp {
        portals: Vec<PortalId>,
        ghosts: Vec<OwnedUserId>,
    },
}

impl Question {
    /// The words that go on with it.
    pub(super) fn takes(&self) -> &'static str {
        match self {
            Self::Gatekeeper => "the name of a gatekeeper",
            Self::Terms { .. } => "`accept`",
            Self::LogOut { .. }
            | Self::Delete { .. }
            | Self::DeleteAll { .. }
            | Self::CleanUp { .. } => "`confirm`",
        }
    }

    /// What is ended if something else is done.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gatekeeper | Self::Terms { .. } => "login",
            Self::LogOut { .. } => "logout",
            Self::Delete { .. } | Self::DeleteAll { .. } => "deletion",
            Self::CleanUp { .. } => "clean-up",
        }
    }
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It was agreed to.
    Yes,
    /// It was cancelled.
    No,
    /// Something else was done instead.
    Passed,
}

/// A question, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversation {
    pub(super) question: Question,
    /// What was said when it was asked.
    pub(super) prompt: String,
    /// The event after which it was asked.
    pub(super) asked_by: String,
    /// The event that ended it, and how.
    pub(super) answered: Option<(String, Answer)>,
}

impl Conversation {
    /// How this event ended it, if it did.
    pub(super) fn answer_of(&self, event_id: &str) -> Option<Answer> {
        let (by, how) = self.answered.as_ref()?;
        (by == event_id).then_some(*how)
    }
}

/// With whom and where.
#[derive(Debug, Clone)]
pub(super) struct Partner {
    pub(super) user: OwnedUserId,
    pub(super) room_id: OwnedRoomId,
}

impl Partner {
    pub(super) fn new(user: &UserId, room_id: &RoomId) -> Self {
        Self {
            user: user.to_owned(),
            room_id: room_id.to_owned(),
        }
    }

    fn key(&self) -> String {
        format!("conversation/{} {}", self.user, self.room_id)
    }

    /// What is asked, or was last.
    pub(super) async fn last(&self, bridge: &Bridge) -> Result<Option<Conversation>, String> {
        let text = value(bridge, self.key()).await?;
        // One that an older version wrote in another way is over.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps what is asked.
    pub(super) async fn keep(
        &self,
        bridge: &Bridge,
        conversation: &Conversation,
    ) -> Result<(), String> {
        let text = serde_json::to_string(conversation)
            .map_err(|error| format!("The question cannot be kept: {error}."))?;
        set_value(bridge, self.key(), text).await
    }
}

/// A value of the store.
pub(super) async fn value(bridge: &Bridge, key: String) -> Result<Option<String>, String> {
    bridge
        .database()
        .read(move |txn| {
            let key = key.clone();
            Box::pin(async move { txn.value(&key).await })
        })
        .await
        .map_err(|error| say_store(&error))
}

/// Keeps a value in the store.
pub(super) async fn set_value(bridge: &Bridge, key: String, value: String) -> Result<(), String> {
    bridge
        .database()
        .step(Lane::room(&key.clone()), move |txn| {
            let (key, value) = (key.clone(), value.clone());
            Box::pin(async move { txn.set_value(&key, &value).await })
        })
        .await
        .map_err(|error| say_store(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_survives_being_kept() {
        let gatekeeper = GatekeeperId::parse("whatsapp").unwrap();
        let questions = [
            Question::Gatekeeper,
            Question::Terms {
                gatekeeper: gatekeeper.clone(),
                version: "1".to_owned(),
            },
            Question::LogOut {
                of: ruma::user_id!("@a:b.c").to_owned(),
                endings: vec![Ending {
                    login: LoginId(1),
                    gatekeeper: gatekeeper.clone(),
                }],
            },
            Question::Delete {
                portals: vec![PortalId(3)],
                leaves: vec![(LoginId(1), gatekeeper, ChatId::parse("1@g.us").unwrap())],
            },
            Question::DeleteAll {
                logins: vec![LoginId(1)],
            },
            Question::CleanUp {
                portals: vec![PortalId(3)],
                ghosts: vec![ruma::user_id!("@g:b.c").to_owned()],
            },
        ];
        for question in questions {
            let conversation = Conversation {
                question,
                prompt: "?".to_owned(),
                asked_by: "$1".to_owned(),
                answered: Some(("$2".to_owned(), Answer::Yes)),
            };
            let text = serde_json::to_string(&conversation).unwrap();
            let read: Conversation = serde_json::from_str(&text).unwrap();
            assert_eq!(read, conversation);
            assert_eq!(read.answer_of("$2"), Some(Answer::Yes));
            assert_eq!(read.answer_of("$1"), None);
        }
    }
}
