//! Answers to retry receipts: the same message, encrypted again. A member of a group gets it alone, with the sender key.

use super::{address, again_id, groups, padded, sessions::establish, stanza};
use crate::{
    domain::{LoginId, RemoteUserId, StanzaId, Timestamp},
    network::interop::{
        bundle,
        wire::{self, Jid, Node, message::Envelope},
    },
    signal::{Device, Ratchets, SignalError},
    store::{LoginRow, NewOutboxRow, OutboxKind, OutboxRow, StoreError, StoreTxn},
};

/// How many retries of one message are answered, to each member of a group.
const MOST_RETRIES: i64 = 5;

/// A session is made anew on a retry at most this often.
const REMAKE_EVERY_MS: i64 = 60 * 60 * 1000;

/// What became of a retry receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// The message was encrypted again and waits in the outbox.
    Queued,
    /// Nothing is sent: the message is unknown, was delivered, went to somebody else, or was tried often enough.
    Nothing,
    /// Keys of this user have to be fetched and [`establish_from_key_response`] called; then the receipt is to be handled once
    /// more. Nothing was queued, and the receipt is not to be acknowledged before that.
    NeedsKeys(Jid),
}

/// Answers `<receipt type="retry">`: the same plaintext encrypted again under the same id, with a new session if the receipt
/// brings keys.
///
/// # Errors
/// The store's.
pub async fn answer_retry(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    receipt: &Node,
    now: Timestamp,
) -> Result<Retried, StoreError> {
    let Some(retry) = receipt.find("retry") else {
        return Ok(Retried::Nothing);
    };
    let id = retry.attr("id").or_else(|| receipt.attr("id"));
    let Some(Ok(id)) = id.map(|id| StanzaId::parse(id.into_owned())) else {
        return Ok(Retried::Nothing);
    };
    let count = retry.number("count").unwrap_or(1).max(1);
    let Some((row, answered)) = txn.retryable(login, &id).await? else {
        return Ok(Retried::Nothing);
    };
    let Some((own, device)) = Device::load(txn, login).await? else {
        return Ok(Retried::Nothing);
    };
    let Some(asker) = asker(txn, &own, &row.row, receipt, now).await? else {
        tracing::warn!(%login, %id, "a retry was asked for by somebody the message was not for");
        return Ok(Retried::Nothing);
    };
    let again = if row.row.chat.is_group() {
        next_answer(txn, login, &id, &asker).await?
    } else {
        (answered < MOST_RETRIES).then(|| id.clone())
    };
    let Some(again) = again.filter(|_| count <= MOST_RETRIES.unsigned_abs()) else {
        tracing::warn!(%login, %id, "a message could not be read after every retry");
        return Ok(Retried::Nothing);
    };
    let mut ratchets = Ratchets::new(&device);
    if !renew(txn, &mut ratchets, &own, &asker, receipt, now).await? {
        ratchets.save(txn).await?;
        return Ok(Retried::NeedsKeys(asker));
    }
    let answer = Answer {
        row: &row,
        own: &own,
        asker: &asker,
        again: &again,
        count,
    };
    answer.queue(txn, ratchets, now).await
}

/// A message that is sent again.
struct Answer<'a> {
    row: &'a OutboxRow,
    own: &'a LoginRow,
    asker: &'a Jid,
    /// What it is queued as.
    again: &'a StanzaId,
    count: u64,
}

impl Answer<'_> {
    async fn queue(
        &self,
        txn: &mut dyn StoreTxn,
        mut ratchets: Ratchets,
        now: Timestamp,
    ) -> Result<Retried, StoreError> {
        let (login, chat) = (self.own.id, &self.row.row.chat);
        let id = &self.row.row.stanza_id;
        let mut plaintext = self.row.row.plaintext.clone();
        let envelope = Envelope::of_plaintext(&plaintext);
        let mut shared = false;
        if chat.is_group()
            && let Some(own) = self.own.remote_login.as_deref()
            && let Ok(own) = own.parse()
        {
            let what = (plaintext.clone(), now);
            let with = groups::with_own_key(txn, &mut ratchets, chat, &own, what);
            if let Ok(with) = with.await? {
                (plaintext, shared) = with;
            }
        }
        let to = address(self.asker);
        let ciphertext = match ratchets.encrypt(txn, &to, &padded(&plaintext)).await? {
            Ok(ciphertext) => ciphertext,
            Err(SignalError::NoSession) => return Ok(Retried::NeedsKeys(self.asker.clone())),
            Err(error) => {
                tracing::warn!(%login, %id, %error, "a message cannot be encrypted again");
                return Ok(Retried::Nothing);
            }
        };
        ratchets.save(txn).await?;
        // Whatever device it is: who has the key and leaves makes it a spent one.
        if shared {
            txn.put_sender_key_share(login, chat, to.as_str()).await?;
        }
        let whom = self.asker.bare();
        if chat.is_group() {
            let Ok(group) = chat.as_str().parse::<Jid>() else {
                return Ok(Retried::Nothing);
            };
            let stanza = stanza(&group, id, &envelope, ciphertext, Some(self.count))
                .with("participant", whom);
            txn.queue(&self.beside(wire::encode(&stanza), now)).await?;
        } else {
            let stanza = stanza(&whom, id, &envelope, ciphertext, Some(self.count));
            txn.requeue(login, id, &wire::encode(&stanza)).await?;
        }
        fail::fail_point!("encrypt.before_commit");
        Ok(Retried::Queued)
    }

    /// A row of its own: the message of the others, and the answers to other members, may still wait in the outbox.
    fn beside(&self, payload: Vec<u8>, now: Timestamp) -> NewOutboxRow {
        NewOutboxRow {
            login: self.own.id,
            stanza_id: self.again.clone(),
            chat: self.row.row.chat.clone(),
            kind: OutboxKind::Message,
            payload,
            plaintext: Vec::new(),
            portal: None,
            event_id: None,
            part: -1,
            created_at: now,
        }
    }
}

/// For how long after a message was queued whoever is in its group counts as having been sent it, in milliseconds: somebody may have
/// come in before it was sent, and the gatekeeper gave it to them.
const UNSURE_FOR: i64 = 24 * 60 * 60 * 1000;

/// Who asks for a message; `None` if it was not for them. Of a group that is who was in it when the message was queued, or soon after,
/// and still is: what was said long before somebody came, or after they left, is none of theirs.
async fn asker(
    txn: &mut dyn StoreTxn,
    own: &LoginRow,
    sent: &NewOutboxRow,
    receipt: &Node,
    now: Timestamp,
) -> Result<Option<Jid>, StoreError> {
    let chat = &sent.chat;
    let Some(from) = receipt.jid("from") else {
        return Ok(None);
    };
    if chat.as_str() != from.bare().to_string() {
        return Ok(None);
    }
    let participant = receipt.jid("participant");
    if !chat.is_group() {
        let other = participant.is_some_and(|participant| participant.bare() != from.bare());
        return Ok((!other).then_some(from));
    }
    let Some(asker) = participant else {
        return Ok(None);
    };
    let Ok(member) = RemoteUserId::parse(asker.bare().to_string()) else {
        return Ok(None);
    };
    let recipients = txn.group_recipients(own.id, &sent.stanza_id).await?;
    let may_have_been_sent_it =
        recipients.contains(&member) || now.0 - sent.created_at.0 < UNSURE_FOR;
    let is_member = groups::is_member(txn, &own.gatekeeper, chat, &member).await?;
    Ok((may_have_been_sent_it && is_member).then_some(asker))
}

/// What the next answer to a member of a group is queued as; `None` if that member had all of them.
async fn next_answer(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    id: &StanzaId,
    asker: &Jid,
) -> Result<Option<StanzaId>, StoreError> {
    for number in 1..=MOST_RETRIES {
        let Some(again) = again_id(id, asker, number) else {
            return Ok(None);
        };
        if !txn.outbox_knows(login, &again).await? {
            return Ok(Some(again));
        }
    }
    Ok(None)
}

/// Makes a new session if the retry receipt brings keys or shows that the session is with an earlier installation; `false` if
/// keys have to be fetched for that.
async fn renew(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    own: &LoginRow,
    from: &Jid,
    receipt: &Node,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let login = own.id;
    let address = address(from);
    let has_session = ratchets.has_session(txn, &address).await?;
    let remade = txn.session_remade_at(login, address.as_str()).await?;
    let recently = remade.is_some_and(|at| now.0.saturating_sub(at.0) < REMAKE_EVERY_MS);
    let bundle = receipt
        .find("keys")
        .and_then(|keys| match bundle::read(receipt, keys) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                tracing::warn!(%login, %error, "the keys of a retry receipt are unusable");
                None
            }
        });
    if let Some(bundle) = bundle {
        // A new installation has a right to a session however short ago the last was made.
        let other_key = ratchets
            .differs_from_known(txn, &address, &bundle.identity)
            .await?;
        if recently && has_session && !other_key {
            return Ok(true);
        }
        if establish(txn, ratchets, own, from, &bundle, now)
            .await?
            .is_ok()
        {
            txn.set_session_remade(login, address.as_str(), now).await?;
            return Ok(true);
        }
        return Ok(has_session);
    }
    if !has_session {
        return Ok(false);
    }
    let with = ratchets.remote_registration_id(txn, &address).await?;
    let other_installation =
        bundle::read_registration(receipt).is_some_and(|theirs| with != Some(theirs));
    if other_installation && !recently {
        ratchets.archive(txn, &address).await?;
        groups::forget_keys_of(txn, own, from).await?;
        txn.set_session_remade(login, address.as_str(), now).await?;
        return Ok(false);
    }
    Ok(true)
}
