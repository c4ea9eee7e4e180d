//! From events as they came to rows of the durable inbox; both ways in, transactions and repair, end here.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    domain::Timestamp,
    store::{Accepted, Database, Lane, MatrixEventRow, StoreError},
};

/// Events that are taken together.
pub(super) struct Batch {
    /// Their id; known pairs of id and hash are taken only once.
    pub(super) txn_id: String,
    /// SHA-256 of what they came in.
    pub(super) hash: [u8; 32],
    /// The events.
    pub(super) events: Vec<MatrixEventRow>,
    /// What came for the bridge's device beside them, as JSON.
    pub(super) device_traffic: Option<String>,
    /// A value that is to change together with them.
    pub(super) mark: Option<(&'static str, String)>,
}

/// Makes a batch durable.
pub(super) async fn take(
    db: &Database,
    batch: Batch,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let batch = Arc::new(batch);
    let accepted = db
        // One lane: homeservers send one transaction after the other, and a room's order is theirs.
        .step(Lane::room("transactions"), move |txn| {
            let batch = batch.clone();
            Box::pin(async move {
                let accepted = txn
                    .accept_transaction(&batch.txn_id, &batch.hash, &batch.events, now)
                    .await?;
                if let Some(traffic) = &batch.device_traffic {
                    txn.keep_device_traffic(traffic, now).await?;
                }
                if let Some((key, value)) = &batch.mark {
                    txn.set_value(key, value).await?;
                }
                fail::fail_point!("inbox.before_commit");
                Ok(accepted)
            })
        })
        .await?;
    fail::fail_point!("inbox.after_commit");
    Ok(accepted)
}

/// What must be readable of every event.
#[derive(Deserialize)]
struct Envelope {
    event_id: String,
    room_id: String,
    sender: String,
    #[serde(rename = "type")]
    kind: String,
}

/// An event as a row; one whose envelope cannot be read is marked for the quarantine.
pub(super) fn row(json: &str) -> MatrixEventRow {
    let fault = match serde_json::from_str::<Envelope>(json) {
        Ok(envelope) => match envelope.fault() {
            None => {
                return MatrixEventRow {
                    event_id: envelope.event_id,
                    room_id: envelope.room_id,
                    json: json.to_owned(),
                    quarantine: None,
                };
            }
            Some(fault) => fault.to_owned(),
        },
        Err(error) => error.to_string(),
    };
    quarantined(json.to_owned(), json.as_bytes(), fault)
}

/// A body that is no transaction at all, kept for the operator.
pub(super) fn body_row(body: &[u8], fault: String) -> MatrixEventRow {
    // As a JSON text it has no characters a database refuses.
    let text = match std::str::from_utf8(body) {
        Ok(text) => serde_json::Value::from(text),
        Err(_) => serde_json::json!({ "base64": STANDARD.encode(body) }),
    };
    quarantined(text.to_string(), body, fault)
}

fn quarantined(json: String, content: &[u8], fault: String) -> MatrixEventRow {
    MatrixEventRow {
        event_id: format!("unreadable-{}", hex(&Sha256::digest(content))),
        room_id: String::new(),
        json,
        quarantine: Some(fault),
    }
}

impl Envelope {
    fn fault(&self) -> Option<&'static str> {
        if !is_id(&self.event_id, '$') {
            Some("event_id is not an event id")
        } else if !is_id(&self.room_id, '!') {
            Some("room_id is not a room id")
        } else if !is_id(&self.sender, '@') {
            Some("sender is not a user id")
        } else if self.kind.len() > 255 {
            Some("type has more than 255 bytes")
        } else {
            None
        }
    }
}

fn is_id(text: &str, sigil: char) -> bool {
    text.len() > 1
        && text.len() <= 255
        && text.starts_with(sigil)
        && !text.chars().any(char::is_control)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
