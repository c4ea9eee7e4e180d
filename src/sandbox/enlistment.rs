//! Enlistment: `POST /{whatsapp|messenger}/3p/interop_reg`, form-encoded; JSON with status 200 either way.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rand::RngExt;

use super::{
    directory::{Account, DeviceKeys, Directory, Kind, People, SignedKey, Step},
    flavour::Flavour,
    office::Office,
    token::{Subject, TokenError},
};
use crate::network::interop::wire::{
    Jid,
    enlistment::{self, Enlistment, EnlistmentAnswer},
};

/// The interop protocol version the sandbox speaks, which an enlistment names in `protocol_version`.
pub(super) const PROTOCOL_VERSION: u32 = 1;

/// Why there is no login.
enum Refusal {
    /// The gatekeeper's word for it.
    Reason(&'static str),
    /// It cannot be decided now.
    Unavailable,
}

/// The gatekeeper a path is of.
pub(super) fn flavour_of(path: &str) -> Option<Flavour> {
    Flavour::ALL
        .into_iter()
        .find(|flavour| flavour.path() == path)
}

/// The endpoint.
pub(super) async fn enlist(
    State(office): State<Arc<Office>>,
    Path(path): Path<String>,
    body: Bytes,
) -> Response {
    let Some(flavour) = flavour_of(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let answer = match take(&office, flavour, &body).await {
        Ok(login) => EnlistmentAnswer::Ok { login },
        Err(Refusal::Reason(reason)) => EnlistmentAnswer::Fail {
            reason: reason.to_owned(),
        },
        Err(Refusal::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    Json(answer).into_response()
}

async fn take(office: &Arc<Office>, flavour: Flavour, body: &[u8]) -> Result<Jid, Refusal> {
    let request = enlistment::parse(body).map_err(|error| {
        tracing::debug!(%error, "an enlistment is malformed");
        Refusal::Reason("bad_param")
    })?;
    let version = request
        .extra
        .get("protocol_version")
        .map(|version| version.parse());
    if version != Some(Ok(PROTOCOL_VERSION)) {
        return Err(Refusal::Reason("old_version"));
    }
    let keys = device_keys(&request);
    if !keys.signed.is_signed_by(&keys.identity) {
        return Err(Refusal::Reason("bad_signature"));
    }
    let subject = office
        .verifier
        .verify(&request.token, flavour, office.now())
        .await
        .map_err(|error| {
            tracing::debug!(%error, "an enlistment's token is refused");
            refusal(error)
        })?;
    let now = office.now().0;
    let (jid, done) = office
        .step(|directory, step| admit(directory, step, flavour, &subject, &request, keys, now));
    done.await.map_err(|_| Refusal::Unavailable)?;
    Ok(jid)
}

fn device_keys(request: &Enlistment) -> DeviceKeys {
    DeviceKeys {
        registration_id: request.keys.registration_id,
        identity: request.keys.identity,
        signed: SignedKey {
            id: request.keys.signed_prekey_id,
            value: request.keys.signed_prekey,
            signature: request.keys.signed_prekey_signature.to_vec(),
        },
    }
}

fn refusal(error: TokenError) -> Refusal {
    Refusal::Reason(match error {
        TokenError::KeySet => return Refusal::Unavailable,
        TokenError::Issuer => "bad_integrator",
        TokenError::Stale => "stale_token",
        TokenError::Identifier => "bad_identifier",
        TokenError::Malformed
        | TokenError::UnknownKey
        | TokenError::Signature
        | TokenError::Audience => "bad_token",
    })
}

/// Makes the account, or gives the same user new keys.
fn admit(
    directory: &mut Directory,
    step: &mut Step,
    flavour: Flavour,
    subject: &Subject,
    request: &Enlistment,
    keys: DeviceKeys,
    now: i64,
) -> Jid {
    let known = directory.accounts.values().find(|account| {
        account.flavour == flavour
            && matches!(&account.kind, Kind::Partner { integrator, visible_id, .. }
                if *integrator == subject.integrator && *visible_id == subject.visible_id)
    });
    if let Some(jid) = known.map(|account| account.jid.clone()) {
        let mut changed = false;
        if let Some(account) = directory.accounts.get_mut(&jid) {
            changed = account
                .keys
                .as_ref()
                .is_some_and(|old| old.identity != keys.identity);
            account.noise_public = request.keys.noise_public;
            account.keys = Some(keys);
            account.last_seen = now;
        }
        directory.save_account(&jid, step);
        if changed {
            directory.clear_prekeys(&jid, step);
            directory.announce_identity(&jid, now, step);
        }
        return jid;
    }
    let jid = loop {
        let jid = Jid::interop(
            subject.integrator,
            rand::rng().random_range(10_000_000_000_000..100_000_000_000_000),
        );
        if !directory.accounts.contains_key(&jid) {
            break jid;
        }
    };
    let account = Account {
        jid: jid.clone(),
        flavour,
        kind: Kind::Partner {
            integrator: subject.integrator,
            visible_id: subject.visible_id.clone(),
            read_receipts: true,
        },
        name: String::new(),
        noise_public: request.keys.noise_public,
        keys: Some(keys),
        blocked: BTreeSet::new(),
        chats: BTreeSet::new(),
        last_seen: now,
        people: People::default(),
    };
    directory.accounts.insert(jid.clone(), account);
    directory.save_account(&jid, step);
    jid
}
