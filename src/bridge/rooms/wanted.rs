//! Which chats get a room by themselves, and what becomes of what waits in those that do not.

use std::sync::Arc;

use crate::{
    bridge::{
        context::{Bridge, BridgeError, lock},
        incoming::is_about_people,
        rooms::portal_key,
        routes::PortalRoute,
    },
    config::ChatRooms,
    domain::{ChatId, LoginId},
    store::{Lane, PortalRow, RemoteMessageRow, RemoteNotice},
};

impl Bridge {
    /// Whether a chat gets a room by itself.
    pub(in crate::bridge) fn makes_room(&self, _login: LoginId, chat: &ChatId) -> bool {
        let rooms = &self.settings.rooms;
        let which = if chat.is_group() {
            rooms.groups
        } else {
            rooms.direct_chats
        };
        which != ChatRooms::Never
    }

    /// The portal in which what waits in a chat is shown, made if the chat is to have one; `None` if it has none and gets none now.
    /// Then messages wait for [`open_chat`](Self::open_chat), and what only a room could show of a group is done with.
    pub(in crate::bridge) async fn portal_to_show(
        &self,
        login: LoginId,
        chat: &ChatId,
        waiting: &[RemoteMessageRow],
    ) -> Result<Option<Arc<PortalRoute>>, BridgeError> {
        let some_begun = !lock(&self.begun_links).is_empty();
        if some_begun
            && let Some(portal) = self.wanted_portal(login, chat).await?
            && self.awaits_link(&portal)
        {
            return Err(BridgeError::LinkBegun(portal.id));
        }
        let says_something = waiting.iter().any(|row| row.message.notice.is_none());
        let open = lock(&self.open_portals)
            .get(&(login, chat.clone()))
            .cloned();
        let route = match open {
            Some(open) => open,
            None if self.asks_for_room(login, waiting) => self.open_portal(login, chat).await?,
            None => match self.wanted_portal(login, chat).await? {
                Some(portal) if portal.room_id.is_some() || !waiting.iter().all(changes_a_room) => {
                    self.open_portal(login, chat).await?
                }
                Some(portal) => {
                    // It is made in its turn, of what is true by then.
                    self.groups.members.wake(portal.id);
                    self.pass_over(login, chat).await?;
                    return Ok(None);
                }
                None => {
                    self.make_in_turn(login, chat, waiting).await?;
                    self.pass_over(login, chat).await?;
                    return Ok(None);
                }
            },
        };
        if says_something {
            self.look_after_owner(&route).await?;
        }
        Ok(Some(route))
    }

    /// Whether what waits is reason enough to make a room.
    fn asks_for_room(&self, login: LoginId, waiting: &[RemoteMessageRow]) -> bool {
        let mut waiting = waiting.iter().map(|row| &row.message);
        waiting.any(|message| {
            let asks = match &message.notice {
                None
                | Some(
                    RemoteNotice::IdentityChanged
                    | RemoteNotice::Call { .. }
                    | RemoteNotice::Gatekeeper { .. }
                    | RemoteNotice::SendFailed { .. },
                ) => true,
                Some(
                    RemoteNotice::Read { .. }
                    | RemoteNotice::Joined
                    | RemoteNotice::Group(_)
                    | RemoteNotice::GroupPicture
                    | RemoteNotice::Profile { .. }
                    | RemoteNotice::Reachability { .. }
                    | RemoteNotice::Blocked { .. }
                    | RemoteNotice::MediaGone { .. },
                ) => false,
            };
            asks && self.makes_room(login, &message.chat)
        })
    }

    /// The portal of a chat or group: it has a room, or one was asked for.
    async fn wanted_portal(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<Option<PortalRow>, BridgeError> {
        let chat = chat.clone();
        Ok(self
            .db
            .read(move |txn| {
                let chat = chat.clone();
                Box::pin(async move {
                    match txn.login(login).await? {
                        Some(row) => txn.portal(&portal_key(&row, chat)).await,
                        None => Ok(None),
                    }
                })
            })
            .await?)
    }

    /// Has a room made for a group the login has come into, if such are wanted: as nothing is said there yet, at the common pace.
    async fn make_in_turn(
        &self,
        login: LoginId,
        chat: &ChatId,
        waiting: &[RemoteMessageRow],
    ) -> Result<(), BridgeError> {
        let is_in = |row: &RemoteMessageRow| row.message.notice == Some(RemoteNotice::Joined);
        if self.settings.rooms.groups != ChatRooms::AtOnce || !waiting.iter().any(is_in) {
            return Ok(());
        }
        let key = portal_key(&self.login_row(login).await?, chat.clone());
        self.know_group(login, &key).await?;
        self.bring_or_make(login, &key).await
    }

    /// Ends what would only change a room that is not there, and takes what is told of people, which needs none. What was said stays,
    /// and holds back nothing of that.
    async fn pass_over(&self, login: LoginId, chat: &ChatId) -> Result<(), BridgeError> {
        let of = chat.clone();
        let notices = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move { txn.waiting_notices(login, &of, i64::MAX).await })
            })
            .await?;
        let (people, others): (Vec<_>, Vec<_>) = notices.into_iter().partition(is_about_people);
        let done: Vec<(i64, i64)> = others
            .iter()
            .filter(|row| changes_a_room(row))
            .map(|row| (row.seq, row.revision))
            .collect();
        if !done.is_empty() {
            self.db
                .step(Lane::login(login), move |txn| {
                    let done = done.clone();
                    Box::pin(async move {
                        for (seq, revision) in done {
                            txn.finish_message(seq, revision, false).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        self.tell_gatekeeper_notices(login, &people).await?;
        Ok(())
    }
}

/// Whether something only changes a room, which shows it without this one if it is made later.
fn changes_a_room(row: &RemoteMessageRow) -> bool {
    matches!(
        row.message.notice,
        Some(
            RemoteNotice::Read { .. }
                | RemoteNotice::Group(_)
                | RemoteNotice::GroupPicture
                | RemoteNotice::Joined
        )
    )
}
