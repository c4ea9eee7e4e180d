//! Which device of the bot the keys belong to.
//!
//! Its id is made once and kept with the keys: a device whose keys change is not believed by anybody, so whoever lost the keys, or
//! put an old copy of them back, is another device from then on.

use matrix_sdk_crypto::store::types::Changes;
use rand::RngExt as _;
use ruma_crypto::OwnedDeviceId;

use super::{
    identity::Noted,
    machine::{EncryptionError, Machine},
};
use crate::store::{Database, Lane, StoreError};

/// Where the device's id is kept.
pub(super) const DEVICE: &str = "encryption.device";
/// Where the ids of devices are kept whose keys were not handed on yet, separated by blanks.
const BEFORE: &str = "encryption.devices_before";
/// What the ids of all of them begin with.
const PREFIX: &str = "DRAWBRIDGE";

/// The id of the bot's device, made if there is none; another one if `anew`. Also those before, whose keys it is still to be given.
pub(super) async fn id(
    db: &Database,
    anew: bool,
) -> Result<(OwnedDeviceId, Vec<OwnedDeviceId>), StoreError> {
    let fresh = format!("{PREFIX}{:08X}", rand::rng().random::<u32>());
    let (now, before) = db
        .step(Lane::room(DEVICE), move |txn| {
            let fresh = fresh.clone();
            Box::pin(async move {
                let before = txn.value(BEFORE).await?.unwrap_or_default();
                match txn.value(DEVICE).await? {
                    Some(known) if !anew => Ok::<_, StoreError>((known, before)),
                    Some(known) => {
                        let before = format!("{before} {known}");
                        txn.set_value(BEFORE, &before).await?;
                        txn.set_value(DEVICE, &fresh).await?;
                        Ok((fresh, before))
                    }
                    None => {
                        txn.set_value(DEVICE, &fresh).await?;
                        Ok((fresh, before))
                    }
                }
            })
        })
        .await?;
    let before = before.split_whitespace().map(OwnedDeviceId::from).collect();
    Ok((now.into(), before))
}

/// Everything of the devices before is handed on.
pub(super) async fn handed_on(db: &Database) -> Result<(), StoreError> {
    db.step(Lane::room(DEVICE), |txn| {
        Box::pin(async move { txn.set_value(BEFORE, "").await })
    })
    .await
}

/// Whether a device of the bot is an older one of the bridge's, which nobody uses any more.
pub(super) fn is_outdated(device: &str, now: &str) -> bool {
    device.starts_with(PREFIX) && device != now
}

/// Gives a new device what the one before could read, which rooms are encrypted, whatever a homeserver says by now, and the identity
/// that signs the bot's devices. The ratchets stay behind.
/// Doing it again does no harm.
pub(super) async fn inherit(new: &Machine, old: Machine) -> Result<(), EncryptionError> {
    let keys = old.olm.store().export_room_keys(|_| true).await?;
    new.olm
        .store()
        .import_exported_room_keys(keys, |_, _| {})
        .await?;
    let mut known = Changes::default();
    for room in old.store.encrypted_rooms().await? {
        if let Some(settings) = old.olm.room_settings(&room).await? {
            known.room_settings.insert(room, settings);
        }
    }
    new.olm.store().save_changes(known).await?;
    if let Some(mut noted) = Noted::of(&old.store).await? {
        // It can be taken over as soon as the homeserver has said which identity is the public one.
        noted.inherit(old.olm.export_cross_signing_keys().await?);
        noted.keep(&new.store).await?;
    }
    let store = old.store;
    drop(old.olm);
    Ok(store.forget().await?)
}
