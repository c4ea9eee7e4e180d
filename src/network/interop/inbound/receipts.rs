//! Receipts, acknowledgements and notices of changed identities.

use super::{Answer, time};
use crate::{
    domain::{LoginId, StanzaId, Timestamp},
    network::interop::{
        notices,
        outbound::{self, Retried},
        session::refused_for_now,
        wire::Node,
    },
    signal::{Device, Ratchets},
    store::{StoreError, StoreTxn},
};

/// Takes a `<receipt>`: delivered, read (a notice for the room) or a retry (answered from the outbox).
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn receipt(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let kind = node.attr("type");
    let mut answer = Answer::ack(node);
    match kind.as_deref() {
        None | Some("delivered") => {
            for id in receipt_ids(node) {
                txn.delivered(login, &id).await?;
            }
        }
        Some("read" | "played") => {
            let ids = receipt_ids(node);
            for id in &ids {
                txn.delivered(login, id).await?;
            }
            let by = node.jid("from").as_ref().and_then(notices::direct);
            if let Some(by) = by.filter(|_| !ids.is_empty()) {
                let sent_at = time(node).unwrap_or(now);
                if let Some(notice) = notices::read(login, by, ids, sent_at, now) {
                    txn.put_remote_message(&notice).await?;
                    answer.chat = Some(notice.chat);
                }
            }
        }
        Some("retry") => match outbound::answer_retry(txn, login, node, now).await? {
            Retried::Queued => {
                answer.queued = true;
                answer.chat = node
                    .jid("from")
                    .as_ref()
                    .and_then(notices::direct)
                    .map(|(chat, _)| chat);
            }
            Retried::Nothing => {}
            Retried::NeedsKeys(user) => {
                return Ok(Answer {
                    keys_wanted: Some(user),
                    again: true,
                    ..Answer::default()
                });
            }
        },
        // Receipts between a user's own devices, and kinds that are not known.
        Some(_) => {}
    }
    Ok(answer)
}

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
        let reason = format!("the gatekeeper refused the message (code {code})");
        tracing::warn!(%login, %id, %code, "the gatekeeper refused a stanza");
        if let Some(row) = txn.refused(login, &id, seq, &reason).await?
            && let Some(notice) = notices::send_failed(login, &row, reason, now)
        {
            txn.put_remote_message(&notice).await?;
            answer.chat = Some(notice.chat);
        }
    } else {
        txn.acknowledged(login, &id, seq, time(ack).unwrap_or(now))
            .await?;
    }
    fail::fail_point!("ack.before_commit");
    Ok(answer)
}

/// Takes `<notification type="encrypt"><identity/>`: the session with the user is archived and new keys are wanted. The room is
/// told when the new key is seen, which is in the fetch that follows or in the next message, whichever is first.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn identity_changed(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    notification: &Node,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(notification);
    let Some(user) = notification
        .jid("from")
        .filter(|from| notices::direct(from).is_some())
    else {
        return Ok(answer);
    };
    let Some((_, device)) = Device::load(txn, login).await? else {
        return Ok(answer);
    };
    let address = outbound::address(&user);
    let mut ratchets = Ratchets::new(&device);
    if ratchets.has_session(txn, &address).await? {
        ratchets.archive(txn, &address).await?;
        ratchets.save(txn).await?;
        answer.keys_wanted = Some(user);
    }
    Ok(answer)
}

/// The messages a receipt is for: its own id and those of its list. Ids that cannot be ours are left out.
fn receipt_ids(node: &Node) -> Vec<StanzaId> {
    let listed = node.find("list").map_or(&[][..], Node::children);
    let ids = std::iter::once(node).chain(listed.iter().filter(|item| item.tag == "item"));
    ids.filter_map(|item| StanzaId::parse(item.attr("id")?.into_owned()).ok())
        .collect()
}
