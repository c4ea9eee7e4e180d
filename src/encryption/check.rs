//! What `doctor` finds about encrypted rooms.

use serde_json::Value;

use super::{
    CARRIED,
    device::DEVICE,
    identity::{self, Noted},
};
use crate::{
    config::{EncryptionConfig, KeyDelivery},
    domain::Finding,
    matrix::{Client, MatrixError},
    store::Database,
};

/// What gives the better way on Synapse.
const SYNAPSE_FLAGS: &str = "Synapse brings them with its transactions if homeserver.yaml has `experimental_features: {msc2409_to_device_messages_enabled: true, msc3202_transaction_extensions: true}`";

/// The id of the bot's device, out of the database; `None` if it was not made yet.
pub async fn device_id(db: &Database) -> Option<String> {
    let read = db.read(|txn| Box::pin(async move { txn.value(DEVICE).await }));
    let read: Result<_, crate::store::StoreError> = read.await;
    read.ok().flatten()
}

/// Which way keys come, whether the homeserver has those of the bot's device, and whether that is signed.
pub async fn check(db: &Database, client: &Client, config: &EncryptionConfig) -> Vec<Finding> {
    if !config.allow {
        let off = "encrypted rooms are not bridged (encryption.allow)";
        return vec![Finding::Note(off.to_owned())];
    }
    let Some(device) = device_id(db).await else {
        let none = "encrypted rooms: the bot's device is made at the first run";
        return vec![Finding::Note(none.to_owned())];
    };
    let mut found = vec![way(db, client, config).await];
    let bot = client.bot_id().as_str();
    match client.bot().keys_of(client.bot_id()).await {
        Ok(keys) => found.extend(keys_found(db, &keys, bot, &device).await),
        Err(error) => found.push(refused(&error)),
    }
    found
}

async fn way(db: &Database, client: &Client, config: &EncryptionConfig) -> Finding {
    let carried = db
        .read(|txn| Box::pin(async move { txn.value(CARRIED).await }))
        .await;
    let carried = matches!(carried, Ok(Some(_)));
    let synapse = client.software().await;
    let is_synapse = synapse.is_some_and(|name| name.eq_ignore_ascii_case("synapse"));
    match config.delivery {
        KeyDelivery::Transactions if !carried => Finding::bad(
            "encrypted rooms: encryption.delivery is `transactions`, but no transaction has brought a key yet",
            format!("{SYNAPSE_FLAGS}; else set encryption.delivery to `auto`"),
        ),
        KeyDelivery::Auto | KeyDelivery::Transactions if carried => Finding::Good(
            "encrypted rooms: keys come with the homeserver's transactions".to_owned(),
        ),
        _ if is_synapse && config.delivery == KeyDelivery::Auto => Finding::Note(format!(
            "encrypted rooms: keys are asked for with /sync, which works; {SYNAPSE_FLAGS}"
        )),
        _ => Finding::Good("encrypted rooms: keys are asked for with /sync".to_owned()),
    }
}

async fn keys_found(db: &Database, keys: &Value, bot: &str, device: &str) -> Vec<Finding> {
    let ours = &keys["device_keys"][bot][device];
    if ours.is_null() {
        return vec![Finding::bad(
            format!("encrypted rooms: the homeserver has no keys of the bot's device {device}"),
            "is the bridge running? The log says what the homeserver answered to the keys",
        )];
    }
    let mut found = vec![Finding::Good(format!(
        "encrypted rooms: the homeserver has the keys of the bot's device {device}"
    ))];
    let signing = keys["self_signing_keys"][bot]["keys"].as_object();
    let signatures = &ours["signatures"][bot];
    let is_signed = signing.is_some_and(|of| of.keys().any(|id| signatures[id].is_string()));
    found.push(if is_signed {
        Finding::Good("encrypted rooms: the bot's device is cross-signed".to_owned())
    } else {
        let noted = match identity::store(db, bot).await {
            Ok(Some(store)) => Noted::of(&store).await.ok().flatten(),
            _ => None,
        };
        let hint = if noted.is_some_and(|noted| noted.is_done) {
            "somebody else has given the bot another identity; restart the bridge"
        } else {
            "the bridge signs it while it runs; the log says what the homeserver answered, or that encryption.recovery_key is wrong"
        };
        Finding::bad(
            "encrypted rooms: the bot's device is not cross-signed; clients that exclude such devices give it no keys, so what they say cannot be carried",
            hint,
        )
    });
    found
}

fn refused(error: &MatrixError) -> Finding {
    Finding::bad(
        format!(
            "encrypted rooms: the homeserver does not tell the keys of the bot's device: {error}"
        ),
        "does the registration have `io.element.msc4190: true`? Write it anew with `drawbridge registration` and restart the homeserver",
    )
}
