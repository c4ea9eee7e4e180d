//! Answers to retry receipts: the same message, encrypted again.

use super::{address, padded, sessions::establish, stanza};
use crate::{
    domain::{LoginId, StanzaId, Timestamp},
    network::interop::{
        bundle,
        wire::{self, Jid, Node, message::Envelope},
    },
    signal::{Device, Ratchets, SignalError},
    store::{StoreError, StoreTxn},
};

/// How many retries of one message are answered.
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
    let (Some(retry), Some(from)) = (receipt.find("retry"), receipt.jid("from")) else {
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
    if row.row.chat.as_str() != from.bare().to_string() {
        tracing::warn!(%login, %id, "a retry was asked for by somebody the message was not for");
        return Ok(Retried::Nothing);
    }
    if answered >= MOST_RETRIES || count > MOST_RETRIES.unsigned_abs() {
        tracing::warn!(%login, %id, "a message could not be read after every retry");
        return Ok(Retried::Nothing);
    }
    let Some((_, device)) = Device::load(txn, login).await? else {
        return Ok(Retried::Nothing);
    };
    let mut ratchets = Ratchets::new(&device);
    if !renew(txn, &mut ratchets, &device, &from, receipt, now).await? {
        ratchets.save(txn).await?;
        return Ok(Retried::NeedsKeys(from));
    }
    let encrypted = ratchets
        .encrypt(txn, &address(&from), &padded(&row.row.plaintext))
        .await?;
    let ciphertext = match encrypted {
        Ok(ciphertext) => ciphertext,
        Err(SignalError::NoSession) => return Ok(Retried::NeedsKeys(from)),
        Err(error) => {
            tracing::warn!(%login, %id, %error, "a message cannot be encrypted again");
            return Ok(Retried::Nothing);
        }
    };
    ratchets.save(txn).await?;
    let envelope = Envelope::of_plaintext(&row.row.plaintext);
    let stanza = stanza(&from.bare(), &id, &envelope, ciphertext, Some(count));
    txn.requeue(login, &id, &wire::encode(&stanza)).await?;
    fail::fail_point!("encrypt.before_commit");
    Ok(Retried::Queued)
}

/// Makes a new session if the retry receipt brings keys or shows that the session is with an earlier installation; `false` if
/// keys have to be fetched for that.
async fn renew(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    device: &Device,
    from: &Jid,
    receipt: &Node,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let login = device.login();
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
        if establish(txn, ratchets, login, from, &bundle, now)
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
        txn.set_session_remade(login, address.as_str(), now).await?;
        return Ok(false);
    }
    Ok(true)
}
