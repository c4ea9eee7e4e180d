//! Power levels of a group's room: what the gatekeeper lets members and admins do, in Matrix's words.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Map, Value, json};

use super::{
    GroupView,
    sync::Sync,
    view::{Own, is_admin},
};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        routes::Route,
    },
    domain::{GatekeeperId, GroupFacts, GroupRole, RemoteUserId},
    store::{GroupMemberRow, Lane},
};

/// The power of a group's admins and of the user of a direct chat.
pub(in crate::bridge) const ADMIN: i64 = 50;
/// The power of an admin who is a Matrix user. It is more than that of ghosts, because Matrix lets nobody remove or demote an equal;
/// a group does, and decides itself what it lets them do.
pub(in crate::bridge) const OWN_ADMIN: i64 = 75;
/// What only the bridge's own account can do.
const BRIDGE: i64 = 100;
/// The state events that show what a group is.
const FACTS: [&str; 3] = ["m.room.name", "m.room.topic", "m.room.avatar"];
pub(super) const LEVELS: &str = "m.room.power_levels";

/// The power of somebody in a group, who is one of our logins or not; of nobody it is that of a member.
fn level(role: Option<GroupRole>, is_own: bool) -> i64 {
    match (is_admin(role), is_own) {
        (false, _) => 0,
        (true, false) => ADMIN,
        (true, true) => OWN_ADMIN,
    }
}

/// The power levels of a new room of a group, but for its users.
pub(in crate::bridge) fn new_levels(facts: &GroupFacts) -> Map<String, Value> {
    let mut content = json!({
        "users_default": 0, "state_default": ADMIN, "invite": ADMIN, "kick": ADMIN, "ban": ADMIN, "redact": ADMIN,
        "events": {
            LEVELS: ADMIN,
            "m.room.tombstone": BRIDGE, "m.room.server_acl": BRIDGE, "m.room.encryption": BRIDGE,
            "m.room.history_visibility": BRIDGE, "m.room.join_rules": BRIDGE, "m.room.canonical_alias": BRIDGE,
            // Where only admins may write, everybody may still react, and take that back.
            "m.reaction": 0, "m.room.redaction": 0,
        },
    });
    set_facts(&mut content, facts);
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

/// Brings what a group's members may do into the power levels of its room.
fn set_facts(content: &mut Value, facts: &GroupFacts) {
    content["events_default"] = json!(if facts.announce { ADMIN } else { 0 });
    let changes = if facts.locked { ADMIN } else { 0 };
    if !content["events"].is_object() {
        content["events"] = json!({});
    }
    for kind in FACTS {
        content["events"][kind] = json!(changes);
    }
}

/// Gives a user a level, and no entry where the level is what everybody has. More power than an admin's (`most`) that somebody gave
/// them stays.
fn set_user(content: &mut Value, user: &UserId, level: i64, most: i64) {
    if !content["users"].is_object() {
        content["users"] = json!({});
    }
    let default = content["users_default"].as_i64().unwrap_or(0);
    let Some(users) = content["users"].as_object_mut() else {
        return;
    };
    let now = users.get(user.as_str()).and_then(Value::as_i64);
    if now.is_some_and(|now| now > most) {
        return;
    }
    if level == default {
        users.remove(user.as_str());
    } else {
        users.insert(user.to_string(), level.into());
    }
}

/// Whether the room lets a user make this change of power levels.
fn may_change(old: &Value, new: &Value, user: &UserId) -> bool {
    let of = |content: &Value, user: &str| {
        let default = content["users_default"].as_i64().unwrap_or(0);
        content["users"][user].as_i64().unwrap_or(default)
    };
    let own = of(old, user.as_str());
    let needed = old["events"][LEVELS].as_i64();
    if own < needed.or(old["state_default"].as_i64()).unwrap_or(ADMIN) {
        return false;
    }
    let users = |content: &Value| content["users"].as_object().cloned().unwrap_or_default();
    let (before, after) = (users(old), users(new));
    let mut named = before.keys().chain(after.keys());
    named.all(|one| {
        let (was, is) = (of(old, one), of(new, one));
        // Those of one's own rank can be raised to, but not brought down from it.
        was == is || is <= own && (was < own || one == user.as_str())
    })
}

impl Bridge {
    /// The admins of a group as they are in its room, each with their power.
    pub(in crate::bridge) fn admins(
        &self,
        gatekeeper: &GatekeeperId,
        group: &GroupView,
    ) -> Vec<(OwnedUserId, i64)> {
        let admins = group.members.iter().filter(|one| is_admin(one.role));
        admins
            .map(|one| {
                let own = group.own.get(&one.user);
                let power = level(one.role, own.is_some());
                (self.in_room(gatekeeper, one, own), power)
            })
            .collect()
    }

    /// The Matrix user that is a member in the room: a login's own, or the ghost.
    pub(super) fn in_room(
        &self,
        gatekeeper: &GatekeeperId,
        member: &GroupMemberRow,
        own: Option<&Own>,
    ) -> OwnedUserId {
        match own {
            Some(own) => own.owner.clone(),
            None => self.naming.mxid(gatekeeper, &member.user),
        }
    }

    /// Shows who may do what, in at most one event.
    pub(super) async fn show_levels(&self, sync: &mut Sync) -> Result<(), BridgeError> {
        let facts = sync.group.facts();
        let mut shown = sync.group.shown_facts();
        let facts_differ = (shown.announce, shown.locked) != (facts.announce, facts.locked);
        let mut members = sync.group.members.iter();
        let roles_differ = members.any(|one| is_admin(one.role) != is_admin(one.shown));
        if !sync.group.portal.linked && (facts_differ || roles_differ) {
            let old = match self.bot().state(&sync.room_id, LEVELS, "").await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(room = %sync.room_id, %error, "the power levels of a room cannot be read");
                    None
                }
                Ok(content) => content,
            };
            if let Some(old) = old {
                let mut new = old.clone();
                set_facts(&mut new, &facts);
                for member in &sync.group.members {
                    let own = sync.group.own.get(&member.user);
                    let user = self.in_room(&sync.group.portal.key.gatekeeper, member, own);
                    let (role, is_own) = (member.role, own.is_some());
                    let most = if is_own { OWN_ADMIN } else { ADMIN };
                    set_user(&mut new, &user, level(role, is_own), most);
                }
                let by = |user: &UserId| may_change(&old, &new, user);
                if new != old {
                    let by_actor = sync.hands.as_ref().is_some_and(|one| by(one.user_id()));
                    self.state_by(sync, by_actor, LEVELS, "", &new).await?;
                }
            }
        }
        shown.announce = facts.announce;
        shown.locked = facts.locked;
        self.keep_facts(sync, shown).await?;
        self.keep_roles(sync).await
    }

    /// Notes that those who are in the room have the power of their roles.
    async fn keep_roles(&self, sync: &mut Sync) -> Result<(), BridgeError> {
        let mut changed = Vec::new();
        for member in &mut sync.group.members {
            if member.shown.is_some() && member.role.is_some() && member.shown != member.role {
                member.shown = member.role;
                changed.push((member.user.clone(), member.role));
            }
        }
        self.keep_shown(sync, changed).await
    }

    /// Lets a ghost write that is in the room and may not: only admins may by now, but what it says was said before.
    pub(in crate::bridge) async fn let_write(
        &self,
        room_id: &OwnedRoomId,
        ghost: &UserId,
    ) -> Result<(), BridgeError> {
        let Route::Portals(portals) = self.route(room_id).await? else {
            return Ok(());
        };
        if portals.iter().any(|portal| portal.portal.linked) {
            return Ok(());
        }
        let Some(old) = self.bot().state(room_id, LEVELS, "").await? else {
            return Ok(());
        };
        let needed = old["events_default"].as_i64().unwrap_or(0);
        let default = old["users_default"].as_i64().unwrap_or(0);
        let has = old["users"][ghost.as_str()].as_i64().unwrap_or(default);
        if has >= needed {
            return Ok(());
        }
        let mut new = old;
        set_user(&mut new, ghost, needed, ADMIN);
        Ok(self.bot().send_state(room_id, LEVELS, "", &new).await?)
    }

    /// Notes whom the room shows as what.
    pub(super) async fn keep_shown(
        &self,
        sync: &Sync,
        changed: Vec<(RemoteUserId, Option<GroupRole>)>,
    ) -> Result<(), BridgeError> {
        if changed.is_empty() {
            return Ok(());
        }
        let key = sync.group.portal.key.clone();
        self.db
            .step(Lane::room(&sync.group.portal.id.to_string()), move |txn| {
                let (key, changed) = (key.clone(), changed.clone());
                Box::pin(async move {
                    for (user, role) in &changed {
                        txn.set_member_shown(&key.gatekeeper, &key.chat, user, *role)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_new_room_lets_members_do_what_the_group_lets_them() {
        let open = new_levels(&GroupFacts::default());
        assert_eq!(open["events_default"], 0);
        assert_eq!(open["events"]["m.room.name"], 0);
        let closed = new_levels(&GroupFacts {
            announce: true,
            locked: true,
            ..GroupFacts::default()
        });
        assert_eq!(closed["events_default"], 50);
        assert_eq!(closed["events"]["m.reaction"], 0);
        for kind in FACTS {
            assert_eq!(closed["events"][kind], 50, "{kind}");
        }
    }

    #[test]
    fn admins_of_ours_are_above_ghosts() {
        let (admin, member) = (Some(GroupRole::Admin), Some(GroupRole::Member));
        assert!(level(admin, true) > level(admin, false));
        assert_eq!(level(member, true), level(member, false));
    }

    #[test]
    fn power_somebody_gave_by_hand_stays_and_nobody_is_listed_without_need() {
        let mut content = json!({ "users": { "@bot:x": 100, "@admin:x": 100, "@ghost:x": 50 } });
        set_user(&mut content, user_id!("@admin:x"), 0, OWN_ADMIN);
        set_user(&mut content, user_id!("@ghost:x"), 0, ADMIN);
        set_user(&mut content, user_id!("@new:x"), 50, ADMIN);
        let users = json!({ "@bot:x": 100, "@admin:x": 100, "@new:x": 50 });
        assert_eq!(content["users"], users);
    }

    #[test]
    fn an_admin_can_raise_others_but_not_bring_down_their_equals() {
        let levels = |users: Value| json!({ "users": users, "events": { LEVELS: 50 } });
        let old = levels(json!({ "@a:x": 50, "@b:x": 50 }));
        let a = user_id!("@a:x");
        let raised = levels(json!({ "@a:x": 50, "@b:x": 50, "@c:x": 50 }));
        assert!(may_change(&old, &raised, a));
        assert!(!may_change(&old, &raised, user_id!("@c:x")));
        assert!(!may_change(&old, &levels(json!({ "@a:x": 50 })), a));
        assert!(may_change(&old, &levels(json!({ "@b:x": 50 })), a));
        assert!(!may_change(
            &old,
            &levels(json!({ "@a:x": 50, "@b:x": 50, "@c:x": 60 })),
            a
        ));
    }
}
