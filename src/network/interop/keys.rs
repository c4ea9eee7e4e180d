//! Sessions with users, made from keys that are fetched over the chat channel.

use super::{
    context::Context,
    outbound,
    session::iq,
    wire::{Jid, Node},
};
use crate::{
    domain::LoginId,
    network::NetworkError,
    store::{Lane, StoreError},
};

/// The request for a user's keys.
pub(super) fn fetch(context: &Context, user: &Jid, identity_changed: bool) -> Node {
    iq::key_fetch(
        &context.server(),
        std::slice::from_ref(user),
        identity_changed,
    )
}

/// Makes a session from the answer to [`fetch`]. A changed identity is noted in the same step and the chat woken.
pub(super) async fn establish(
    context: &Context,
    login: LoginId,
    user: &Jid,
    answer: &Node,
) -> Result<Result<(), NetworkError>, StoreError> {
    let found = iq::fetched_users(answer)
        .iter()
        .find(|found| found.jid("jid").as_ref() == Some(user));
    let Some(found) = found else {
        return Ok(Err(NetworkError::NoSuchUser(
            "the gatekeeper has no keys for this user: they cannot be written to".to_owned(),
        )));
    };
    let (user, found, now) = (user.clone(), found.clone(), context.now());
    let made = context
        .db
        .step(Lane::login(login), move |txn| {
            let (user, found) = (user.clone(), found.clone());
            Box::pin(async move {
                outbound::establish_from_key_response(txn, login, &user, &found, now).await
            })
        })
        .await?;
    Ok(made.map(|noticed| {
        if let Some(chat) = noticed {
            context.sink.waiting(login, &chat);
        }
    }))
}
