//! Groups that several logins are in: each gets every message, and the room shows it once.

use super::super::{
    context::{Bridge, BridgeError},
    routes::PortalRoute,
};
use crate::{
    domain::{IncomingContent, IncomingMessage, MessageRef},
    store::{RemoteMessageRow, RemoteNotice},
};

/// What a login's copy of a message is to the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// Nothing is in the room yet.
    First,
    /// Another login could not decrypt it: there is a placeholder.
    Mends,
    /// It is in the room already.
    Known,
}

impl Bridge {
    /// Whether a message is in the room already: by another login, or because one of ours wrote it.
    pub(super) async fn copy_of(
        &self,
        route: &PortalRoute,
        row: &RemoteMessageRow,
    ) -> Result<Copy, BridgeError> {
        let message = &row.message;
        let is_about_group = matches!(
            message.notice,
            Some(RemoteNotice::Group(_) | RemoteNotice::Joined | RemoteNotice::GroupPicture)
        );
        if !route.is_group() || is_about_group {
            return Ok(Copy::First);
        }
        if message.notice.is_none() && route.login_called(&message.sender).is_some() {
            return Ok(Copy::Known);
        }
        if route.logins.len() < 2 {
            return Ok(Copy::First);
        }
        let of = message.clone();
        let handled = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move {
                    txn.handled_by_another(of.login, &of.chat, &of.sender, &of.stanza_id)
                        .await
                })
            })
            .await?;
        let is_readable = message.plaintext.is_some() || message.notice.is_some();
        Ok(match handled {
            None => Copy::First,
            Some(false) if is_readable => Copy::Mends,
            Some(_) => Copy::Known,
        })
    }
}

/// What a message says, with every message of our logins named as one's own.
pub(super) fn as_ours(mut incoming: IncomingMessage, route: &PortalRoute) -> IncomingMessage {
    if !route.is_group() {
        return incoming;
    }
    let ours = |message: &mut MessageRef| {
        let sender = message.sender.as_ref();
        if sender.is_some_and(|sender| route.login_called(sender).is_some()) {
            message.sender = None;
        }
    };
    if let Some(quote) = &mut incoming.context.quote {
        ours(&mut quote.message);
    }
    match &mut incoming.content {
        IncomingContent::Reaction { target, .. }
        | IncomingContent::Edit { target, .. }
        | IncomingContent::Revoke { target } => ours(target),
        IncomingContent::PollVote { poll, .. } => ours(poll),
        _ => {}
    }
    incoming
}
