//! Acknowledgements of the stanzas of the outbox.

use super::{Answer, people, time};
use crate::{
    domain::{ChatId, LoginId, Timestamp},
    network::interop::{notices, outbound, profile::Profile, session::refused_for_now, wire::Node},
    store::{OutboxKind, OutboxRow, StoreError, StoreTxn},
};

/// Takes an `<ack>` of a stanza of the outbox: it leaves the queue, linked to its event, or refused with a notice for the room.
/// Refused only for now, it stays queued. `seq` is the place in the outbox of the copy that was sent: the acknowledgement of one
/// that was encrypted again meanwhile changes nothing.
///
/// # Errors
/// The store's.
pub async fn message_ack(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    ack: &Node,
    seq: i64,
    profile: &Profile,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let (Some(class), Some(id)) = (ack.attr("class"), ack.attr("id")) else {
        return Ok(Answer::default());
    };
    let Some(id) = outbound::outbox_id(&class, ack.attr("type").as_deref(), &id) else {
        return Ok(Answer::default());
    };
    let mut answer = Answer::default();
    if let Some(code) = ack.attr("error") {
        if code.parse().is_ok_and(refused_for_now) {
            tracing::warn!(%login, %id, %code, "the gatekeeper refused a stanza for now");
            return Ok(answer);
        }
        tracing::warn!(%login, %id, %code, "the gatekeeper refused a stanza");
        let reason = people::refusal(profile, &code, ack.attr("text").as_deref());
        if let Some(row) = txn.refused(login, &id, seq, &reason).await? {
            answer.chat = refused(txn, login, &row, reason, now).await?;
        }
    } else {
        let taken = txn
            .acknowledged(login, &id, seq, time(ack).unwrap_or(now))
            .await?;
        answer.chat = taken
            .filter(|row| row.row.event_id.is_some())
            .map(|row| row.row.chat);
    }
    fail::fail_point!("ack.before_commit");
    Ok(answer)
}

/// Tells the room what the refusal of a stanza means for it.
async fn refused(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    row: &OutboxRow,
    reason: String,
    now: Timestamp,
) -> Result<Option<ChatId>, StoreError> {
    let notice = match row.row.kind {
        OutboxKind::Message => notices::send_failed(login, row, reason, now),
        OutboxKind::MediaRequest => notices::media_refused(login, row, now),
        OutboxKind::Receipt => None,
    };
    let Some(notice) = notice else {
        return Ok(None);
    };
    txn.put_remote_message(&notice).await?;
    Ok(Some(notice.chat))
}
