//! `POST /phones/register`: a number and the keys of its phone, as JSON. Who comes first has the number.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{
    network::interop::wire::Jid,
    sandbox::{
        directory::{Account, DeviceKeys, Kind, People, SignedKey},
        flavour::Flavour,
        office::Office,
    },
};

/// A registration; keys in base64, without their type byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    jid: Jid,
    name: String,
    noise_key: String,
    #[serde(rename = "registration_id")]
    device_id: u32,
    identity: String,
    signed_prekey_id: u32,
    signed_prekey: String,
    signed_prekey_signature: String,
    /// Whether Partners' users may reach the phone.
    #[serde(default = "yes")]
    opted_in: bool,
}

fn yes() -> bool {
    true
}

/// The endpoint: 204, 400 for what is no registration, 409 if the number has another phone.
pub(super) async fn register(
    State(office): State<Arc<Office>>,
    Json(registration): Json<Registration>,
) -> StatusCode {
    let Some(account) = read(&registration, office.now().0) else {
        return StatusCode::BAD_REQUEST;
    };
    let (status, done) = office.step(|directory, step| {
        if let Some(known) = directory.accounts.get(&account.jid) {
            return if known.noise_public == account.noise_public {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::CONFLICT
            };
        }
        let jid = account.jid.clone();
        directory.accounts.insert(jid.clone(), account);
        directory.save_account(&jid, step);
        StatusCode::NO_CONTENT
    });
    match done.await {
        Ok(()) => status,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn read(registration: &Registration, now: i64) -> Option<Account> {
    let Jid::User {
        user,
        server,
        device: 0,
    } = &registration.jid
    else {
        return None;
    };
    let flavour = Flavour::of_server(server)?;
    user.parse::<u64>()
        .ok()
        .filter(|number| number.to_string() == *user)?;
    let key = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
    let keys = DeviceKeys {
        registration_id: registration.device_id,
        identity: key(&registration.identity)?,
        signed: SignedKey {
            id: registration.signed_prekey_id,
            value: key(&registration.signed_prekey)?,
            signature: STANDARD
                .decode(&registration.signed_prekey_signature)
                .ok()?,
        },
    };
    if !keys.signed.is_signed_by(&keys.identity) {
        return None;
    }
    Some(Account {
        jid: registration.jid.clone(),
        flavour,
        kind: Kind::Phone,
        name: registration.name.chars().take(100).collect(),
        noise_public: key(&registration.noise_key)?,
        keys: Some(keys),
        blocked: BTreeSet::new(),
        chats: BTreeSet::new(),
        last_seen: now,
        people: People {
            opted_out: !registration.opted_in,
            ..People::default()
        },
    })
}
