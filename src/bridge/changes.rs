//! What a message or event leaves in the store besides itself, committed together with its end.

use super::context::BridgeError;
use crate::{
    domain::{ChatId, LoginId, MediaKey, MessageRef, PortalId, RemoteUserId, StanzaId, Timestamp},
    network::Network,
    store::{ExpiryRow, MessageLink, PollRow, PortalSettings, ReactionRow, StoreError, StoreTxn},
};

/// One change.
#[derive(Clone)]
pub(super) enum Change {
    /// An event and a message are the same.
    Link(MessageLink),
    /// A reaction is there now, in the place of an earlier one.
    React(ReactionRow),
    /// A reaction is gone: to which message, and whose (`None` is the login's user).
    Unreact(PortalId, MessageRef, Option<RemoteUserId>),
    /// A poll is there.
    Poll(PollRow),
    /// An event disappears.
    Expire(ExpiryRow),
    /// Messages of a room disappear after so many seconds, or not any more.
    Timer(PortalId, Option<u32>),
    /// Nothing more is to come of a message that was kept for later: whose it is, and which.
    Forget(LoginId, ChatId, RemoteUserId, StanzaId),
    /// A file is asked for again.
    AskForMedia {
        /// By whom.
        login: LoginId,
        /// In which chat.
        chat: ChatId,
        /// Of which message.
        message: MessageRef,
        /// The file's key.
        key: MediaKey,
    },
}

impl Change {
    /// Writes it.
    pub(super) async fn apply(
        &self,
        txn: &mut dyn StoreTxn,
        network: &dyn Network,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self {
            Self::Link(link) => txn.put_link(link).await,
            Self::React(row) => txn.put_reaction(row).await,
            Self::Unreact(portal, message, by) => {
                txn.delete_reaction(*portal, message, by.as_ref()).await?;
                Ok(())
            }
            Self::Poll(row) => txn.put_poll(row).await,
            Self::Expire(row) => txn.put_expiry(row).await,
            Self::Timer(portal, seconds) => {
                let Some(row) = txn.portal_by_id(*portal).await? else {
                    return Ok(());
                };
                let settings = PortalSettings {
                    expires_after: *seconds,
                    ..row.settings
                };
                txn.set_portal_settings(*portal, &settings).await
            }
            Self::Forget(login, chat, sender, id) => {
                txn.forget_kept(*login, chat, sender, id).await
            }
            Self::AskForMedia {
                login,
                chat,
                message,
                key,
            } => {
                network
                    .enqueue_media_request(txn, *login, chat, message, key, now)
                    .await?;
                fail::fail_point!("ask.before_commit");
                Ok(())
            }
        }
    }
}

/// The last of some changes that says something of somebody's reaction to a message.
pub(super) fn reaction_in<'c>(
    changes: impl DoubleEndedIterator<Item = &'c Change>,
    message: &MessageRef,
    by: Option<&RemoteUserId>,
) -> Option<&'c Change> {
    changes.rev().find(|change| match change {
        Change::React(row) => row.message == *message && row.by.as_ref() == by,
        Change::Unreact(_, of, whose) => of == message && whose.as_ref() == by,
        _ => false,
    })
}

impl super::Bridge {
    /// Somebody's reaction to a message: of changes not committed yet, or of the store.
    pub(super) async fn reaction_of(
        &self,
        pending: &[Change],
        portal: PortalId,
        message: &MessageRef,
        by: Option<&RemoteUserId>,
    ) -> Result<Option<ReactionRow>, BridgeError> {
        match reaction_in(pending.iter(), message, by) {
            Some(Change::React(row)) => return Ok(Some(row.clone())),
            Some(_) => return Ok(None),
            None => {}
        }
        let (message, by) = (message.clone(), by.cloned());
        Ok(self
            .db
            .read(move |txn| {
                let (message, by) = (message.clone(), by.clone());
                Box::pin(async move { txn.reaction(portal, &message, by.as_ref()).await })
            })
            .await?)
    }
}
