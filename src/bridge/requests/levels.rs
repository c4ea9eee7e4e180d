//! Who may do what: ghosts above and below the power of an admin, who may write, and who may change what the group is.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value, json};

use super::{Truth, Wish, taken_back};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        groups::{ADMIN, OWN_ADMIN},
    },
    domain::{GroupChange, GroupRole, LoginId, RemoteUserId},
    store::Lane,
};

/// The state that shows what a group is. The level of the first says who may change it.
const FACTS: [&str; 3] = ["m.room.name", "m.room.topic", "m.room.avatar"];

/// What new levels ask of a group.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    promote: Vec<RemoteUserId>,
    demote: Vec<RemoteUserId>,
    announce: Option<bool>,
    locked: Option<bool>,
}

/// What the levels say of a user.
fn level_of(levels: &Value, user: &UserId) -> i64 {
    levels["users"][user.as_str()]
        .as_i64()
        .or_else(|| levels["users_default"].as_i64())
        .unwrap_or(0)
}

/// Whether only admins may write.
fn announces(levels: &Value) -> bool {
    let level = levels["events"]["m.room.message"]
        .as_i64()
        .or_else(|| levels["events_default"].as_i64());
    level.unwrap_or(0) >= ADMIN
}

/// Whether only admins may change what the group is; `None` where the levels do not say.
fn locks(levels: &Value) -> Option<bool> {
    let level = levels["events"][FACTS[0]].as_i64()?;
    Some(level >= ADMIN)
}

/// What new levels ask of a group: only where they differ from what the room showed and from what is true, and are not over `now`.
fn asked(
    levels: &Value,
    now: &Value,
    truth: &Truth,
    in_room: impl Fn(&RemoteUserId) -> (OwnedUserId, i64),
) -> Asked {
    let is_admin = |role: Option<GroupRole>| role.is_some_and(|role| role > GroupRole::Member);
    let mut asked = Asked::default();
    for member in &truth.members {
        if member.role.is_none() || member.shown.is_none() {
            continue;
        }
        let user = in_room(&member.user).0;
        let wanted = level_of(levels, &user) >= ADMIN;
        let is_over = (level_of(now, &user) >= ADMIN) != wanted;
        if is_over || wanted == is_admin(member.shown) || wanted == is_admin(member.role) {
            continue;
        }
        if wanted {
            asked.promote.push(member.user.clone());
        } else {
            asked.demote.push(member.user.clone());
        }
    }
    if let Some(group) = &truth.group
        && let Some(shown) = &group.shown.facts
    {
        let wanted = announces(levels);
        let is_new = wanted != shown.announce && wanted != group.facts.announce;
        asked.announce = (is_new && announces(now) == wanted).then_some(wanted);
        asked.locked = locks(levels)
            .filter(|wanted| *wanted != shown.locked && *wanted != group.facts.locked)
            .filter(|wanted| locks(now) == Some(*wanted));
    }
    asked
}

impl Bridge {
    /// Takes new power levels.
    pub(super) async fn take_levels(
        &self,
        wish: &Wish<'_>,
        levels: &Value,
    ) -> Result<(), BridgeError> {
        let truth = self.truth(wish.route).await?;
        let now = self
            .state_now(wish.room_id, "m.room.power_levels", "")
            .await?;
        let now = now.as_ref().unwrap_or(levels);
        let mut asked = asked(levels, now, &truth, |user| self.admin_in_room(wish, user));
        if asked == Asked::default() {
            return Ok(());
        }
        // A homeserver that moves a room elsewhere silences the old one, and that is meant for nobody.
        if asked.announce.is_some() && self.is_moving(wish.room_id).await? {
            asked.announce = None;
        }
        let login = match self.asking_as(wish, false) {
            Ok(login) => login,
            Err(why) => {
                let done = self.level_again(wish, &truth).await?;
                return self.explain(wish, &why, taken_back(done)).await;
            }
        };
        let mut refusals = Vec::new();
        let roles = [
            (asked.promote, GroupRole::Admin),
            (asked.demote, GroupRole::Member),
        ];
        for (users, role) in roles {
            if !users.is_empty() {
                refusals.extend(self.give_roles(wish, login, users, role).await?);
            }
        }
        let switches = [
            asked.announce.map(GroupChange::Announce),
            asked.locked.map(GroupChange::Locked),
        ];
        for change in switches.into_iter().flatten() {
            match self.ask(wish, login, &change).await? {
                Ok(_) => self.store_switch(wish, change).await?,
                Err(why) => refusals.push(why),
            }
        }
        let Some(why) = refusals.first() else {
            return Ok(());
        };
        let truth = self.fresh_truth(wish.route, login).await?;
        let done = self.level_again(wish, &truth).await?;
        self.explain(wish, why, taken_back(done)).await
    }

    /// Who a member is in the room, and the power they have there as an admin.
    fn admin_in_room(&self, wish: &Wish<'_>, user: &RemoteUserId) -> (OwnedUserId, i64) {
        if let Some(login) = wish.route.login_called(user) {
            return (login.owner.clone(), OWN_ADMIN);
        }
        let gatekeeper = &wish.route.portal.key.gatekeeper;
        (self.naming.mxid(gatekeeper, user), ADMIN)
    }

    /// Asks for a role for some members; why not, for those who did not get it.
    async fn give_roles(
        &self,
        wish: &Wish<'_>,
        login: LoginId,
        users: Vec<RemoteUserId>,
        role: GroupRole,
    ) -> Result<Vec<String>, BridgeError> {
        let change = match role {
            GroupRole::Member => GroupChange::Demote(users.clone()),
            GroupRole::Admin | GroupRole::Owner => GroupChange::Promote(users.clone()),
        };
        let refused = match self.ask(wish, login, &change).await? {
            Ok(refused) => refused,
            Err(why) => return Ok(vec![why]),
        };
        let taken = users
            .into_iter()
            .filter(|user| !refused.iter().any(|(other, _)| other == user))
            .collect();
        self.store_roles(wish, taken, role).await?;
        Ok(refused.into_iter().map(|(_, why)| why).collect())
    }

    async fn store_roles(
        &self,
        wish: &Wish<'_>,
        users: Vec<RemoteUserId>,
        role: GroupRole,
    ) -> Result<(), BridgeError> {
        let key = wish.route.portal.key.clone();
        self.db
            .step(Lane::room(wish.room_id.as_str()), move |txn| {
                let (key, users) = (key.clone(), users.clone());
                Box::pin(async move {
                    for user in &users {
                        txn.set_group_role(&key.gatekeeper, &key.chat, user, Some(role))
                            .await?;
                        txn.set_member_shown(&key.gatekeeper, &key.chat, user, Some(role))
                            .await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    async fn store_switch(&self, wish: &Wish<'_>, change: GroupChange) -> Result<(), BridgeError> {
        self.change_facts(wish, move |facts| match change {
            GroupChange::Announce(announce) => facts.announce = announce,
            GroupChange::Locked(locked) => facts.locked = locked,
            _ => {}
        })
        .await
    }

    /// Gives the room the levels of what is true: members theirs, and who may write. Everybody else's stay.
    async fn level_again(&self, wish: &Wish<'_>, truth: &Truth) -> Result<bool, BridgeError> {
        let levels = match self
            .bot()
            .state(wish.room_id, "m.room.power_levels", "")
            .await
        {
            Ok(levels) => levels,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        let before = levels.unwrap_or_else(|| json!({}));
        let after = levelled(&before, truth, |user| self.admin_in_room(wish, user));
        if after == before {
            return Ok(true);
        }
        self.put_back(wish.room_id, "m.room.power_levels", &after)
            .await
    }

    /// Whether a room says that it goes on in another one.
    async fn is_moving(&self, room_id: &OwnedRoomId) -> Result<bool, BridgeError> {
        match self.bot().state(room_id, "m.room.tombstone", "").await {
            Ok(tombstone) => {
                Ok(tombstone.is_some_and(|content| content["replacement_room"].is_string()))
            }
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }
}

/// The levels with those of members, and of messages, as they are true.
fn levelled(
    levels: &Value,
    truth: &Truth,
    in_room: impl Fn(&RemoteUserId) -> (OwnedUserId, i64),
) -> Value {
    let mut levels = levels.clone();
    for member in &truth.members {
        let Some(role) = member.role else {
            continue;
        };
        let is_admin = role > GroupRole::Member;
        let (user, power) = in_room(&member.user);
        if (level_of(&levels, &user) >= ADMIN) != is_admin {
            levels["users"][user.as_str()] = json!(if is_admin { power } else { 0 });
        }
    }
    if let Some(group) = &truth.group
        && announces(&levels) != group.facts.announce
    {
        let level = if group.facts.announce { ADMIN } else { 0 };
        levels["events_default"] = json!(level);
        if let Some(events) = levels.get_mut("events").and_then(Value::as_object_mut) {
            events.remove("m.room.message");
        }
    }
    if let Some(group) = &truth.group
        && locks(&levels).is_some_and(|locked| locked != group.facts.locked)
    {
        for kind in FACTS {
            levels["events"][kind] = json!(if group.facts.locked { ADMIN } else { 0 });
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ChatId, GatekeeperId, GroupFacts},
        matrix::GhostNaming,
        store::{GroupMemberRow, GroupRow, GroupShown},
    };

    fn ghost_named(user: &RemoteUserId) -> OwnedUserId {
        let naming = GhostNaming::new("_drawbridge_", "example.org");
        naming.mxid(&GatekeeperId::parse("whatsapp").unwrap(), user)
    }

    fn user(name: &str) -> RemoteUserId {
        RemoteUserId::parse(format!("{name}@s.whatsapp.net")).unwrap()
    }

    fn member(name: &str, role: Option<GroupRole>, shown: Option<GroupRole>) -> GroupMemberRow {
        GroupMemberRow {
            user: user(name),
            role,
            shown,
        }
    }

    fn truth(members: Vec<GroupMemberRow>) -> Truth {
        let facts = GroupFacts::default();
        Truth {
            group: Some(GroupRow {
                gatekeeper: GatekeeperId::parse("whatsapp").unwrap(),
                chat: ChatId::parse("1-2@g.us").unwrap(),
                facts: facts.clone(),
                shown: GroupShown {
                    facts: Some(facts),
                    avatar: None,
                },
            }),
            members,
        }
    }

    fn asked_by(levels: &Value, truth: &Truth) -> Asked {
        asked(levels, levels, truth, |user| (ghost_named(user), ADMIN))
    }

    #[test]
    fn only_a_power_that_crosses_fifty_is_asked() {
        let (plain, admin) = (Some(GroupRole::Member), Some(GroupRole::Admin));
        let truth = truth(vec![
            member("1", plain, plain),
            member("2", admin, admin),
            member("3", plain, plain),
            // Promoted there, and the room does not show it yet: nothing of that is anybody's wish here.
            member("4", admin, plain),
            // Not in the room, and gone.
            member("5", admin, None),
            member("6", None, admin),
        ]);
        let levels = json!({ "users": {
            ghost_named(&user("1")): 75,
            ghost_named(&user("2")): 49,
            ghost_named(&user("3")): 49,
        } });
        let expected = Asked {
            promote: vec![user("1")],
            demote: vec![user("2")],
            announce: None,
            locked: None,
        };
        assert_eq!(asked_by(&levels, &truth), expected);
    }

    #[test]
    fn what_is_over_by_now_is_not_asked() {
        let plain = Some(GroupRole::Member);
        let truth = truth(vec![member("1", plain, plain), member("2", plain, plain)]);
        let levels = |users: &[&str]| {
            let users = users.iter().map(|name| ghost_named(&user(name)));
            let users: serde_json::Map<_, _> = users.map(|one| (one.into(), json!(50))).collect();
            json!({ "users": users, "events_default": 50 })
        };
        let mut now = levels(&["2"]);
        now["events_default"] = json!(0);
        let asked = asked(&levels(&["1", "2"]), &now, &truth, |user| {
            (ghost_named(user), ADMIN)
        });
        let expected = Asked {
            promote: vec![user("2")],
            ..Asked::default()
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn who_may_write_is_asked_once() {
        let mut truth = truth(Vec::new());
        let levels = json!({ "events_default": 50 });
        assert_eq!(asked_by(&levels, &truth).announce, Some(true));
        // The event comes again after the gatekeeper took it.
        truth.group.as_mut().unwrap().facts.announce = true;
        assert_eq!(asked_by(&levels, &truth).announce, None);
        // The same for who may change what the group is, where the levels say so.
        let levels = json!({ "events": { "m.room.name": 50 } });
        assert_eq!(asked_by(&levels, &truth).locked, Some(true));
        truth.group.as_mut().unwrap().facts.locked = true;
        assert_eq!(asked_by(&levels, &truth).locked, None);
        assert_eq!(locks(&json!({ "state_default": 50 })), None);
        let own = json!({ "events_default": 50, "events": { "m.room.message": 0 } });
        assert!(!announces(&own));
    }

    #[test]
    fn levels_are_given_back_to_ghosts_and_to_nobody_else() {
        let (plain, admin) = (Some(GroupRole::Member), Some(GroupRole::Admin));
        let truth = truth(vec![member("1", plain, plain), member("2", admin, admin)]);
        let levels = json!({
            "users": { ghost_named(&user("1")): 50, "@alice:x": 100 },
            "events_default": 50, "state_default": 60,
        });
        let expected = json!({
            "users": { ghost_named(&user("1")): 0, ghost_named(&user("2")): 50, "@alice:x": 100 },
            "events_default": 0, "state_default": 60,
        });
        let after = levelled(&levels, &truth, |user| (ghost_named(user), ADMIN));
        assert_eq!(after, expected);
        let again = levelled(&after, &truth, |user| (ghost_named(user), ADMIN));
        assert_eq!(again, after);
    }
}
