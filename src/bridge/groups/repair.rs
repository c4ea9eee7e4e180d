//! Repairing the room of a portal: what it shows is looked up in the room itself, and what is wrong is set right.

use ruma::OwnedRoomId;
use serde_json::Value;

use super::{
    GroupView,
    power::{ADMIN, LEVELS},
    view::is_admin,
};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        rooms::open_room,
    },
    domain::{GroupFacts, GroupRole, PortalId},
    store::{GroupShown, Lane},
};

/// What a room says of a group in its own state.
struct Said {
    facts: GroupFacts,
    avatar: Option<String>,
    levels: Value,
}

impl Bridge {
    /// Fetches what a portal mirrors anew, and repairs its room.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn sync_portal(&self, portal: PortalId) -> Result<(), BridgeError> {
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.portal_by_id(portal).await }))
            .await?;
        let row =
            row.ok_or_else(|| BridgeError::Inconsistent(format!("portal {portal} is gone")))?;
        if let Some(login) = row.key.login {
            let open = self.open_portal(login, &row.key.chat).await?;
            return self.repair_direct(&open).await;
        }
        let login = self.view_group(portal).await?.login.ok_or_else(|| {
            BridgeError::Inconsistent("nobody who is logged in here is in this group".to_owned())
        })?;
        self.fetch_group(login, &row.key).await?;
        let open = self.open_portal(login, &row.key.chat).await?;
        self.look_up_shown(portal, &open_room(&open)?).await?;
        self.sync_group(&open, None).await
    }

    /// Stores what a room really shows.
    async fn look_up_shown(
        &self,
        portal: PortalId,
        room_id: &OwnedRoomId,
    ) -> Result<(), BridgeError> {
        let inside = self.bot().members(room_id).await?;
        let alone = self.groups.alone(portal);
        let _alone = alone.lock().await;
        let group = self.view_group(portal).await?;
        let said = self.said_of(room_id, &group).await?;
        let key = group.portal.key.clone();
        let mut changed = Vec::new();
        for member in &group.members {
            let own = group.own.get(&member.user);
            let user = self.in_room(&key.gatekeeper, member, own);
            let has_power = said.levels["users"][user.as_str()].as_i64() >= Some(ADMIN);
            let shown = match (inside.contains(&user), has_power) {
                (false, _) => None,
                (true, as_it_is) if as_it_is == is_admin(member.role) => {
                    member.role.or(Some(GroupRole::Member))
                }
                (true, true) => Some(GroupRole::Admin),
                (true, false) => Some(GroupRole::Member),
            };
            if shown != member.shown {
                changed.push((member.user.clone(), shown));
            }
        }
        // Ghosts nobody knows of any more have no row to be taken out by. In a linked room they may be another chat's.
        let strangers = inside.iter().filter(|user| {
            !group.portal.linked
                && self.naming.parse(user).is_some_and(|(gatekeeper, remote)| {
                    gatekeeper == key.gatekeeper
                        && !group.members.iter().any(|one| one.user == remote)
                })
        });
        for ghost in strangers {
            if let Err(error) = self.client.ghost(ghost).leave(room_id).await {
                tracing::debug!(room = %room_id, %error, "a ghost that does not belong here could not leave");
            }
        }
        let shown = GroupShown {
            facts: Some(said.facts),
            avatar: said.avatar,
        };
        self.db
            .step(Lane::room(&portal.to_string()), move |txn| {
                let (key, changed, shown) = (key.clone(), changed.clone(), shown.clone());
                Box::pin(async move {
                    let (gatekeeper, chat) = (&key.gatekeeper, &key.chat);
                    txn.set_group_shown(gatekeeper, chat, &shown).await?;
                    for (user, role) in &changed {
                        txn.set_member_shown(gatekeeper, chat, user, *role).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    async fn said_of(&self, room_id: &OwnedRoomId, group: &GroupView) -> Result<Said, BridgeError> {
        let bot = self.bot();
        let says = async |kind: &str, field: &str| {
            let content = bot.state(room_id, kind, "").await?;
            let text = content.and_then(|content| content[field].as_str().map(str::to_owned));
            Ok::<_, BridgeError>(text.filter(|text| !text.is_empty()))
        };
        let subject = says("m.room.name", "name").await?.unwrap_or_default();
        let description = says("m.room.topic", "topic").await?;
        let avatar = says("m.room.avatar", "url").await?;
        let levels = bot.state(room_id, LEVELS, "").await?.unwrap_or_default();
        let needs = |level: &Value| level.as_i64().unwrap_or(0) >= ADMIN;
        let known = group.row.as_ref().map(|row| &row.shown);
        let is_known = known.is_some_and(|shown| shown.avatar == avatar);
        let picture = known
            .filter(|_| is_known)
            .and_then(|shown| shown.facts.as_ref()?.picture.clone());
        Ok(Said {
            facts: GroupFacts {
                subject,
                description,
                picture,
                announce: needs(&levels["events_default"]),
                locked: needs(&levels["events"]["m.room.name"]),
            },
            avatar,
            levels,
        })
    }
}
