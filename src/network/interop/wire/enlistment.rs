//! The body of the enlistment request and its answer.
//!
//! `authkey=…&e_keytype=BQ&e_regid=…&e_ident=…&e_skey_id=…&e_skey_val=…&e_skey_sig=…&token=…`, form-encoded; binary values
//! in unpadded base64url, integers big-endian. The answer is JSON with status 200 either way:
//! `{"login":"1-10853634039893@interop","status":"ok"}` or `{"reason":"bad_integrator","status":"fail"}`.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::Jid;

/// The type byte of X25519 keys.
const KEY_TYPE: u8 = 5;
/// The longest token the gatekeeper takes, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// The keys a login enlists with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnlistmentKeys {
    /// The Noise static public key.
    pub noise_public: [u8; 32],
    /// The Signal registration id.
    pub registration_id: u32,
    /// The Signal identity key without its type byte.
    pub identity: [u8; 32],
    /// The signed prekey's id, 24 bits.
    pub signed_prekey_id: u32,
    /// The signed prekey without its type byte.
    pub signed_prekey: [u8; 32],
    /// The identity key's XEdDSA signature over `05` and the signed prekey.
    pub signed_prekey_signature: [u8; 64],
}

/// An enlistment request.
#[derive(Clone, PartialEq, Eq)]
pub struct Enlistment {
    /// The login's keys.
    pub keys: EnlistmentKeys,
    /// The Partner's JWT for the user.
    pub token: String,
    /// Fields the profile adds.
    pub extra: BTreeMap<String, String>,
}

impl std::fmt::Debug for Enlistment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enlistment")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Why a body is no enlistment request: the field that is missing, malformed or there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field {0} of the enlistment is missing, malformed or there twice")]
pub struct EnlistmentError(pub &'static str);

/// The gatekeeper's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum EnlistmentAnswer {
    /// The login exists now.
    Ok {
        /// Its internal identifier, `1-10853634039893@interop`.
        login: Jid,
    },
    /// It was refused.
    Fail {
        /// Why, in the gatekeeper's words, such as `bad_integrator`.
        reason: String,
    },
}

/// Encodes a request's body.
#[must_use]
pub fn encode(enlistment: &Enlistment) -> String {
    let keys = &enlistment.keys;
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("authkey", &base64(&keys.noise_public))
        .append_pair("e_keytype", &base64(&[KEY_TYPE]))
        .append_pair("e_regid", &base64(&keys.registration_id.to_be_bytes()))
        .append_pair("e_ident", &base64(&keys.identity))
        .append_pair(
            "e_skey_id",
            &base64(&keys.signed_prekey_id.to_be_bytes()[1..]),
        )
        .append_pair("e_skey_val", &base64(&keys.signed_prekey))
        .append_pair("e_skey_sig", &base64(&keys.signed_prekey_signature))
        .append_pair("token", &enlistment.token)
        .extend_pairs(&enlistment.extra);
    body.finish()
}

/// Reads a request's body.
///
/// # Errors
/// Names the field that is missing, malformed or there twice.
pub fn parse(body: &[u8]) -> Result<Enlistment, EnlistmentError> {
    let mut fields = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(body) {
        if fields
            .insert(name.to_string(), value.into_owned())
            .is_some()
        {
            twice.insert(name.into_owned());
        }
    }
    let mut take = |name: &'static str| {
        let value = fields.remove(name).ok_or(EnlistmentError(name))?;
        if twice.contains(name) {
            return Err(EnlistmentError(name));
        }
        Ok(value)
    };
    let noise_public = binary("authkey", &take("authkey")?)?;
    if binary("e_keytype", &take("e_keytype")?)? != [KEY_TYPE] {
        return Err(EnlistmentError("e_keytype"));
    }
    let registration_id = u32::from_be_bytes(binary("e_regid", &take("e_regid")?)?);
    let identity = binary("e_ident", &take("e_ident")?)?;
    let [a, b, c] = binary("e_skey_id", &take("e_skey_id")?)?;
    let signed_prekey = binary("e_skey_val", &take("e_skey_val")?)?;
    let signed_prekey_signature = binary("e_skey_sig", &take("e_skey_sig")?)?;
    let token = take("token")?;
    if token.is_empty() || token.len() > MAX_TOKEN {
        return Err(EnlistmentError("token"));
    }
    Ok(Enlistment {
        keys: EnlistmentKeys {
            noise_public,
            registration_id,
            identity,
            signed_prekey_id: u32::from_be_bytes([0, a, b, c]),
            signed_prekey,
            signed_prekey_signature,
        },
        token,
        extra: fields,
    })
}

fn binary<const N: usize>(name: &'static str, text: &str) -> Result<[u8; N], EnlistmentError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(EnlistmentError(name))
}
