//! Key generation: the identity of a login, its signed prekeys and its one-time prekeys.

use libsignal_protocol::protocol::{
    GenericSignedPreKey, IdentityKeyPair, KeyPair, PreKeyRecord, SignedPreKeyId,
    SignedPreKeyRecord, Timestamp as RecordTime,
};
use rand::RngExt;

use super::{Device, SignalError, device::raw};
use crate::{
    domain::Timestamp,
    store::{PreKeyRow, SignedPreKeyRow},
};

/// The first id of a login's one-time prekeys and of its signed prekeys.
pub const FIRST_KEY_ID: u32 = 1;

/// Ids are 24 bits wide, and 0 is not used.
const LAST_KEY_ID: u32 = 0x00FF_FFFF;

/// Registration ids are 14 bits wide, and 0 is not used.
const LAST_REGISTRATION_ID: u32 = 0x3FFF;

/// The keys of a new login.
pub struct NewIdentity {
    /// The identity key pair, in the Signal library's serialization.
    pub identity_pair: Vec<u8>,
    /// The registration id, 1 to 16,383.
    pub registration_id: u32,
    /// The first signed prekey.
    pub signed_prekey: SignedPreKeyRow,
}

/// The public half of a one-time prekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicPreKey {
    /// The id, 24 bits.
    pub id: u32,
    /// The key without its type byte.
    pub value: [u8; 32],
}

/// The public half of a signed prekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicSignedPreKey {
    /// The id, 24 bits.
    pub id: u32,
    /// The key without its type byte.
    pub value: [u8; 32],
    /// The identity key's XEdDSA signature over `05 || value`.
    pub signature: [u8; 64],
}

/// The id after `id`: 24 bits, from the end back to 1.
#[must_use]
pub fn key_id_after(id: u32) -> u32 {
    if id >= LAST_KEY_ID {
        FIRST_KEY_ID
    } else {
        id + 1
    }
}

/// The id `steps` after `id`.
#[must_use]
pub fn key_id_after_many(id: u32, steps: u32) -> u32 {
    let place = u64::from(id.saturating_sub(FIRST_KEY_ID)) + u64::from(steps);
    let place = place % u64::from(LAST_KEY_ID);
    u32::try_from(place).map_or(FIRST_KEY_ID, |place| place + FIRST_KEY_ID)
}

/// Makes the keys of a new login.
///
/// # Panics
/// Never: a fresh key always signs.
#[must_use]
pub fn generate_identity(now: Timestamp) -> NewIdentity {
    let mut rng = rand::rng();
    let pair = IdentityKeyPair::generate(&mut rng);
    let signed_prekey = signed_prekey(&pair, FIRST_KEY_ID, now);
    NewIdentity {
        identity_pair: pair.serialize().into_vec(),
        registration_id: rng.random_range(1..=LAST_REGISTRATION_ID),
        signed_prekey,
    }
}

/// Makes a signed prekey.
///
/// # Panics
/// Never: a stored identity key always signs.
#[must_use]
pub fn generate_signed_prekey(device: &Device, id: u32, now: Timestamp) -> SignedPreKeyRow {
    signed_prekey(&device.identity, id, now)
}

fn signed_prekey(identity: &IdentityKeyPair, id: u32, now: Timestamp) -> SignedPreKeyRow {
    let mut rng = rand::rng();
    let pair = KeyPair::generate(&mut rng);
    let signature = identity
        .private_key()
        .calculate_signature(&pair.public_key.serialize(), &mut rng)
        .expect("a Curve25519 private key signs any message");
    let made = RecordTime::from_epoch_millis(u64::try_from(now.0).unwrap_or_default());
    let record = SignedPreKeyRecord::new(SignedPreKeyId::from(id), made, &pair, &signature)
        .serialize()
        .expect("a record made in memory serializes");
    SignedPreKeyRow {
        id,
        record,
        created_at: now,
    }
}

/// Makes `count` one-time prekeys from the id `first` on; with them the id that comes after.
///
/// # Panics
/// Never: a fresh record serializes.
#[must_use]
pub fn generate_prekeys(first: u32, count: usize) -> (Vec<PreKeyRow>, u32) {
    let mut rng = rand::rng();
    let mut id = first.clamp(FIRST_KEY_ID, LAST_KEY_ID);
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let record = PreKeyRecord::new(id.into(), &KeyPair::generate(&mut rng))
            .serialize()
            .expect("a record made in memory serializes");
        rows.push(PreKeyRow {
            id,
            record,
            uploaded: false,
        });
        id = key_id_after(id);
    }
    (rows, id)
}

/// What the world may see of a one-time prekey.
///
/// # Errors
/// [`SignalError::Malformed`] if the record is none.
pub fn public_prekey(row: &PreKeyRow) -> Result<PublicPreKey, SignalError> {
    let value = PreKeyRecord::deserialize(&row.record)
        .and_then(|record| record.public_key())
        .map_err(|_| SignalError::Malformed("a stored prekey"))?;
    Ok(PublicPreKey {
        id: row.id,
        value: raw(&value),
    })
}

/// What the world may see of a signed prekey.
///
/// # Errors
/// [`SignalError::Malformed`] if the record is none.
pub fn public_signed_prekey(row: &SignedPreKeyRow) -> Result<PublicSignedPreKey, SignalError> {
    let malformed = SignalError::Malformed("a stored signed prekey");
    let record = SignedPreKeyRecord::deserialize(&row.record).map_err(|_| malformed)?;
    let value = record.public_key().map_err(|_| malformed)?;
    let signature = record.signature().map_err(|_| malformed)?;
    Ok(PublicSignedPreKey {
        id: row.id,
        value: raw(&value),
        signature: signature.try_into().map_err(|_| malformed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_24_bits_and_are_never_0() {
        assert_eq!(key_id_after(1), 2);
        assert_eq!(key_id_after(LAST_KEY_ID), FIRST_KEY_ID);
        assert_eq!(key_id_after_many(LAST_KEY_ID, 1), FIRST_KEY_ID);
        assert_eq!(key_id_after_many(7, 3), 10);
        let (rows, next) = generate_prekeys(LAST_KEY_ID - 1, 3);
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids, [LAST_KEY_ID - 1, LAST_KEY_ID, 1]);
        assert_eq!(next, 2);
    }

    #[test]
    fn a_signed_prekey_is_signed_over_its_type_byte_too() {
        let made = generate_identity(Timestamp(1_700_000_000_000));
        let pair = IdentityKeyPair::try_from(made.identity_pair.as_slice()).unwrap();
        let key = public_signed_prekey(&made.signed_prekey).unwrap();
        let mut message = vec![5];
        message.extend_from_slice(&key.value);
        assert!(pair.public_key().verify_signature(&message, &key.signature));
        assert!(
            !pair
                .public_key()
                .verify_signature(&key.value, &key.signature)
        );
        assert!((1..=LAST_REGISTRATION_ID).contains(&made.registration_id));
    }
}
