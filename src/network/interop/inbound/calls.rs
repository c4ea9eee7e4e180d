//! Calls, which only the room is told of.

use super::{Answer, time};
use crate::{
    domain::{LoginId, Timestamp},
    network::interop::{notices, session::Call, wire::Node},
    store::{StoreError, StoreTxn},
};

/// Takes what a `<call>` tells: a notice for the room.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn call(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    call: &Call,
    node: &Node,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    let sent_at = time(node).unwrap_or(now);
    if let Some(notice) = notices::call(login, call, sent_at, now) {
        txn.put_remote_message(&notice).await?;
        answer.chat = Some(notice.chat);
    }
    Ok(answer)
}
