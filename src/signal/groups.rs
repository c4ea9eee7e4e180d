//! Sender keys: one ratchet a member and group, whose start every other member gets over their session.
//!
//! They are kept by the same rules as sessions: loaded by the transaction, stepped over in memory, written back by
//! [`Ratchets::save`].

use libsignal_protocol::protocol::{
    SenderKeyDistributionMessage, SenderKeyName, SenderKeyState, SignalProtocolError,
    create_sender_key_distribution_message, group_decrypt, group_encrypt,
    process_sender_key_distribution_message,
};

use super::{
    Address, Ratchets, SignalError,
    ratchets::{corrupt, in_place},
    sender_record,
};
use crate::{
    domain::{ChatId, LoginId, Timestamp},
    store::{StoreError, StoreTxn},
};

/// How far the login's own sender key of a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSenderKey {
    /// When it was made.
    pub made_at: Timestamp,
    /// How many messages were encrypted with it.
    pub messages: u32,
}

impl Ratchets {
    /// The login's own sender key of a group, `own` being the login's address; `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn own_sender_key(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        own: &Address,
    ) -> Result<Option<OwnSenderKey>, StoreError> {
        let name = self.load_sender_key(txn, chat, own).await?;
        let stored = self.sender_keys.stored(&name);
        Ok(stored.map(|stored| OwnSenderKey {
            made_at: stored.made_at,
            messages: stored
                .record
                .sender_key_state()
                .ok()
                .and_then(SenderKeyState::sender_chain_key)
                .map_or(0, |chain| chain.iteration()),
        }))
    }

    /// Forgets the login's own sender key of a group and, with [`save`](Self::save), who has it: the next message is encrypted with
    /// a new one.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_sender_key(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        own: &Address,
    ) -> Result<(), StoreError> {
        let name = self.load_sender_key(txn, chat, own).await?;
        self.sender_keys.known.insert(name.clone(), None);
        self.sender_keys.changed.insert(name);
        self.unshared.insert(chat.clone());
        Ok(())
    }

    /// What reads the messages of the login to a group from the next one on: the start of its sender key, which is made if there is
    /// none. Nobody has a new one ([`save`](Self::save) forgets who had the one before).
    ///
    /// # Errors
    /// Outside the store's; inside [`SignalError::Malformed`] if the key is unusable.
    pub async fn distribution(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        own: &Address,
        now: Timestamp,
    ) -> Result<Result<Vec<u8>, SignalError>, StoreError> {
        let name = self.load_sender_key(txn, chat, own).await?;
        self.sender_keys.now = now;
        let made = self.sender_keys.stored(&name).is_none();
        let mut rng = rand::rng();
        let step = create_sender_key_distribution_message(&name, &mut self.sender_keys, &mut rng);
        Ok(match in_place(step) {
            Ok(message) => {
                if made {
                    self.unshared.insert(chat.clone());
                }
                Ok(message.serialized().to_vec())
            }
            Err(error) => Err(of_group(&error)),
        })
    }

    /// Encrypts a padded plaintext to a group with the login's own sender key. The ciphertext may leave only after
    /// [`save`](Self::save) and the commit.
    ///
    /// # Errors
    /// Outside the store's; inside [`SignalError::NoSenderKey`] before [`distribution`](Self::distribution) has made the key.
    pub async fn encrypt_to_group(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        own: &Address,
        plaintext: &[u8],
    ) -> Result<Result<Vec<u8>, SignalError>, StoreError> {
        let name = self.load_sender_key(txn, chat, own).await?;
        let mut rng = rand::rng();
        let step = group_encrypt(&mut self.sender_keys, &name, plaintext, &mut rng);
        Ok(match in_place(step) {
            Ok(message) => Ok(message.serialized().to_vec()),
            Err(error) => Err(of_group(&error)),
        })
    }

    /// Takes the start of another member's sender key of a group. `from` must be the device whose session it came by, and the group
    /// the one it came in: whoever else names it has no right to.
    ///
    /// # Errors
    /// Outside the store's; inside [`SignalError::Malformed`], then nothing changed.
    pub async fn take_distribution(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        from: &Address,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Result<(), SignalError>, StoreError> {
        let message = match SenderKeyDistributionMessage::try_from(bytes) {
            Ok(message) => message,
            Err(error) => return Ok(Err(of_group(&error))),
        };
        let name = self.load_sender_key(txn, chat, from).await?;
        self.sender_keys.now = now;
        let step = process_sender_key_distribution_message(&name, &message, &mut self.sender_keys);
        Ok(in_place(step).map_err(|error| of_group(&error)))
    }

    /// Decrypts a message of another member of a group. A failure changes nothing.
    ///
    /// # Errors
    /// Outside the store's; inside why the message is not to be had, [`SignalError::NoSenderKey`] if its key never came.
    pub async fn decrypt_in_group(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        from: &Address,
        bytes: &[u8],
    ) -> Result<Result<Vec<u8>, SignalError>, StoreError> {
        let name = self.load_sender_key(txn, chat, from).await?;
        let step = group_decrypt(bytes, &mut self.sender_keys, &name);
        Ok(in_place(step).map_err(|error| of_group(&error)))
    }

    /// Writes the sender keys that changed, and forgets who had those that are replaced.
    pub(super) async fn save_sender_keys(
        &mut self,
        txn: &mut dyn StoreTxn,
    ) -> Result<(), StoreError> {
        for chat in std::mem::take(&mut self.unshared) {
            txn.delete_sender_key_shares(self.login, &chat).await?;
        }
        for name in std::mem::take(&mut self.sender_keys.changed) {
            let Ok(chat) = ChatId::parse(name.group_id()) else {
                continue;
            };
            match self.sender_keys.known.get_mut(&name) {
                Some(Some(stored)) => {
                    let bytes = sender_record::write(stored).map_err(|error| corrupt(&error))?;
                    txn.put_sender_key(self.login, &chat, name.sender_id(), &bytes)
                        .await?;
                }
                _ => {
                    txn.delete_sender_key(self.login, &chat, name.sender_id())
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn load_sender_key(
        &mut self,
        txn: &mut dyn StoreTxn,
        chat: &ChatId,
        of: &Address,
    ) -> Result<SenderKeyName, StoreError> {
        let name = SenderKeyName::from_parts(chat.as_str(), of.as_str());
        if self.sender_keys.known.contains_key(&name) {
            return Ok(name);
        }
        let bytes = txn.sender_key(self.login, chat, of.as_str()).await?;
        let stored = bytes.and_then(|bytes| {
            sender_record::read(&bytes)
                .inspect_err(|_| {
                    tracing::error!(login = %self.login, "a stored sender key is unreadable and is given up");
                })
                .ok()
        });
        self.sender_keys.known.insert(name.clone(), stored);
        Ok(name)
    }
}

/// Forgets the login's own sender key of a group and who has it, by itself.
///
/// # Errors
/// The store's.
pub async fn forget_sender_key(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    chat: &ChatId,
    own: &Address,
) -> Result<(), StoreError> {
    txn.delete_sender_key(login, chat, own.as_str()).await?;
    txn.delete_sender_key_shares(login, chat).await
}

/// The errors of sender keys, some of which mean something else than those of sessions.
fn of_group(error: &SignalProtocolError) -> SignalError {
    use SignalProtocolError as E;
    match error {
        E::NoSenderKeyState(_) | E::InvalidSenderKeySession => SignalError::NoSenderKey,
        E::SignatureValidationFailed => SignalError::Undecryptable("its signature is wrong"),
        other => SignalError::of(other),
    }
}
