//! What is known of rooms: whether they are encrypted and how, and who in them has devices.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use matrix_sdk_crypto::{EncryptionSettings, store::types::RoomSettings};
use ruma::{RoomId, UserId};
use ruma_crypto::{
    OwnedRoomId, OwnedUserId,
    events::room::{encryption::RoomEncryptionEventContent, history_visibility::HistoryVisibility},
};

use super::{Inner, machine::EncryptionError};
use crate::matrix::{Intent, MatrixError};

/// The rooms something is known of.
#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<String, Room>>);

#[derive(Clone, Default)]
struct Room {
    rules: Known,
    /// Who gets its keys; `None` if that is not known.
    recipients: Option<Arc<Recipients>>,
    /// Counts what was seen of it, so that an answer that is older than a change is not kept.
    seen: u64,
    /// Whoever encrypts for it.
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// Whether a room is encrypted.
#[derive(Clone, Default)]
enum Known {
    #[default]
    Nothing,
    Plain,
    Encrypted(Arc<Rules>),
}

/// What its last message was encrypted for.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) prepared: Option<(Arc<Recipients>, u64, Instant)>,
}

/// How a room is encrypted.
pub(super) struct Rules {
    pub(super) rotation_period: Duration,
    pub(super) rotation_messages: u64,
}

/// Who gets a room's keys.
#[derive(PartialEq)]
pub(super) struct Recipients {
    pub(super) users: Vec<OwnedUserId>,
    pub(super) visibility: HistoryVisibility,
}

impl Recipients {
    /// As the library takes them.
    pub(super) fn borrowed(&self) -> Vec<&ruma_crypto::UserId> {
        self.users.iter().map(|user| &**user).collect()
    }
}

impl Rooms {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, room: &RoomId) -> Room {
        let mut rooms = self.all();
        rooms.entry(room.to_string()).or_default().clone()
    }

    /// Changes what is known of a room, unless something was seen of it since `seen`.
    fn learn(&self, room: &RoomId, seen: u64, change: impl FnOnce(&mut Room)) {
        let mut rooms = self.all();
        let room = rooms.entry(room.to_string()).or_default();
        if room.seen == seen {
            change(room);
        }
    }

    /// Forgets what a state event of a type may have changed.
    pub(super) fn saw(&self, room: &str, kind: &str) {
        let mut rooms = self.all();
        let Some(room) = rooms.get_mut(room) else {
            return;
        };
        match kind {
            "m.room.encryption" => room.rules = Known::Nothing,
            "m.room.member" | "m.room.history_visibility" => room.recipients = None,
            _ => return,
        }
        room.seen += 1;
    }

    /// The turns of a room.
    pub(super) fn turn(&self, room: &RoomId) -> Arc<tokio::sync::Mutex<Turn>> {
        self.get(room).turn
    }
}

impl Inner {
    /// How a room is encrypted; `None` if it is not. Once encrypted, always: that is kept.
    pub(super) async fn rules(
        &self,
        by: &Intent,
        room: &RoomId,
    ) -> Result<Option<Arc<Rules>>, EncryptionError> {
        let known = self.rooms.get(room);
        match known.rules {
            Known::Nothing => {}
            Known::Plain => return Ok(None),
            Known::Encrypted(rules) => return Ok(Some(rules)),
        }
        let id = crossed(room)?;
        let stored = self.machine.read().await.olm.room_settings(&id).await?;
        let settings = match stored {
            Some(settings) => Some(settings),
            None => self.ask_rules(by, room).await?,
        };
        let rules = settings.map(|settings| Arc::new(self.rules_of(&settings)));
        self.rooms.learn(room, known.seen, |room| {
            room.rules = rules.clone().map_or(Known::Plain, Known::Encrypted);
        });
        Ok(rules)
    }

    async fn ask_rules(
        &self,
        by: &Intent,
        room: &RoomId,
    ) -> Result<Option<RoomSettings>, EncryptionError> {
        let Some(content) = by.state(room, "m.room.encryption", "").await? else {
            return Ok(None);
        };
        // An event without an algorithm, as a redaction leaves it, encrypts nothing.
        if !content["algorithm"].is_string() {
            return Ok(None);
        }
        let content: RoomEncryptionEventContent = serde_json::from_value(content)
            .map_err(|error| MatrixError::Unreadable(error.to_string()))?;
        if content.algorithm.as_str() != "m.megolm.v1.aes-sha2" {
            return Err(MatrixError::Request(format!(
                "the room is encrypted with {}, which the bridge does not know",
                content.algorithm
            ))
            .into());
        }
        let settings = RoomSettings {
            algorithm: content.algorithm.as_str().into(),
            only_allow_trusted_devices: false,
            session_rotation_period: content
                .rotation_period_ms
                .map(|ms| Duration::from_millis(ms.into())),
            session_rotation_period_messages: content
                .rotation_period_msgs
                .and_then(|count| usize::try_from(u64::from(count)).ok()),
        };
        let id = crossed(room)?;
        let machine = self.machine.read().await;
        // Somebody else may have stored it meanwhile; what was stored first counts.
        if let Err(error) = machine.olm.set_room_settings(&id, &settings).await {
            tracing::debug!(room = %room, %error, "how a room is encrypted is known already");
        }
        Ok(Some(settings))
    }

    fn rules_of(&self, settings: &RoomSettings) -> Rules {
        let own = Duration::from_secs(self.config.rotate_after_hours * 3600);
        let messages = self.config.rotate_after_messages;
        let theirs = settings.session_rotation_period_messages;
        Rules {
            rotation_period: settings.session_rotation_period.map_or(own, |p| p.min(own)),
            rotation_messages: theirs.map_or(messages, |count| messages.min(count as u64)),
        }
    }

    /// Who gets a room's keys: everybody in it who may have devices, and who is invited if they may read what was said before.
    pub(super) async fn recipients(
        &self,
        by: &Intent,
        room: &RoomId,
    ) -> Result<Arc<Recipients>, EncryptionError> {
        let known = self.rooms.get(room);
        if let Some(recipients) = known.recipients {
            return Ok(recipients);
        }
        let visibility = by.state(room, "m.room.history_visibility", "").await?;
        let visibility = visibility
            .as_ref()
            .and_then(|content| content["history_visibility"].as_str())
            .map_or(HistoryVisibility::Shared, HistoryVisibility::from);
        let with_invited = visibility != HistoryVisibility::Joined;
        let mut users: Vec<OwnedUserId> = by
            .present(room)
            .await?
            .into_iter()
            .filter(|(user, joined)| (*joined || with_invited) && self.may_have_devices(user))
            .filter_map(|(user, _)| OwnedUserId::try_from(user.as_str()).ok())
            .collect();
        users.sort_unstable();
        let recipients = Arc::new(Recipients { users, visibility });
        self.rooms.learn(room, known.seen, |room| {
            room.recipients = Some(recipients.clone());
        });
        Ok(recipients)
    }

    /// Whether somebody is neither a ghost nor the bot.
    pub(super) fn may_have_devices(&self, user: &UserId) -> bool {
        user != self.client.bot_id() && self.naming.parse(user).is_none()
    }

    /// What the library needs to know to share a room's key.
    pub(super) fn settings(&self, rules: &Rules, recipients: &Recipients) -> EncryptionSettings {
        EncryptionSettings {
            rotation_period: rules.rotation_period,
            rotation_period_msgs: rules.rotation_messages,
            history_visibility: recipients.visibility.clone(),
            sharing_strategy: self.strategy(),
            ..EncryptionSettings::default()
        }
    }
}

/// A room's id as the library has it.
pub(super) fn crossed(room: &RoomId) -> Result<OwnedRoomId, MatrixError> {
    OwnedRoomId::try_from(room.as_str()).map_err(|error| MatrixError::Request(error.to_string()))
}
