//! Which device of the bot the keys belong to.
//!
//! Its id is made once and kept with the keys: a device whose keys change is not believed by anybody, so whoever lost the keys, or
//! put an old copy of them back, is another device from then on.

use rand::RngExt as _;
use ruma_crypto::OwnedDeviceId;

use super::machine::{EncryptionError, Machine};
use crate::store::{Database, Lane, StoreError};

/// Where the device's id is kept.
const DEVICE: &str = "encryption.device";

/// The id of the bot's device, made if there is none; another one if `anew`. Also the one before, if it is another.
pub(super) async fn id(
    db: &Database,
    anew: bool,
) -> Result<(OwnedDeviceId, Option<OwnedDeviceId>), StoreError> {
    let fresh = format!("DRAWBRIDGE{:08X}", rand::rng().random::<u32>());
    let (now, before) = db
        .step(Lane::room(DEVICE), move |txn| {
            let fresh = fresh.clone();
            Box::pin(async move {
                let known = txn.value(DEVICE).await?;
                match known {
                    Some(known) if !anew => Ok::<_, StoreError>((known, None)),
                    known => {
                        txn.set_value(DEVICE, &fresh).await?;
                        Ok((fresh, known))
                    }
                }
            })
        })
        .await?;
    Ok((now.into(), before.map(OwnedDeviceId::from)))
}

/// Gives a new device what the one before could read, and the identity that signs the bot's devices. The ratchets stay behind.
pub(super) async fn inherit(new: &Machine, old: Machine) -> Result<(), EncryptionError> {
    let keys = old.olm.store().export_room_keys(|_| true).await?;
    new.olm
        .store()
        .import_exported_room_keys(keys, |_, _| {})
        .await?;
    if let Some(identity) = old.olm.export_cross_signing_keys().await? {
        let imported = new.olm.import_cross_signing_keys(identity).await;
        imported.map_err(|error| EncryptionError::Crypto(error.to_string()))?;
    }
    let store = old.store;
    drop(old.olm);
    Ok(store.forget().await?)
}
