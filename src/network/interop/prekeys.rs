//! Our prekeys at the gatekeeper: made and stored first, uploaded then, and marked when the gatekeeper confirmed them.
//!
//! ```xml
//! <iq type="set" xmlns="encrypt" to="s.whatsapp.net"><registration/><type/><identity/>
//!   <list><key><id/><value/></key>…</list><skey><id/><value/><signature/></skey></iq>
//! <iq type="set" xmlns="encrypt" to="s.whatsapp.net"><rotate><skey/></rotate></iq>
//! ```
//! The requests for the count and the digest are in [`super::session::iq`].

use super::{
    bundle,
    session::iq,
    wire::{Jid, Node},
};
use crate::{
    domain::{LoginId, Timestamp},
    signal::{
        Device, FIRST_KEY_ID, PublicPreKey, PublicSignedPreKey, SignalError, generate_prekeys,
        generate_signed_prekey, key_id_after, public_prekey, public_signed_prekey,
    },
    store::{LoginRow, PreKeyRow, StoreError, StoreTxn},
};

/// A signed prekey this old is replaced: two days before the 27 it may be used, for those who are offline.
const ROTATE_AFTER_MS: i64 = 25 * 24 * 60 * 60 * 1000;

/// How many signed prekeys are kept, so that messages on their way can still be read.
const SIGNED_PREKEYS_KEPT: i64 = 3;

/// How many one-time prekeys are made at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSizes {
    /// The first time.
    pub first: usize,
    /// Every other time.
    pub refill: usize,
}

/// One-time prekeys to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The request.
    pub iq: Node,
    /// What to [`confirm`] when it is answered.
    pub ids: Vec<u32>,
}

/// A signed prekey to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The request.
    pub iq: Node,
    /// What to pass to [`confirm_rotation`] when it is answered.
    pub id: u32,
}

/// The next upload: what the gatekeeper has not confirmed, else new prekeys. `None` if there is no such login.
///
/// An upload whose answer was lost is made again with the same keys. The request may leave after the commit.
///
/// # Errors
/// The store's.
pub async fn upload(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    server: &Jid,
    sizes: BatchSizes,
    now: Timestamp,
) -> Result<Option<Upload>, StoreError> {
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(None);
    };
    let mut prekeys = txn.unconfirmed_prekeys(login).await?;
    if prekeys.is_empty() {
        let count = if row.next_prekey_id == FIRST_KEY_ID {
            sizes.first
        } else {
            sizes.refill
        };
        let (made, next) = generate_prekeys(row.next_prekey_id, count);
        txn.insert_prekeys(login, &made, next).await?;
        prekeys = made;
    }
    let mut list = Node::new("list");
    for prekey in &prekeys {
        list = list.child(bundle::prekey(&public(prekey)?));
    }
    let signed = current_signed_prekey(txn, &row, &device, now).await?;
    let mut children = bundle::own(&device).to_vec();
    children.extend([list, bundle::signed_prekey(&signed)]);
    Ok(Some(Upload {
        iq: iq::encrypt_set(server, children),
        ids: prekeys.iter().map(|prekey| prekey.id).collect(),
    }))
}

/// The gatekeeper has the prekeys of an [`Upload`].
///
/// # Errors
/// The store's.
pub async fn confirm(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    ids: &[u32],
) -> Result<(), StoreError> {
    txn.confirm_prekeys(login, ids).await
}

/// The signed prekey the gatekeeper should get: a new one when the current one is old, or one it has not confirmed.
///
/// # Errors
/// The store's.
pub async fn rotation(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    server: &Jid,
    now: Timestamp,
) -> Result<Option<Rotation>, StoreError> {
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(None);
    };
    let current = txn.signed_prekey(login, row.signed_prekey_id).await?;
    let unconfirmed = txn.value(&unconfirmed_key(login)).await?;
    let unconfirmed = unconfirmed.is_some_and(|id| id == row.signed_prekey_id.to_string());
    let key = match current {
        Some(key) if now.0.saturating_sub(key.created_at.0) < ROTATE_AFTER_MS => {
            if !unconfirmed {
                return Ok(None);
            }
            key
        }
        _ => {
            let id = key_id_after(row.signed_prekey_id);
            let made = generate_signed_prekey(&device, id, now);
            txn.put_signed_prekey(login, &made, SIGNED_PREKEYS_KEPT)
                .await?;
            txn.set_value(&unconfirmed_key(login), &id.to_string())
                .await?;
            made
        }
    };
    let public = public_signed_prekey(&key).map_err(corrupt)?;
    let rotate = Node::new("rotate").child(bundle::signed_prekey(&public));
    Ok(Some(Rotation {
        iq: iq::encrypt_set(server, vec![rotate]),
        id: key.id,
    }))
}

/// The gatekeeper has the signed prekey of a [`Rotation`].
///
/// # Errors
/// The store's.
pub async fn confirm_rotation(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    id: u32,
) -> Result<(), StoreError> {
    let key = unconfirmed_key(login);
    if txn.value(&key).await? == Some(id.to_string()) {
        txn.set_value(&key, "").await?;
    }
    Ok(())
}

/// `<keys>` for a retry receipt: our identity, a one-time prekey nobody else gets, and the signed prekey. The one-time prekey is
/// stored in the transaction; `next_id` moves past it.
pub(super) async fn hand_out(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    device: &Device,
    next_id: &mut u32,
    now: Timestamp,
) -> Result<Node, StoreError> {
    let (mut made, next) = generate_prekeys(*next_id, 1);
    for prekey in &mut made {
        // It goes to one peer; the gatekeeper must not give it to another.
        prekey.uploaded = true;
    }
    txn.insert_prekeys(row.id, &made, next).await?;
    *next_id = next;
    let signed = current_signed_prekey(txn, row, device, now).await?;
    let [_, kind, identity] = bundle::own(device);
    let mut keys = Node::new("keys").child(kind).child(identity);
    for prekey in &made {
        keys = keys.child(bundle::prekey(&public(prekey)?));
    }
    Ok(keys.child(bundle::signed_prekey(&signed)))
}

async fn current_signed_prekey(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    device: &Device,
    now: Timestamp,
) -> Result<PublicSignedPreKey, StoreError> {
    let key = if let Some(key) = txn.signed_prekey(row.id, row.signed_prekey_id).await? {
        key
    } else {
        let made = generate_signed_prekey(device, row.signed_prekey_id.max(FIRST_KEY_ID), now);
        txn.put_signed_prekey(row.id, &made, SIGNED_PREKEYS_KEPT)
            .await?;
        made
    };
    public_signed_prekey(&key).map_err(corrupt)
}

fn public(row: &PreKeyRow) -> Result<PublicPreKey, StoreError> {
    public_prekey(row).map_err(corrupt)
}

fn corrupt(error: SignalError) -> StoreError {
    StoreError::Corrupt {
        table: "prekey",
        reason: error.to_string(),
    }
}

fn unconfirmed_key(login: LoginId) -> String {
    format!("signed_prekey_unconfirmed/{login}")
}
