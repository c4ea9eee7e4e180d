//! Receipts: delivered, read, or asking for a message again.
//!
//! ```xml
//! <receipt from="…" id="…" [type="read|played"] t="…" [participant="…"]>[<list><item id="…"/>…</list>]</receipt>
//! <receipt from="…" id="…" [type="read|played"] t="…"><participants key="…"><user jid="…" t="…"/>…</participants>…</receipt>
//! ```
//! The second form puts the receipts of several users, or of several messages, into one stanza: a message is named by `key`.

use std::collections::HashSet;

use super::{Answer, time};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId, Timestamp},
    network::interop::{
        notices,
        outbound::{self, Retried},
        wire::{Jid, Node},
    },
    store::{ReceiptStage, StoreError, StoreTxn},
};

/// What a receipt says about messages of the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Delivered,
    Read,
}

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
    match node.attr("type").as_deref() {
        // One that is not looking at the moment says so with the delivery.
        None | Some("delivered" | "inactive") => told(txn, login, node, Said::Delivered, now).await,
        Some("read" | "played") => told(txn, login, node, Said::Read, now).await,
        Some("retry") => retry(txn, login, node, now).await,
        // Receipts between a user's own devices (`read-self`, `sender`, …), and kinds that are not known.
        Some(_) => Ok(Answer::ack(node)),
    }
}

async fn told(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    said: Said,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    for told in receipts(node) {
        let Some(by) = told.by else {
            tracing::warn!(%login, "a receipt is from nobody who could have got the message");
            continue;
        };
        for id in &told.ids {
            reached(txn, login, &by, id, said).await?;
        }
        answer.chat = Some(by.0.clone());
        if said == Said::Read {
            let sent_at = told.at.unwrap_or(now);
            if let Some(notice) = notices::read(login, by, told.ids, sent_at, now) {
                txn.put_remote_message(&notice).await?;
            }
        }
    }
    Ok(answer)
}

/// Notes that a message reached somebody. One of a direct chat is delivered then, if it was for them; one of a group once everybody has
/// it whom it went to and who is still in it.
async fn reached(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    (chat, who): &(ChatId, RemoteUserId),
    id: &StanzaId,
    said: Said,
) -> Result<(), StoreError> {
    let Some((sent, _)) = txn.retryable(login, id).await? else {
        // It is delivered already, or none of the login's.
        return Ok(());
    };
    if sent.row.chat != *chat {
        tracing::warn!(%login, %id, "a receipt came from somebody the message was not for");
        return Ok(());
    }
    if !chat.is_group() {
        return txn.delivered(login, id).await;
    }
    let Some(row) = txn.login(login).await? else {
        return Ok(());
    };
    let went_to = txn.group_recipients(login, id).await?;
    if !went_to.contains(who) {
        tracing::info!(%login, %id, "a receipt came from somebody the message did not go to");
        return Ok(());
    }
    let stage = match said {
        Said::Delivered => ReceiptStage::Delivered,
        Said::Read => ReceiptStage::Read,
    };
    txn.put_group_receipt(login, id, who, stage).await?;
    let members = txn.group_members(&row.gatekeeper, chat).await?;
    let present: HashSet<&RemoteUserId> = members
        .iter()
        .filter(|member| member.role.is_some())
        .map(|member| &member.user)
        .collect();
    let have_it = txn.group_receivers(login, id).await?;
    let have_it: HashSet<&RemoteUserId> = have_it.iter().collect();
    let mut awaited = went_to.iter().filter(|user| present.contains(user));
    if awaited.all(|user| have_it.contains(user)) {
        txn.delivered(login, id).await?;
    }
    Ok(())
}

async fn retry(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    match outbound::answer_retry(txn, login, node, now).await? {
        Retried::Queued => {
            answer.queued = true;
            answer.chat = place(node, None).map(|(chat, _)| chat);
        }
        Retried::Nothing => {}
        Retried::NeedsKeys(user) => {
            return Ok(Answer {
                keys_wanted: Some(user),
                again: true,
                ..Answer::default()
            });
        }
    }
    Ok(answer)
}

/// What one user says about some messages.
struct Told {
    /// Where and who; `None` if that is nobody's to say.
    by: Option<(ChatId, RemoteUserId)>,
    ids: Vec<StanzaId>,
    at: Option<Timestamp>,
}

/// Where a receipt is from and whose it is; `user` if it is not the stanza that says so.
fn place(receipt: &Node, user: Option<Jid>) -> Option<(ChatId, RemoteUserId)> {
    let user = user.or_else(|| receipt.jid("participant"));
    notices::member(&receipt.jid("from")?, user.as_ref())
}

/// The receipts in a stanza, in either form. Ids that cannot be ours are left out.
fn receipts(node: &Node) -> Vec<Told> {
    let id = |node: &Node, key| StanzaId::parse(node.attr(key)?.into_owned()).ok();
    let mut aggregated = node
        .children()
        .iter()
        .filter(|child| child.tag == "participants")
        .peekable();
    if aggregated.peek().is_none() {
        let listed = node.find("list").map_or(&[][..], Node::children);
        let items = listed.iter().filter(|item| item.tag == "item");
        let told = Told {
            by: place(node, None),
            ids: std::iter::once(node)
                .chain(items)
                .filter_map(|item| id(item, "id"))
                .collect(),
            at: time(node),
        };
        return if told.ids.is_empty() {
            Vec::new()
        } else {
            vec![told]
        };
    }
    let mut receipts: Vec<Told> = Vec::new();
    for participants in aggregated {
        let Some(message) = id(participants, "key") else {
            continue;
        };
        let users = participants.children().iter();
        for user in users.filter(|user| user.tag == "user") {
            let by = user.jid("jid").and_then(|jid| place(node, Some(jid)));
            let at = time(user).or_else(|| time(node));
            // What a user read in one go is one notice.
            let same = receipts
                .iter_mut()
                .find(|told| told.by == by && told.at == at);
            match same {
                Some(told) => told.ids.push(message.clone()),
                None => receipts.push(Told {
                    by,
                    ids: vec![message.clone()],
                    at,
                }),
            }
        }
    }
    receipts
}
