//! `PUT /_matrix/app/v1/transactions/{txnId}`: takes events into the durable inbox.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#put_matrixappv1transactionstxnid>
//!
//! Only the envelope of each event is read. What cannot be read, an event or the whole body, goes to the quarantine and is answered
//! with success: the homeserver would send it again for ever, and everything behind it would wait.

use std::{borrow::Cow, collections::HashMap};

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use ruma::api::error::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use super::{AppserviceSink, AppserviceState, answer};
use crate::{
    domain::Timestamp,
    matrix::inbox::{self, Batch},
    store::MatrixEventRow,
};

/// A hundred events of the largest size are some 6.5 MB; a refused transaction would be sent again for ever.
const LIMIT: usize = 32 * 1024 * 1024;

/// The same content under the stable key and under its older name; one of them is taken.
const EPHEMERAL: [&str; 2] = ["ephemeral", "de.sorunome.msc2409.ephemeral"];

pub(super) async fn take(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Response {
    let txn_id = match path {
        Ok(Path(txn_id)) => txn_id,
        Err(rejection) => return answer::bad_path(&rejection),
    };
    let body = match answer::whole_body(body, LIMIT).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    if let Some(order) = &state.0.order {
        order.admit(&txn_id).await;
    }
    let (events, ephemeral) = read(&body, &*state.0.sink);
    if !events.is_empty() {
        let quarantined = events.iter().filter(|row| row.quarantine.is_some()).count();
        if quarantined > 0 {
            tracing::warn!(
                quarantined,
                "parts of a transaction cannot be read and are set aside"
            );
        }
        let batch = Batch {
            txn_id: storable(txn_id),
            hash: Sha256::digest(&body).into(),
            events,
            mark: None,
        };
        // This handler is dropped when the homeserver closes the connection; what is stored has to be announced all the same.
        let stored = tokio::spawn(store(state.clone(), batch)).await;
        if !stored.unwrap_or_else(|error| failed(&error)) {
            if let Some(order) = &state.0.order {
                order.outage();
            }
            return answer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorKind::Unknown,
                "the events could not be stored, send them again",
            );
        }
    }
    if !ephemeral.is_empty() {
        state.0.sink.ephemeral(ephemeral);
    }
    answer::done()
}

/// Stores a batch and announces its rooms; whether it is stored.
async fn store(state: AppserviceState, batch: Batch) -> bool {
    let now = Timestamp(state.0.clock.now_ms());
    match inbox::take(&state.0.db, batch, now).await {
        Ok(accepted) => {
            if !accepted.rooms.is_empty() {
                state.0.sink.rooms_waiting(&accepted.rooms);
            }
            true
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> bool {
    tracing::error!(%error, "a transaction could not be stored, the homeserver has to send it again");
    false
}

fn read(body: &[u8], sink: &dyn AppserviceSink) -> (Vec<MatrixEventRow>, Vec<Value>) {
    let aside = |fault: String| (vec![inbox::body_row(body, fault)], Vec::new());
    let parts: HashMap<String, &RawValue> = match serde_json::from_slice(body) {
        Ok(parts) => parts,
        Err(error) => return aside(format!("the transaction is no JSON object: {error}")),
    };
    let events = match parts.get("events").map(|events| events.get()) {
        None | Some("null") => Vec::new(),
        Some(events) => match serde_json::from_str::<Vec<&RawValue>>(events) {
            Ok(events) => events
                .iter()
                .filter(|event| !is_own(event, sink))
                .map(|event| inbox::row(event.get()))
                .collect(),
            Err(error) => return aside(format!("the transaction's events are no list: {error}")),
        },
    };
    let ephemeral = EPHEMERAL
        .iter()
        .find_map(|key| serde_json::from_str(parts.get(*key)?.get()).ok())
        .unwrap_or_default();
    (events, ephemeral)
}

/// Whether an event is one of the bridge's own coming back, as every one of them does.
fn is_own(event: &RawValue, sink: &dyn AppserviceSink) -> bool {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        sender: Cow<'a, str>,
        #[serde(borrow, default)]
        room_id: Cow<'a, str>,
    }
    serde_json::from_str::<Sent<'_>>(event.get())
        .is_ok_and(|sent| sink.is_own(&sent.sender, &sent.room_id))
}

/// A transaction id a database takes; any text may come percent-encoded.
fn storable(txn_id: String) -> String {
    if txn_id.len() <= 255 && !txn_id.chars().any(char::is_control) {
        txn_id
    } else {
        inbox::hex(&Sha256::digest(txn_id))
    }
}
