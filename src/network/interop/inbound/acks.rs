//! Acknowledgements of the stanzas of the outbox.

use super::{Answer, groups, people, time};
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
    let Some(sent) = in_flight(txn, login, ack, seq).await? else {
        return Ok(Answer::default());
    };
    let id = &sent.row.stanza_id;
    let mut answer = Answer::default();
    if let Some(code) = ack.attr("error") {
        if code.parse().is_ok_and(refused_for_now) {
            tracing::warn!(%login, %id, %code, "the gatekeeper refused a stanza for now");
            return Ok(answer);
        }
        tracing::warn!(%login, %id, %code, "the gatekeeper refused a stanza");
        let reason = if code == "403" && sent.row.chat.is_group() {
            "only admins may write in this group, or you are not in it any more".to_owned()
        } else {
            people::refusal(profile, &code, ack.attr("text").as_deref())
        };
        if txn.refused(login, id, seq, &reason).await?.is_some() {
            answer.chat = refused(txn, login, &sent, reason, now).await?;
        }
    } else {
        let taken = txn
            .acknowledged(login, id, seq, time(ack).unwrap_or(now))
            .await?;
        if taken.is_some() && groups::members_differ(txn, login, &sent, ack, now).await? {
            answer.chat = Some(sent.row.chat.clone());
        }
        if let Some(row) = taken.filter(|row| row.row.event_id.is_some()) {
            answer.chat = Some(row.row.chat);
        }
    }
    fail::fail_point!("ack.before_commit");
    Ok(answer)
}

/// The copy of a stanza that was sent, if it is still in the outbox and this is an acknowledgement of it.
async fn in_flight(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    ack: &Node,
    seq: i64,
) -> Result<Option<OutboxRow>, StoreError> {
    let (Some(class), Some(id)) = (ack.attr("class"), ack.attr("id")) else {
        return Ok(None);
    };
    let found = txn.queued(login, seq.saturating_sub(1), 1).await?.pop();
    let kind = ack.attr("type");
    Ok(found.filter(|found| {
        found.seq == seq && outbound::is_acknowledged_so(&found.row, &class, kind.as_deref(), &id)
    }))
}

/// Tells the room what the refusal of a stanza means for it.
async fn refused(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    row: &OutboxRow,
    reason: String,
    now: Timestamp,
) -> Result<Option<ChatId>, StoreError> {
    let own = txn.login(login).await?.and_then(|row| row.remote_login);
    let notice = match row.row.kind {
        OutboxKind::Message => notices::send_failed(login, own, row, reason, now),
        OutboxKind::MediaRequest => notices::media_refused(login, row, now),
        OutboxKind::Receipt => None,
    };
    let Some(notice) = notice else {
        return Ok(None);
    };
    txn.put_remote_message(&notice).await?;
    Ok(Some(notice.chat))
}
