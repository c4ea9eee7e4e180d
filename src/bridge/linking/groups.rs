//! Groups made from here, of a room somebody made or of nothing, and left from here.

use ruma::{OwnedRoomId, RoomId, UserId};

use super::{
    LinkError,
    link::{NewLink, key_of},
};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        invites::called_key,
        rooms::open_room,
    },
    domain::{ChatId, GroupChange, LoginId, PortalKey, RemoteUserId},
    store::{Lane, LoginRow},
    translate::clean_name,
};

impl Bridge {
    /// Makes a group of a login and others at its gatekeeper, and its room: the given one, whose ghosts are members too, or a new one.
    /// The same again after a failure or a crash goes on where that stopped.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub async fn group_from(
        &self,
        by: &UserId,
        login: LoginId,
        subject: &str,
        members: &[RemoteUserId],
        room_id: Option<&RoomId>,
    ) -> Result<OwnedRoomId, LinkError> {
        self.check_level(by)?;
        let login = self.own_login(by, login).await?;
        let subject = clean_name(subject);
        if subject.is_empty() {
            let why = "a group needs a name; write it behind the command";
            return Err(LinkError::NoGroup(why.to_owned()));
        }
        let mut members = members.to_vec();
        if let Some(room_id) = room_id {
            let facts = self.look_at(&room_id.to_owned(), by).await?;
            facts.check_user(by)?;
            self.check_unlinked(room_id, &login).await?;
            self.check_room(&facts, &login.gatekeeper)?;
            let called = self.called_into(room_id).await?;
            let there = facts.joined().iter().chain(&called);
            let ghosts = there.filter_map(|user| self.ghost_identity(user));
            let those = ghosts.filter(|(gatekeeper, _)| *gatekeeper == login.gatekeeper);
            members.extend(those.map(|(_, user)| user));
        }
        members.sort();
        members.dedup();
        self.check_size(&login, members.len())?;
        self.make_group(by, login, &subject, &members, room_id)
            .await
    }

    async fn make_group(
        &self,
        by: &UserId,
        login: LoginRow,
        subject: &str,
        members: &[RemoteUserId],
        room_id: Option<&RoomId>,
    ) -> Result<OwnedRoomId, LinkError> {
        let words: Vec<&str> = ["group", subject, room_id.map_or("", RoomId::as_str)]
            .into_iter()
            .chain(members.iter().map(RemoteUserId::as_str))
            .collect();
        let id = login.id.to_string();
        let note = format!("creating/{id}/{}", self.effect_id(&words));
        let key = self.creation_key(login.id, &note).await?;
        let network = self.network(&login.gatekeeper)?;
        let (chat, group) = network
            .create_group(login.id, &key, subject, members)
            .await?;
        fail::fail_point!("create_group.after_ask");
        self.keep_group(login.id, login.gatekeeper.clone(), &chat, group)
            .await?;
        let room_id = match room_id {
            None => {
                let open = self.open_portal(login.id, &chat).await?;
                open_room(&open)?
            }
            Some(room_id) => {
                self.link_new(by, &login, &chat, room_id).await?;
                room_id.to_owned()
            }
        };
        let called = called_key(&room_id);
        self.db
            .step(Lane::room(&note), move |txn| {
                let (note, called) = (note.clone(), called.clone());
                Box::pin(async move {
                    txn.delete_value(&called).await?;
                    txn.delete_value(&note).await
                })
            })
            .await?;
        Ok(room_id)
    }

    /// Links a room to a group that was made just now. The gatekeeper tells of the group too, so it may have got a room meanwhile.
    async fn link_new(
        &self,
        by: &UserId,
        login: &LoginRow,
        chat: &ChatId,
        room_id: &RoomId,
    ) -> Result<(), LinkError> {
        let key = key_of(login, chat);
        let mut tries = 3;
        loop {
            tries -= 1;
            let before = match self.check_free(by, &key, &room_id.to_owned()).await {
                // An earlier try came this far.
                Err(LinkError::LinkedHere) => return Ok(()),
                other => other?,
            };
            let link = NewLink {
                login: login.clone(),
                key: key.clone(),
                room_id: room_id.to_owned(),
                before,
            };
            match self.connect(link).await {
                Err(LinkError::Changed) if tries > 0 => {}
                other => return other.map(drop),
            }
        }
    }

    /// The key of a creation, the same until it is done.
    async fn creation_key(&self, login: LoginId, note: &str) -> Result<String, BridgeError> {
        let fresh = format!("{:032x}", rand::random::<u128>());
        let note = note.to_owned();
        Ok(self
            .db
            .step(Lane::login(login), move |txn| {
                let (note, fresh) = (note.clone(), fresh.clone());
                Box::pin(async move {
                    if let Some(known) = txn.value(&note).await? {
                        return Ok(known);
                    }
                    txn.set_value(&note, &fresh).await?;
                    Ok(fresh)
                })
            })
            .await?)
    }

    fn check_size(&self, login: &LoginRow, others: usize) -> Result<(), LinkError> {
        let most = self
            .network(&login.gatekeeper)?
            .capabilities()
            .group_members;
        let name = self.gatekeeper_name(&login.gatekeeper);
        let why = if most == 0 {
            format!("{name} has no groups for users of other apps")
        } else if others == 0 {
            "a group needs somebody besides you; name them behind the command".to_owned()
        } else if others >= most {
            format!(
                "a group at {name} has at most {most} members, this would have {}",
                others + 1
            )
        } else {
            return Ok(());
        };
        Err(LinkError::NoGroup(why))
    }

    /// That a room is no management room, and mirrors no chat of the gatekeeper: a group made of it would be the second one.
    async fn check_unlinked(&self, room_id: &RoomId, login: &LoginRow) -> Result<(), LinkError> {
        let room = room_id.to_string();
        let (here, owner) = self
            .db
            .read(move |txn| {
                let room = room.clone();
                Box::pin(async move {
                    let here = txn.portals_in(&room).await?;
                    Ok((here, txn.management_room_owner(&room).await?))
                })
            })
            .await?;
        if owner.is_some() {
            return Err(LinkError::Management);
        }
        let is_same = |key: &PortalKey| key.gatekeeper == login.gatekeeper && !key.chat.is_group();
        if here
            .iter()
            .any(|portal| is_same(&portal.key) && !portal.linked)
        {
            return Err(LinkError::LinkedHere);
        }
        Ok(())
    }

    /// Leaves a group at the gatekeeper as a login; its room is left to whoever is in it still.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub async fn leave_chat(
        &self,
        by: &UserId,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<(), LinkError> {
        self.check_level(by)?;
        let login = self.own_login(by, login).await?;
        if !chat.is_group() {
            let why = "only groups can be left";
            return Err(LinkError::NoSuchChat(why.to_owned()));
        }
        self.network(&login.gatekeeper)?
            .change_group(login.id, chat, &GroupChange::Leave)
            .await?;
        Ok(())
    }
}
