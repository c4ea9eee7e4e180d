//! The bot's cross-signing identity, which says that its device is its own: made once, kept in the secret storage under a recovery
//! key, and brought back from there after the database was lost.
//!
//! Everything before the last step can be done again: the recovery key is stored before the identity is made, the identity before it
//! is published, and that all is done is noted last. Until then each start goes on where the one before stopped.

use std::sync::atomic::Ordering;

use matrix_sdk_crypto::{
    secret_storage::SecretStorageKey,
    store::{CryptoStore as _, types::CrossSigningKeyExport},
    types::requests::AnyIncomingResponse,
};
use ruma_crypto::{
    OwnedUserId,
    api::client::keys::{get_keys, upload_signatures, upload_signing_keys},
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Inner, MachineStore,
    device::DEVICE,
    machine::{EncryptionError, call},
    secrets,
};
use crate::{clock::SystemClock, store::Database};

/// Where it is noted, among what the machine remembers, sealed.
const NOTED: &str = "drawbridge.identity";

/// What is noted of the identity beside the machine's own memory.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The recovery key, as people write it.
    recovery_key: String,
    /// Its id and description at the homeserver.
    key_id: String,
    description: Value,
    /// Whether the identity is published and stored, and this device signed with it.
    pub(super) is_done: bool,
    /// The private keys, from the device before this one.
    #[serde(default)]
    inherited: Option<[Option<String>; 3]>,
}

impl Noted {
    /// What is noted in a machine's store.
    pub(super) async fn of(store: &MachineStore) -> Result<Option<Self>, EncryptionError> {
        let kept = store.get_custom_value(NOTED).await?;
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Notes it in a machine's store.
    pub(super) async fn keep(&self, store: &MachineStore) -> Result<(), EncryptionError> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| EncryptionError::Crypto(error.to_string()))?;
        Ok(store.set_custom_value(NOTED, bytes).await?)
    }

    /// Makes it what a new device begins with.
    pub(super) fn inherit(&mut self, keys: Option<CrossSigningKeyExport>) {
        self.is_done = false;
        self.inherited = keys.map(|keys| {
            [
                keys.master_key.clone(),
                keys.self_signing_key.clone(),
                keys.user_signing_key.clone(),
            ]
        });
    }

    fn with(key: &SecretStorageKey) -> Result<Self, EncryptionError> {
        Ok(Self {
            recovery_key: key.to_base58(),
            key_id: key.key_id().to_owned(),
            description: secrets::description(key)?,
            is_done: false,
            inherited: None,
        })
    }

    fn key(&self) -> Result<SecretStorageKey, EncryptionError> {
        secrets::key(&self.recovery_key, &self.key_id, &self.description)
    }
}

/// The recovery key of the bot's identity, out of the database; `None` if none was made yet.
///
/// # Errors
/// Why it cannot be read.
pub async fn recovery_key(db: &Database, bot: &str) -> Result<Option<String>, EncryptionError> {
    let Some(store) = store(db, bot).await? else {
        return Ok(None);
    };
    let noted = Noted::of(&store).await?;
    Ok(noted.map(|noted| noted.recovery_key))
}

/// What the bot's device remembers; `None` if there is no device yet.
pub(super) async fn store(
    db: &Database,
    bot: &str,
) -> Result<Option<MachineStore>, EncryptionError> {
    let device = db
        .read(|txn| Box::pin(async move { txn.value(DEVICE).await }))
        .await?;
    let user =
        OwnedUserId::try_from(bot).map_err(|error| EncryptionError::Crypto(error.to_string()))?;
    let clock = std::sync::Arc::new(SystemClock);
    Ok(device.map(|device| MachineStore::new(db.clone(), (user, device.into()), clock)))
}

impl Inner {
    /// Makes sure that the bot has an identity and that this device is signed with it.
    pub(super) async fn sign(&self) -> Result<(), EncryptionError> {
        if self.signed.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.asking.lock().await;
        let store = self.machine.read().await.store.clone();
        let noted = Noted::of(&store).await?;
        if let Some(noted) = &noted
            && noted.is_done
            && self.has_identity().await
        {
            self.signed.store(true, Ordering::Release);
            return Ok(());
        }
        // An identity here that is not the one at the homeserver is forgotten by this.
        let is_public = self.ask_own_keys().await?;
        let mut noted = noted;
        if is_public && !self.has_identity().await {
            noted = self.regain(noted).await?;
            if noted.is_none() {
                tracing::warn!(
                    "the bot gets a new identity, since nothing here opens the one it had: users who verified the bot see that it has changed"
                );
            }
        }
        let mut noted = match noted {
            Some(noted) => noted,
            None => Noted::with(&SecretStorageKey::new())?,
        };
        noted.keep(&store).await?;
        fail::fail_point!("identity.before_publishing");
        self.publish(&noted, is_public).await?;
        fail::fail_point!("identity.before_noting");
        noted.is_done = true;
        noted.inherited = None;
        noted.keep(&store).await?;
        self.signed.store(true, Ordering::Release);
        tracing::info!(device = %self.who.1, "the bot's device is signed with the bot's identity");
        Ok(())
    }

    async fn has_identity(&self) -> bool {
        let machine = self.machine.read().await;
        machine.olm.cross_signing_status().await.is_complete()
    }

    /// Asks the homeserver for the bot's own keys; whether it knows an identity of the bot.
    async fn ask_own_keys(&self) -> Result<bool, EncryptionError> {
        let user = self.who.0.clone();
        let machine = self.machine.read().await;
        let (id, query) = machine.olm.query_keys_for_users([&*user]);
        drop(machine);
        let mut request = get_keys::v3::Request::new();
        request.device_keys = query.device_keys;
        let answer = call(&self.client, request).await?;
        let is_public = answer.master_keys.contains_key(&user);
        self.answered(&id, AnyIncomingResponse::from(&answer))
            .await?;
        Ok(is_public)
    }

    /// Brings the private keys of the public identity back: from the device before, or out of the secret storage. `None` if there
    /// is nothing to open it with.
    async fn regain(&self, noted: Option<Noted>) -> Result<Option<Noted>, EncryptionError> {
        if let Some(mut noted) = noted {
            if let Some([master_key, self_signing_key, user_signing_key]) = noted.inherited.take() {
                let keys = CrossSigningKeyExport {
                    master_key,
                    self_signing_key,
                    user_signing_key,
                };
                if self.import(keys).await.is_ok() {
                    return Ok(Some(noted));
                }
            }
            // Unless the identity was changed by somebody else, this opens it.
            let key = noted.key()?;
            match secrets::take(&self.client.bot(), &key).await {
                Ok(keys) => {
                    if self.import(keys).await.is_ok() {
                        return Ok(Some(noted));
                    }
                }
                Err(error @ EncryptionError::Matrix(_)) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "the bot's identity is not under its recovery key");
                }
            }
        }
        match &self.config.recovery_key {
            Some(written) => self.recover(written.expose_secret()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same with the recovery key of the configuration.
    async fn recover(&self, written: &str) -> Result<Noted, EncryptionError> {
        let unusable = |error: EncryptionError| match error {
            EncryptionError::Crypto(reason) => EncryptionError::RecoveryKey(reason),
            other => other,
        };
        let bot = self.client.bot();
        let Some((id, description)) = secrets::described(&bot).await? else {
            return Err(EncryptionError::RecoveryKey(
                "the bot has no secret storage at the homeserver".to_owned(),
            ));
        };
        let key = secrets::key(written, &id, &description).map_err(unusable)?;
        let keys = secrets::take(&bot, &key).await.map_err(unusable)?;
        self.import(keys).await.map_err(unusable)?;
        tracing::info!("the bot's identity is restored with the recovery key");
        Ok(Noted {
            recovery_key: key.to_base58(),
            key_id: id,
            description,
            is_done: false,
            inherited: None,
        })
    }

    async fn import(&self, keys: CrossSigningKeyExport) -> Result<(), EncryptionError> {
        let machine = self.machine.read().await;
        let imported = machine.olm.import_cross_signing_keys(keys).await;
        let status = imported.map_err(|error| EncryptionError::Crypto(error.to_string()))?;
        if status.is_complete() {
            return Ok(());
        }
        Err(EncryptionError::Crypto(
            "keys of the identity are missing".to_owned(),
        ))
    }

    /// Makes the identity if there is none, and brings it, the device's signature and the secret storage to the homeserver.
    async fn publish(&self, noted: &Noted, is_public: bool) -> Result<(), EncryptionError> {
        let anew = !self.has_identity().await;
        let machine = self.machine.read().await;
        let requests = machine.olm.bootstrap_cross_signing(anew).await?;
        let keys = machine.olm.export_cross_signing_keys().await?;
        drop(machine);
        if let Some(upload) = &requests.upload_keys_req {
            self.send(upload).await?;
        }
        if anew || !is_public {
            let identity = requests.upload_signing_keys_req;
            let mut request = upload_signing_keys::v3::Request::new();
            request.master_key = identity.master_key.map(|key| key.to_raw());
            request.self_signing_key = identity.self_signing_key.map(|key| key.to_raw());
            request.user_signing_key = identity.user_signing_key.map(|key| key.to_raw());
            call(&self.client, request).await?;
        }
        let signed = requests.upload_signatures_req.signed_keys;
        let answer = call(&self.client, upload_signatures::v3::Request::new(signed)).await?;
        if let Some(failure) = answer.failures.values().flat_map(|of| of.values()).next() {
            return Err(EncryptionError::Crypto(format!(
                "the homeserver does not take the signature of the bot's device: {failure:?}"
            )));
        }
        // The device is known to be signed only as the homeserver tells it.
        self.ask_own_keys().await?;
        if let Some(keys) = keys {
            secrets::put(&self.client.bot(), &noted.key()?, &keys).await?;
        }
        Ok(())
    }
}
