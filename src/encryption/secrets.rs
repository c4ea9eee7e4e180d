//! The private keys of the bot's identity in its secret storage at the homeserver, under the recovery key.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#secret-storage>

use matrix_sdk_crypto::{
    secret_storage::{AesHmacSha2EncryptedData, SecretStorageKey},
    store::types::CrossSigningKeyExport,
};
use ruma_crypto::events::{
    EventContentFromType as _, secret::request::SecretName,
    secret_storage::key::SecretStorageKeyEventContent,
};
use serde_json::{Value, json, value::to_raw_value};

use super::machine::EncryptionError;
use crate::matrix::{Intent, MatrixError};

/// Which key the secrets are stored under.
const DEFAULT: &str = "m.secret_storage.default_key";
/// What the types of the descriptions of keys begin with.
const KEYS: &str = "m.secret_storage.key.";

/// The three secrets in the order of an identity's keys.
fn names() -> [SecretName; 3] {
    [
        SecretName::CrossSigningMasterKey,
        SecretName::CrossSigningSelfSigningKey,
        SecretName::CrossSigningUserSigningKey,
    ]
}

/// A recovery key from how it is written and from its description at the homeserver, which tells whether it is the one.
pub(super) fn key(
    written: &str,
    id: &str,
    description: &Value,
) -> Result<SecretStorageKey, EncryptionError> {
    let fault = |error: &dyn std::fmt::Display| EncryptionError::Crypto(error.to_string());
    let raw = to_raw_value(description).map_err(|error| fault(&error))?;
    let description = SecretStorageKeyEventContent::from_parts(&format!("{KEYS}{id}"), &raw)
        .map_err(|error| fault(&error))?;
    SecretStorageKey::from_account_data(written, description).map_err(|error| fault(&error))
}

/// How a key is described at the homeserver.
pub(super) fn description(key: &SecretStorageKey) -> Result<Value, EncryptionError> {
    serde_json::to_value(key.event_content())
        .map_err(|error| EncryptionError::Crypto(error.to_string()))
}

/// What the homeserver describes as the key of the secret storage: its id and description; `None` if there is no secret storage.
pub(super) async fn described(bot: &Intent) -> Result<Option<(String, Value)>, MatrixError> {
    let Some(default) = bot.account_data(DEFAULT).await? else {
        return Ok(None);
    };
    let Some(id) = default["key"].as_str() else {
        return Ok(None);
    };
    let description = bot.account_data(&format!("{KEYS}{id}")).await?;
    Ok(description.map(|description| (id.to_owned(), description)))
}

/// Puts the private keys of an identity into the secret storage. That there is one is told last.
pub(super) async fn put(
    bot: &Intent,
    key: &SecretStorageKey,
    keys: &CrossSigningKeyExport,
) -> Result<(), EncryptionError> {
    let id = key.key_id();
    bot.set_account_data(&format!("{KEYS}{id}"), &description(key)?)
        .await?;
    let seeds = [
        &keys.master_key,
        &keys.self_signing_key,
        &keys.user_signing_key,
    ];
    for (name, seed) in names().iter().zip(seeds) {
        let Some(seed) = seed else {
            continue;
        };
        let sealed = key.encrypt(seed.clone().into_bytes(), name);
        let content = json!({ "encrypted": { id: sealed } });
        bot.set_account_data(name.as_str(), &content).await?;
    }
    Ok(bot.set_account_data(DEFAULT, &json!({ "key": id })).await?)
}

/// Takes the private keys out of the secret storage.
pub(super) async fn take(
    bot: &Intent,
    key: &SecretStorageKey,
) -> Result<CrossSigningKeyExport, EncryptionError> {
    let mut seeds = Vec::new();
    for name in names() {
        let content = bot.account_data(name.as_str()).await?.unwrap_or_default();
        let sealed = content["encrypted"][key.key_id()].clone();
        let sealed: AesHmacSha2EncryptedData = serde_json::from_value(sealed).map_err(|_| {
            EncryptionError::Crypto(format!("{name} is not in the bot's secret storage"))
        })?;
        let seed = key.decrypt(&sealed, &name).ok();
        let seed = seed.and_then(|seed| String::from_utf8(seed).ok());
        seeds.push(Some(seed.ok_or_else(|| {
            EncryptionError::Crypto(format!("{name} is sealed with another key"))
        })?));
    }
    let mut seeds = seeds.into_iter().flatten();
    Ok(CrossSigningKeyExport {
        master_key: seeds.next(),
        self_signing_key: seeds.next(),
        user_signing_key: seeds.next(),
    })
}
