//! What members of rooms are called when a login speaks for them: told apart from everybody of the same name.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    OwnedRoomId, OwnedUserId, UserId,
    events::{AnyStateEvent, AnyTimelineEvent, StateEvent, room::member::MembershipState},
};

use super::context::{Bridge, BridgeError, lock};
use crate::translate::{RoomEvent, clean_name, said_as};

/// Of so many rooms the names are kept in memory.
const MOST_ROOMS: usize = 256;
/// In rooms with more members everybody is told apart by their id, without a look at all the others.
const MOST_MEMBERS: usize = 2000;

/// So many characters of a name are said.
const MOST_CHARS: usize = 60;

/// The members of a room, by id: cleaned names.
pub(super) type Names = Arc<HashMap<OwnedUserId, String>>;

impl Bridge {
    /// What somebody in a room is called when a login speaks for them; `None` if they may not be spoken for: who was banned or
    /// never was in the room.
    pub(super) async fn relayed_name(
        &self,
        room_id: &OwnedRoomId,
        user: &UserId,
        said: &RoomEvent,
    ) -> Result<Option<String>, BridgeError> {
        let shown = said_as(said);
        let names = self.names_in(room_id).await?;
        if self.is_ours(user) {
            let name = match shown {
                Some(shown) => Some(shown),
                // The room is told of a new name some time after the first message under it.
                None => self.name_of_ghost(user).await?,
            };
            let name = name.unwrap_or_else(|| names.get(user).cloned().unwrap_or_default());
            return Ok(Some(told_apart(&names, &name, user)));
        }
        let name = match names.get(user) {
            Some(name) => name.clone(),
            // Somebody who has left since they wrote, or was thrown out.
            None => match self
                .bot()
                .state(room_id, "m.room.member", user.as_str())
                .await
            {
                Ok(Some(member)) if member["membership"] != "ban" => {
                    clean_name(member["displayname"].as_str().unwrap_or_default())
                }
                Ok(_) => return Ok(None),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(_) => String::new(),
            },
        };
        if let Some(shown) = shown {
            return Ok(Some(speaking_as(&names, &shown, &name, user)));
        }
        Ok(Some(told_apart(&names, &name, user)))
    }

    /// What a ghost is called.
    async fn name_of_ghost(&self, user: &UserId) -> Result<Option<String>, BridgeError> {
        let Some((gatekeeper, remote)) = self.ghost_identity(user) else {
            return Ok(None);
        };
        Ok(self.ghost_row(&gatekeeper, &remote).await?.name)
    }

    async fn names_in(&self, room_id: &OwnedRoomId) -> Result<Names, BridgeError> {
        if let Some(names) = lock(&self.names).get(room_id) {
            return Ok(names.clone());
        }
        let members = self.bot().named_members(room_id).await?;
        let names: Names = Arc::new(
            members
                .into_iter()
                .map(|(user, name)| (user, clean_name(&name.unwrap_or_default())))
                .collect(),
        );
        let mut known = lock(&self.names);
        if known.len() >= MOST_ROOMS {
            known.clear();
        }
        known.insert(room_id.clone(), names.clone());
        Ok(names)
    }

    /// Takes a change of a member into what is known of a room's names.
    pub(super) fn note_member(&self, room_id: &OwnedRoomId, event: &AnyTimelineEvent) {
        let AnyTimelineEvent::State(AnyStateEvent::RoomMember(StateEvent::Original(member))) =
            event
        else {
            return;
        };
        let mut known = lock(&self.names);
        let Some(names) = known.get_mut(room_id) else {
            return;
        };
        let names = Arc::make_mut(names);
        if member.content.membership == MembershipState::Join {
            let name = member.content.displayname.as_deref().unwrap_or_default();
            names.insert(member.state_key.clone(), clean_name(name));
        } else {
            names.remove(&member.state_key);
        }
    }
}

/// So much of a name as leaves room for what tells it apart.
fn short(name: &str) -> String {
    name.chars().take(MOST_CHARS).collect()
}

/// The name somebody speaks under, and who they are: whoever speaks for others says so themselves.
fn speaking_as(
    names: &HashMap<OwnedUserId, String>,
    shown: &str,
    name: &str,
    user: &UserId,
) -> String {
    format!("{} ({})", short(shown), told_apart(names, name, user))
}

/// A name that no other member of the room has, nor could pass for an id.
fn told_apart(names: &HashMap<OwnedUserId, String>, name: &str, user: &UserId) -> String {
    if name.is_empty() {
        return user.to_string();
    }
    let folded = name.to_lowercase();
    let is_shared = names.len() > MOST_MEMBERS
        || folded.contains(['@', ':'])
        || names
            .iter()
            .any(|(other, theirs)| other != user && theirs.to_lowercase() == folded);
    let name = short(name);
    if is_shared {
        format!("{name} ({user})")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_user_id, user_id};

    use super::*;

    #[test]
    fn two_of_a_name_and_what_looks_like_an_id_are_told_apart() {
        let names = HashMap::from([
            (owned_user_id!("@a:x.org"), "Ada".to_owned()),
            (owned_user_id!("@b:y.org"), "ada".to_owned()),
            (owned_user_id!("@c:x.org"), "Cleo".to_owned()),
            (owned_user_id!("@d:x.org"), "@c:x.org".to_owned()),
        ]);
        let said = |user: &UserId| told_apart(&names, &names[user], user);
        assert_eq!(said(user_id!("@a:x.org")), "Ada (@a:x.org)");
        assert_eq!(said(user_id!("@b:y.org")), "ada (@b:y.org)");
        assert_eq!(said(user_id!("@c:x.org")), "Cleo");
        assert_eq!(said(user_id!("@d:x.org")), "@c:x.org (@d:x.org)");
    }

    #[test]
    fn who_speaks_under_a_name_for_one_message_is_told_apart_too() {
        let names = HashMap::from([
            (owned_user_id!("@a:x.org"), "Ada".to_owned()),
            (owned_user_id!("@b:y.org"), "ada".to_owned()),
            (owned_user_id!("@c:x.org"), "Cleo".to_owned()),
        ]);
        let said = |shown: &str, user: &UserId| speaking_as(&names, shown, &names[user], user);
        assert_eq!(said("Cleo", user_id!("@b:y.org")), "Cleo (ada (@b:y.org))");
        assert_eq!(said("Ada", user_id!("@c:x.org")), "Ada (Cleo)");
        // However long it is, who says it is not cut off.
        let long = said(&"x".repeat(500), user_id!("@b:y.org"));
        assert_eq!(long.len(), 60 + " (ada (@b:y.org))".len());
    }
}
