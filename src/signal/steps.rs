//! Single steps: a ratchet operation together with its writing.

use super::{
    Address, Bundle, Ciphertext, CiphertextKind, Decrypted, Device, Ratchets, SignalError,
    key_id_after_many, ratchets::corrupt, record,
};
use crate::{
    domain::LoginId,
    store::{StoreError, StoreTxn},
};

/// How far a restored backup moves the ids of one-time prekeys, so that no id handed out after the backup was made means a
/// second key.
const IDS_SKIPPED_BY_RESTORE: u32 = 1 << 16;

/// Encrypts one padded plaintext and writes the step into the transaction.
///
/// # Errors
/// As [`Ratchets::encrypt`].
pub async fn encrypt(
    txn: &mut dyn StoreTxn,
    device: &Device,
    to: &Address,
    plaintext: &[u8],
) -> Result<Result<Ciphertext, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.encrypt(txn, to, plaintext).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Decrypts one message and writes the step into the transaction.
///
/// # Errors
/// As [`Ratchets::decrypt`].
pub async fn decrypt(
    txn: &mut dyn StoreTxn,
    device: &Device,
    from: &Address,
    kind: CiphertextKind,
    bytes: &[u8],
) -> Result<Result<Decrypted, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.decrypt(txn, from, kind, bytes).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Makes one session and writes it into the transaction.
///
/// # Errors
/// As [`Ratchets::establish`].
pub async fn establish(
    txn: &mut dyn StoreTxn,
    device: &Device,
    with: &Address,
    bundle: &Bundle,
) -> Result<Result<bool, SignalError>, StoreError> {
    let mut ratchets = Ratchets::new(device);
    let result = ratchets.establish(txn, with, bundle).await?;
    if result.is_ok() {
        ratchets.save(txn).await?;
    }
    Ok(result)
}

/// Archives one session.
///
/// # Errors
/// The store's.
pub async fn archive_session(
    txn: &mut dyn StoreTxn,
    device: &Device,
    with: &Address,
) -> Result<(), StoreError> {
    let mut ratchets = Ratchets::new(device);
    ratchets.archive(txn, with).await?;
    ratchets.save(txn).await
}

/// After a backup was restored: closes every session of a login for sending, forgets its own sender keys and skips prekey ids,
/// because what was sent and handed out since the backup is unknown. What arrives late can still be read.
///
/// # Errors
/// The store's.
pub async fn archive_all_sessions(
    txn: &mut dyn StoreTxn,
    login: LoginId,
) -> Result<(), StoreError> {
    for row in txn.sessions(login).await? {
        let Ok(mut session) = record::read(&row.record) else {
            continue;
        };
        record::close_for_sending(&mut session).map_err(|error| corrupt(&error))?;
        let bytes = record::write(&mut session).map_err(|error| corrupt(&error))?;
        txn.put_session(login, &row.address, &bytes).await?;
    }
    if let Some(row) = txn.login(login).await? {
        let next = key_id_after_many(row.next_prekey_id, IDS_SKIPPED_BY_RESTORE);
        txn.insert_prekeys(login, &[], next).await?;
        if let Some(own) = row.remote_login {
            // A login has one device.
            let own = Address::new(&own, 0);
            txn.delete_own_sender_keys(login, own.as_str()).await?;
        }
    }
    Ok(())
}
