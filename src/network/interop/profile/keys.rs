//! The keys of a profile as layers write them: each may be absent until all are joined.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{
    Chat, ChatTransport, Limits, MissingKeys, Profile, ProfileError, PushRules, Stanzas, Timing,
    TokenTemplate,
};
use crate::{
    domain::Capabilities,
    network::interop::wire::payload::{Product, UserAgent},
};

/// Maps whose keys are the operator's.
const FREE: [&str; 2] = ["token.claims", "enlist_fields"];

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    live: bool,
    integrator_id: Option<u16>,
    product: Option<Product>,
    protocol_version: u32,
    user_server: Option<String>,
    user_names: bool,
    enlist_url: Option<Url>,
    enlist_fields: BTreeMap<String, String>,
    jwks_url: Option<Url>,
    media_url: Option<Url>,
    media_path_prefix: String,
    picture_hosts: Vec<String>,
    visible_id_escapes: String,
    chat: ChatKeys,
    root_key: Option<RootKey>,
    push: PushKeys,
    token: TokenTemplate,
    user_agent: UserAgent,
    limits: Limits,
    timing: Timing,
    interop_jid_trailing_server: bool,
    features: Capabilities,
    stanzas: Stanzas,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChatKeys {
    transport: ChatTransport,
    address: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PushKeys {
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct RootKey([u8; 32]);

impl TryFrom<String> for RootKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "root_key is not 32 bytes in hex";
        let mut key = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(WRONG);
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| !digits.starts_with('+'))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or(WRONG)?;
        }
        // With a key of small order anybody's signature can be made to verify.
        if key == [0; 32] {
            return Err("root_key is zero");
        }
        Ok(Self(key))
    }
}

impl From<RootKey> for String {
    fn from(key: RootKey) -> Self {
        key.0.iter().fold(Self::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl Keys {
    pub(super) fn profile(self) -> Result<Profile, MissingKeys> {
        let missing: Vec<_> = [
            ("integrator_id", self.integrator_id.is_none()),
            ("product", self.product.is_none()),
            ("user_server", self.user_server.is_none()),
            ("enlist_url", self.enlist_url.is_none()),
            ("jwks_url", self.jwks_url.is_none()),
            ("media_url", self.media_url.is_none()),
            ("chat.address", self.chat.address.is_none()),
            ("root_key", self.root_key.is_none()),
            ("push.issuer", self.push.issuer.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, missing)| missing.then_some(key))
        .collect();
        let lacking = || MissingKeys(missing.clone());
        let integrator_id = self.integrator_id.ok_or_else(lacking)?;
        Ok(Profile {
            live: self.live,
            integrator_id,
            product: self.product.ok_or_else(lacking)?,
            protocol_version: self.protocol_version,
            user_server: self.user_server.ok_or_else(lacking)?,
            user_names: self.user_names,
            enlist_url: self.enlist_url.ok_or_else(lacking)?,
            enlist_fields: self.enlist_fields,
            jwks_url: self.jwks_url.ok_or_else(lacking)?,
            media_url: self.media_url.ok_or_else(lacking)?,
            media_path_prefix: self
                .media_path_prefix
                .replace("{integrator_id}", &integrator_id.to_string()),
            picture_hosts: self.picture_hosts,
            visible_id_escapes: self.visible_id_escapes,
            chat: Chat {
                transport: self.chat.transport,
                address: self.chat.address.ok_or_else(lacking)?,
            },
            root_key: self.root_key.ok_or_else(lacking)?.0,
            push: PushRules {
                issuer: self.push.issuer.ok_or_else(lacking)?,
                audience: self.push.audience,
            },
            token: self.token,
            user_agent: self.user_agent,
            limits: self.limits,
            timing: self.timing,
            interop_jid_trailing_server: self.interop_jid_trailing_server,
            features: self.features,
            stanzas: self.stanzas,
        })
    }
}

/// A layer, once every key in it is known and every value fits its key.
pub(super) fn checked(layer: &str, value: Value) -> Result<Value, ProfileError> {
    let invalid = |reason: String| ProfileError::Invalid {
        layer: layer.to_owned(),
        reason,
    };
    // An empty file is an empty layer.
    if value.is_null() {
        return Ok(Value::Object(Map::new()));
    }
    let known =
        serde_json::to_value(Keys::default()).map_err(|error| invalid(error.to_string()))?;
    if let Some(key) = unknown(&known, &value, "") {
        return Err(ProfileError::UnknownKey {
            layer: layer.to_owned(),
            key,
        });
    }
    Keys::deserialize(&without_nulls(value.clone())).map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}

/// The first key that is not among the known ones, with those above it.
fn unknown(known: &Value, value: &Value, above: &str) -> Option<String> {
    let (Value::Object(known), Value::Object(value)) = (known, value) else {
        return None;
    };
    if FREE.contains(&above) {
        return None;
    }
    value.iter().find_map(|(key, value)| {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        match known.get(key) {
            Some(known) => unknown(known, value, &path),
            None => Some(path),
        }
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Puts a layer over what is there, map by map. Null takes a key back to unset.
pub(super) fn join(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                if value.is_null() {
                    below.remove(&key);
                } else {
                    join(below.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (below, above) => *below = without_nulls(above),
    }
}
