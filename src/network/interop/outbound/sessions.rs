//! Sessions made from keys that came from the gatekeeper or with a retry receipt.

use super::{address, groups::forget_keys_of};
use crate::{
    domain::{ChatId, LoginId, Timestamp},
    network::{
        NetworkError,
        interop::{
            bundle, notices,
            session::iq,
            wire::{Jid, Node},
        },
    },
    signal::{Bundle, Device, Ratchets, SignalError},
    store::{LoginRow, StoreError, StoreTxn},
};

/// Makes a session from a `<user>` of a key fetch. If the user's identity key changed, the room's notice is put into the same
/// transaction; the chat to wake for it is returned.
///
/// # Errors
/// The outer error is the store's; the inner one says why there are no usable keys, then nothing was written.
pub async fn establish_from_key_response(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    jid: &Jid,
    user: &Node,
    now: Timestamp,
) -> Result<Result<Option<ChatId>, NetworkError>, StoreError> {
    let no_keys = |why: String| Ok(Err(NetworkError::NoSuchUser(why)));
    if let Some(code) = iq::fetch_error(user) {
        if iq::is_passing(code) {
            return Ok(Err(NetworkError::Unreachable(format!(
                "the gatekeeper cannot give this user's keys now (code {code})"
            ))));
        }
        return no_keys(format!(
            "the gatekeeper has no keys for this user (code {code}): they cannot be written to"
        ));
    }
    let bundle = match bundle::read(user, user) {
        Ok(bundle) => bundle,
        Err(error) => return no_keys(error.to_string()),
    };
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(Err(NetworkError::NoSuchLogin));
    };
    let mut ratchets = Ratchets::new(&device);
    match establish(txn, &mut ratchets, &row, jid, &bundle, now).await? {
        Ok(chat) => {
            ratchets.save(txn).await?;
            Ok(Ok(chat))
        }
        Err(error) => no_keys(error.to_string()),
    }
}

pub(super) async fn establish(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    own: &LoginRow,
    with: &Jid,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Result<Option<ChatId>, SignalError>, StoreError> {
    let login = own.id;
    match ratchets.establish(txn, &address(with), bundle).await? {
        Ok(false) => Ok(Ok(None)),
        Ok(true) => {
            forget_keys_of(txn, own, with).await?;
            let Some(notice) = notices::identity_changed(login, with, now, now) else {
                return Ok(Ok(None));
            };
            txn.put_remote_message(&notice).await?;
            Ok(Ok(Some(notice.chat)))
        }
        Err(error) => {
            tracing::warn!(%login, %error, "a session could not be made from the keys that came");
            Ok(Err(error))
        }
    }
}

/// Whether the login has a session with a user that can be sent over.
///
/// # Errors
/// The store's.
pub async fn has_session(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    jid: &Jid,
) -> Result<bool, StoreError> {
    let Some((_, device)) = Device::load(txn, login).await? else {
        return Ok(false);
    };
    Ratchets::new(&device).has_session(txn, &address(jid)).await
}
