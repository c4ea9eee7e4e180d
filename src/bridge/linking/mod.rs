//! Linking rooms: a room somebody made is connected to a chat, one that is connected is let go, and a login speaks for those who
//! have none.
//!
//! Who may do so: whoever has the power to set `m.bridge` in the room, which is the power of its settings where the room says nothing
//! else; nobody's level at the bridge stands in for that when a room is linked. A room may be linked to several chats, but to each
//! only once, and not where another bridge to the same service is: two of them would repeat each other without end. Bridges to other
//! services may stay.
//!
//! Invariants: ghosts are in a room before the store says that it is linked, so no message finds half of a link; who is to leave a
//! room is stored with the change that makes them leave, so nobody stays behind after a crash; nothing is done to a linked room but
//! bringing in and taking out our own accounts and saying which chat it shows.

mod checks;
mod entering;
mod groups;
mod info;
mod leaving;
mod link;
mod unlink;

use ruma::{OwnedRoomId, RoomId, UserId};

use super::context::{Bridge, BridgeError};
use crate::{
    config::Level,
    domain::LoginId,
    matrix::{MatrixError, Power},
    network::NetworkError,
    store::{Lane, LoginRow, LoginState, PortalRow, StoreError},
};

pub(super) use leaving::Leaving;

/// The state whose power decides who may link a room.
const LINK_STATE: &str = "m.bridge";
/// How many of those who have a power are named.
const NAMED: usize = 3;

/// Why a room is not linked or let go, as a sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// They may not use the bridge.
    #[error(
        "you may not use this bridge; ask whoever runs it for the level `user` in `bridge.permissions`"
    )]
    NotAllowed,
    /// The login is not theirs.
    #[error("that is no login of yours; write `list-logins` to see those you have")]
    NoLogin,
    /// The bot is not in the room.
    #[error("I am not in that room and cannot enter it; invite {bot} there first ({why})")]
    NotInRoom {
        /// The bot.
        bot: String,
        /// What the homeserver said.
        why: String,
    },
    /// Somebody has not the power.
    #[error(
        "{who} the power {needed} in that room {what} and {has}; ask {holders} to give it or to do it"
    )]
    Power {
        /// Who would need it, with the verb.
        who: String,
        /// How much is needed.
        needed: i64,
        /// For what.
        what: &'static str,
        /// How much there is, in words.
        has: String,
        /// Who could help.
        holders: String,
    },
    /// The chat does not exist, or not for this login.
    #[error("there is no such chat: {0}; write a phone number, or the id that `search` shows")]
    NoSuchChat(String),
    /// The room shows this chat already.
    #[error("this room is linked to that chat already; there is nothing to do")]
    LinkedHere,
    /// The chat has another room.
    #[error("that chat is linked to {0} already; write `unbridge` there first")]
    LinkedElsewhere(String),
    /// The room is somebody's management room.
    #[error("this is a management room, which no chat can be linked to; make another room")]
    Management,
    /// Another bridge is there.
    #[error(
        "another bridge connects that room to {0} already, and both would repeat each other without end; remove it first"
    )]
    OtherBridge(String),
    /// The room is linked to nothing, or not to that.
    #[error(
        "this room is not linked to that; write `bridge` and a phone number or group to link it"
    )]
    NotLinked,
    /// There are no relays here.
    #[error("relays are off at this bridge; ask whoever runs it to set `relay.enabled`")]
    RelaysOff,
    /// Only admins set relays here.
    #[error("only admins of this bridge set a relay; ask one of them (`relay.admins_only`)")]
    AdminsOnly,
    /// The login is in none of the room's chats.
    #[error("that login is in none of the chats this room is linked to")]
    NotInChat,
    /// The people of the chat cannot enter.
    #[error("the room lets nobody of that chat in: {0}; give the bot the power to invite")]
    Closed(String),
    /// A group cannot be made.
    #[error("no group was made: {0}")]
    NoGroup(String),
    /// Something else happened to the chat meanwhile.
    #[error("that chat was given another room just now; try again")]
    Changed,
    /// The gatekeeper failed or refused.
    #[error("{0}")]
    Network(#[from] NetworkError),
    /// Something failed.
    #[error("{0}; try again in a minute")]
    Bridge(#[from] BridgeError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::Bridge(error.into())
    }
}

impl From<MatrixError> for LinkError {
    fn from(error: MatrixError) -> Self {
        Self::Bridge(error.into())
    }
}

/// That somebody has not enough power, if so.
fn lacks(
    power: &Power,
    user: &UserId,
    who: &str,
    needed: i64,
    what: &'static str,
) -> Result<(), LinkError> {
    let has = power.of(user);
    if has >= needed {
        return Ok(());
    }
    let holders = power.holders(needed.max(power.to_set("m.room.power_levels")));
    let mut named: Vec<&str> = holders.iter().map(String::as_str).collect();
    named.retain(|holder| *holder != user.as_str());
    named.truncate(NAMED);
    let holders = if named.is_empty() {
        "whoever made the room".to_owned()
    } else {
        named.join(" or ")
    };
    Err(LinkError::Power {
        who: who.to_owned(),
        needed,
        what,
        has: format!("only {has} is there"),
        holders,
    })
}

/// The same for whoever wants to link a room or to let it go.
fn check_user(power: &Power, user: &UserId) -> Result<(), LinkError> {
    let needed = power.to_set(LINK_STATE);
    lacks(power, user, "you need", needed, "to link it (`m.bridge`)")
}

impl Bridge {
    /// The portals of a room, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn portals_in(&self, room_id: &RoomId) -> Result<Vec<PortalRow>, BridgeError> {
        let room = room_id.to_string();
        Ok(self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move { txn.portals_in(&room).await })
            })
            .await?)
    }

    /// Lets a login speak in a room for Matrix users who have none, in those of its chats the login is in; `None` ends that.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub async fn set_relay(
        &self,
        by: &UserId,
        room_id: &RoomId,
        login: Option<LoginId>,
    ) -> Result<(), LinkError> {
        self.check_level(by)?;
        let rules = &self.settings.relay.rules;
        if login.is_some() && !rules.enabled {
            return Err(LinkError::RelaysOff);
        }
        if login.is_some() && rules.admins_only && self.level(by) < Level::Admin {
            return Err(LinkError::AdminsOnly);
        }
        let portals = self.portals_in(room_id).await?;
        if portals.is_empty() {
            return Err(LinkError::NotLinked);
        }
        let wanted = match login {
            Some(login) => Some(self.own_login(by, login).await?.id),
            None => None,
        };
        // Whose login speaks may always silence it.
        let is_theirs = wanted.is_none() && self.relays_belong_to(by, &portals).await?;
        if !is_theirs && self.level(by) < Level::Admin {
            let power = self.power_in(room_id).await?;
            let needed = power.to_set(LINK_STATE);
            lacks(
                &power,
                by,
                "you need",
                needed,
                "to set a relay (`m.bridge`)",
            )?;
        }
        let mut changed = Vec::new();
        for portal in &portals {
            if wanted.is_none()
                || self
                    .logins_of_portal(portal)
                    .await?
                    .iter()
                    .any(|row| Some(row.id) == wanted)
            {
                changed.push(portal.id);
            }
        }
        if changed.is_empty() {
            return Err(LinkError::NotInChat);
        }
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let changed = changed.clone();
                Box::pin(async move {
                    for id in changed {
                        txn.set_portal_relay(id, wanted).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        for portal in &portals {
            self.forget_portal(portal).await?;
        }
        Ok(())
    }

    async fn relays_belong_to(
        &self,
        user: &UserId,
        portals: &[PortalRow],
    ) -> Result<bool, BridgeError> {
        let mut any = false;
        for login in portals.iter().filter_map(|portal| portal.relay) {
            any = true;
            let row = self.login_if_any(login).await?;
            if row.is_some_and(|row| row.mxid != user.as_str()) {
                return Ok(false);
            }
        }
        Ok(any)
    }

    /// That somebody may use the bridge.
    fn check_level(&self, user: &UserId) -> Result<(), LinkError> {
        if self.level(user) < Level::User {
            return Err(LinkError::NotAllowed);
        }
        Ok(())
    }

    /// A login of a user's own that is not logged out.
    async fn own_login(&self, user: &UserId, login: LoginId) -> Result<LoginRow, LinkError> {
        let row = self.login_if_any(login).await?;
        row.filter(|row| row.mxid == user.as_str() && row.state != LoginState::LoggedOut)
            .ok_or(LinkError::NoLogin)
    }

    async fn login_if_any(&self, login: LoginId) -> Result<Option<LoginRow>, BridgeError> {
        Ok(self
            .db
            .read(move |txn| Box::pin(async move { txn.login(login).await }))
            .await?)
    }

    /// The logins that are in the chat of a portal.
    pub(super) async fn logins_of_portal(
        &self,
        portal: &PortalRow,
    ) -> Result<Vec<LoginRow>, BridgeError> {
        let portal = portal.clone();
        Ok(self
            .db
            .read(move |txn| {
                let portal = portal.clone();
                Box::pin(async move { super::routes::logins_in(txn, &portal).await })
            })
            .await?)
    }

    /// Who may do what in a room, as the bot sees it.
    async fn power_in(&self, room_id: &RoomId) -> Result<Power, LinkError> {
        match self.bot().power(room_id).await {
            Ok(power) => Ok(power),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => Err(LinkError::NotInRoom {
                bot: self.client.bot_id().to_string(),
                why: error.to_string(),
            }),
        }
    }

    /// Forgets what was remembered of a portal and its room.
    pub(super) async fn forget_portal(&self, portal: &PortalRow) -> Result<(), BridgeError> {
        let room = room_of(portal);
        let chat = portal.key.chat.clone();
        let logins = self.logins_of_portal(portal).await?;
        self.forget_route(room.as_ref(), None);
        for login in logins {
            self.forget_route(None, Some(&(login.id, chat.clone())));
        }
        Ok(())
    }
}

/// The room of a portal, if it has one.
pub(super) fn room_of(portal: &PortalRow) -> Option<OwnedRoomId> {
    OwnedRoomId::try_from(portal.room_id.as_deref()?).ok()
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn who_lacks_power_is_told_how_much_and_whom_to_ask() {
        let create = json!({ "room_version": "10", "creator": "@maker:x" });
        let levels = json!({
            "users": { "@maker:x": 100, "@mod:x": 50, "@bot:x": 100 }, "events": { "m.bridge": 60 },
        });
        let power = Power::read(&create, Some(levels));
        assert!(check_user(&power, user_id!("@maker:x")).is_ok());
        let error = check_user(&power, user_id!("@mod:x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "you need the power 60 in that room to link it (`m.bridge`) and only 50 is there; \
             ask @bot:x or @maker:x to give it or to do it"
        );
    }
}
