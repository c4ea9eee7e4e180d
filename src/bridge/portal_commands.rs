//! Commands outside of management rooms: messages that begin with the prefix or address the bot, never carried, answered in a reply.

use ruma::{
    OwnedRoomId, RoomId, UserId,
    events::{
        AnyMessageLikeEvent, AnyTimelineEvent, MessageLikeEvent,
        room::message::{MessageType, OriginalRoomMessageEvent, Relation, RoomMessageEventContent},
    },
};
use serde_json::json;

use super::context::{Bridge, BridgeError, CommandContext, event_id};
use crate::{
    config::Level,
    matrix::{Client, MatrixError},
    store::Lane,
};

impl Bridge {
    /// Carries out what is written to the bot in a room that is no management room. Whether it was: then it is not to be carried to
    /// the other side, even if whoever wrote it may use no commands and gets no answer.
    pub(super) async fn take_prefixed(
        &self,
        room_id: &OwnedRoomId,
        parsed: &AnyTimelineEvent,
    ) -> Result<bool, BridgeError> {
        let Some(message) = said(parsed) else {
            return Ok(false);
        };
        let Some(body) = self.addressed(message) else {
            return Ok(false);
        };
        if self.level(&message.sender) < Level::User {
            return Ok(true);
        }
        let Some(commands) = self.commands.get() else {
            return Ok(true);
        };
        let answer = commands
            .answer(CommandContext {
                sender: message.sender.clone(),
                room_id: room_id.clone(),
                is_private: false,
                event_id: message.event_id.to_string(),
                body,
            })
            .await;
        let content = RoomMessageEventContent::notice_markdown(answer);
        let mut content = serde_json::to_value(&content).map_err(|error| {
            BridgeError::Inconsistent(format!("an answer cannot be written as JSON: {error}"))
        })?;
        content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": message.event_id } });
        content["m.mentions"] = json!({ "user_ids": [message.sender] });
        let txn_id = self.effect_id(&["answer", message.event_id.as_str()]);
        self.notify(room_id, &txn_id, &content).await?;
        Ok(true)
    }

    /// What is written to the bot, without what addresses it.
    fn addressed(&self, message: &OriginalRoomMessageEvent) -> Option<String> {
        let MessageType::Text(text) = &message.content.msgtype else {
            return None;
        };
        if let Some(rest) = self.after_prefix(&text.body) {
            return Some(rest.to_owned());
        }
        let bot = self.client.bot_id();
        if let Some(rest) = after_name(&text.body, bot.as_str()) {
            return Some(rest.to_owned());
        }
        let mentions = message.content.mentions.as_ref()?;
        if !mentions.user_ids.contains(bot) {
            return None;
        }
        [self.settings.bot_displayname.as_str(), bot.localpart()]
            .into_iter()
            .find_map(|name| after_name(&text.body, name))
            .map(str::to_owned)
    }

    /// What follows the prefix of commands in a text whose first word it is.
    pub(super) fn after_prefix<'a>(&self, body: &'a str) -> Option<&'a str> {
        let rest = body.strip_prefix(self.settings.command_prefix.as_str())?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| on_this_line(rest))
    }

    /// The homeserver.
    #[must_use]
    pub fn homeserver(&self) -> &Client {
        &self.client
    }

    /// Makes a room the management room of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn make_management_room(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<(), BridgeError> {
        let (mxid, room) = (user.to_string(), room_id.to_string());
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let (mxid, room) = (mxid.clone(), room.clone());
                Box::pin(async move { txn.set_management_room(&mxid, Some(&room)).await })
            })
            .await?;
        self.forget_management(user);
        Ok(())
    }

    /// Takes a message with a secret out of a room. Whether the room let it.
    ///
    /// # Errors
    /// What the homeserver said, if trying again may help.
    pub async fn hide_message(&self, room_id: &RoomId, message: &str) -> Result<bool, BridgeError> {
        let Some(about) = event_id(message) else {
            return Ok(false);
        };
        let txn_id = self.effect_id(&["redact", message]);
        let content = json!({ "reason": "it holds a secret" });
        let hidden = self.bot().redact(room_id, &about, &txn_id, &content).await;
        match hidden {
            Ok(_) => Ok(true),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(room = %room_id, %error, "a message with a secret could not be taken out of a room");
                Ok(false)
            }
        }
    }

    /// Whether the bot can still do something in a room.
    ///
    /// # Errors
    /// What the homeserver said, if it cannot be told now.
    pub async fn is_in(&self, room_id: &RoomId) -> Result<bool, MatrixError> {
        match self.bot().state(room_id, "m.room.create", "").await {
            Ok(create) => Ok(create.is_some()),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// A message that is neither a change of another one nor gone.
fn said(parsed: &AnyTimelineEvent) -> Option<&OriginalRoomMessageEvent> {
    match parsed {
        AnyTimelineEvent::MessageLike(AnyMessageLikeEvent::RoomMessage(
            MessageLikeEvent::Original(message),
        )) if !matches!(message.content.relates_to, Some(Relation::Replacement(_))) => {
            Some(message)
        }
        _ => None,
    }
}

/// What follows a name with which a text begins, and the mark behind it.
fn after_name<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let start = body.get(..name.len())?;
    if name.is_empty() || !start.eq_ignore_ascii_case(name) {
        return None;
    }
    let rest = &body[name.len()..];
    let behind = rest.trim_start_matches([':', ',']);
    (rest.is_empty() || behind.len() < rest.len() || rest.starts_with(char::is_whitespace))
        .then(|| on_this_line(behind))
}

/// The text without the blanks before it; what begins on another line is not in the first.
fn on_this_line(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_addresses_the_bot_only_as_a_whole() {
        assert_eq!(after_name("drawbridge: help", "drawbridge"), Some("help"));
        assert_eq!(after_name("Drawbridge help", "drawbridge"), Some("help"));
        assert_eq!(after_name("drawbridge", "drawbridge"), Some(""));
        assert_eq!(after_name("drawbridges are old", "drawbridge"), None);
        assert_eq!(after_name("ünd", "drawbridge"), None);
        assert_eq!(after_name("x", ""), None);
    }

    #[test]
    fn a_command_is_on_the_first_line() {
        assert_eq!(after_name("bot:\nlogout", "bot"), Some("\nlogout"));
    }
}
