//! Management rooms: commands and their answers.

use ruma::{
    OwnedRoomId, UserId,
    events::{
        AnyMessageLikeEvent, AnyTimelineEvent, MessageLikeEvent,
        room::{
            member::MembershipState,
            message::{MessageType, RoomMessageEventContent},
        },
    },
};

use super::{
    context::{Bridge, BridgeError, CommandContext},
    invites::member_change,
};
use crate::store::Lane;

impl Bridge {
    /// Carries out what its owner writes in a management room.
    pub(super) async fn take_command(
        &self,
        room_id: &OwnedRoomId,
        owner: &UserId,
        parsed: &AnyTimelineEvent,
    ) -> Result<(), BridgeError> {
        if self.leave_with_owner(room_id, owner, parsed).await? {
            return Ok(());
        }
        match self.take_tombstone(room_id, parsed).await {
            Err(error) if !error.is_transient() => {
                tracing::warn!(room = %room_id, %error, "a management room is not followed into another one");
                return Ok(());
            }
            Ok(false) => {}
            other => return other.map(drop),
        }
        if parsed.sender() != owner {
            return Ok(());
        }
        let Some(body) = command_body(parsed) else {
            return Ok(());
        };
        let Some(commands) = self.commands.get() else {
            return Ok(());
        };
        // Whoever is used to the prefix may write it here, too.
        let body = match self.after_prefix(&body) {
            Some(rest) => rest.to_owned(),
            None => body,
        };
        let answer = commands
            .answer(CommandContext {
                sender: parsed.sender().to_owned(),
                room_id: room_id.clone(),
                is_private: true,
                event_id: parsed.event_id().to_string(),
                body,
            })
            .await;
        let txn_id = self.effect_id(&["answer", parsed.event_id().as_str()]);
        self.say(room_id, &txn_id, &answer).await
    }

    /// When its user leaves a management room, the bot leaves too and the room is forgotten.
    async fn leave_with_owner(
        &self,
        room_id: &OwnedRoomId,
        owner: &UserId,
        event: &AnyTimelineEvent,
    ) -> Result<bool, BridgeError> {
        let Some(change) = member_change(event) else {
            return Ok(false);
        };
        if change.membership != MembershipState::Leave || change.of != owner {
            return Ok(true);
        }
        let mxid = change.of.to_string();
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.set_management_room(&mxid, None).await })
            })
            .await?;
        self.forget_route(Some(room_id), None);
        self.decline(room_id, self.client.bot_id()).await?;
        Ok(true)
    }

    /// Says something as the bot, in Markdown.
    ///
    /// # Errors
    /// What the homeserver said, if trying again may help.
    pub async fn say(
        &self,
        room_id: &OwnedRoomId,
        txn_id: &str,
        markdown: &str,
    ) -> Result<(), BridgeError> {
        let content = RoomMessageEventContent::notice_markdown(markdown);
        let content = serde_json::to_value(&content).map_err(|error| {
            BridgeError::Inconsistent(format!("an answer cannot be written as JSON: {error}"))
        })?;
        match self
            .bot()
            .send(room_id, "m.room.message", txn_id, &content, None)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(room = %room_id, %error, "an answer could not be given");
                Ok(())
            }
        }
    }
}

/// What a message in a management room says, if it is one.
fn command_body(parsed: &AnyTimelineEvent) -> Option<String> {
    let AnyTimelineEvent::MessageLike(event) = parsed else {
        return None;
    };
    match event {
        AnyMessageLikeEvent::RoomMessage(MessageLikeEvent::Original(message)) => {
            match &message.content.msgtype {
                MessageType::Text(text) => Some(text.body.clone()),
                _ => None,
            }
        }
        // Said as if asked for help, so that the answer can say why nothing else works.
        AnyMessageLikeEvent::RoomEncrypted(MessageLikeEvent::Original(_)) => {
            Some("encrypted".to_owned())
        }
        _ => None,
    }
}
