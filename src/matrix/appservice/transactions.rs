//! `PUT /_matrix/app/v1/transactions/{txnId}`: takes events into the durable inbox.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#put_matrixappv1transactionstxnid>
//!
//! Only the envelope of each event is read. What cannot be read, an event or the whole body, goes to the quarantine and is answered
//! with success: the homeserver would send it again for ever, and everything behind it would wait.

use std::{borrow::Cow, collections::HashMap, sync::PoisonError};

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

use super::{AppserviceState, Devices, answer};
use crate::{
    domain::Timestamp,
    matrix::{
        DeviceTraffic,
        inbox::{self, Batch},
    },
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
    let Read {
        events,
        ephemeral,
        traffic,
    } = read(&body, &state);
    if !events.is_empty() || traffic.is_some() {
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
            device_traffic: traffic.as_ref().map(|news| news.json.clone()),
            mark: None,
        };
        // This handler is dropped when the homeserver closes the connection; what is stored has to be announced all the same.
        let stored = tokio::spawn(store(state.clone(), batch, traffic)).await;
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
async fn store(state: AppserviceState, batch: Batch, news: Option<News>) -> bool {
    let now = Timestamp(state.0.clock.now_ms());
    match inbox::take(&state.0.db, batch, now).await {
        Ok(accepted) => {
            if let (Some(news), Some(devices)) = (news, &state.0.devices) {
                devices.cipher.traffic_waiting(news.is_all);
            }
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

/// A transaction, taken apart.
#[derive(Default)]
struct Read {
    events: Vec<MatrixEventRow>,
    ephemeral: Vec<Value>,
    /// What came for the bridge's device.
    traffic: Option<News>,
}

/// What came for the bridge's device.
struct News {
    /// As it is kept.
    json: String,
    /// Whether its homeserver sends everything for the device with its transactions.
    is_all: bool,
}

fn read(body: &[u8], state: &AppserviceState) -> Read {
    let aside = |fault: String| Read {
        events: vec![inbox::body_row(body, fault)],
        ..Read::default()
    };
    let parts: HashMap<String, &RawValue> = match serde_json::from_slice(body) {
        Ok(parts) => parts,
        Err(error) => return aside(format!("the transaction is no JSON object: {error}")),
    };
    let events: Vec<&RawValue> = match parts.get("events").map(|events| events.get()) {
        None | Some("null") => Vec::new(),
        Some(events) => match serde_json::from_str(events) {
            Ok(events) => events,
            Err(error) => return aside(format!("the transaction's events are no list: {error}")),
        },
    };
    if let Some(devices) = &state.0.devices {
        for event in &events {
            devices
                .cipher
                .note_event(event.get(), &*state.0.sink, &devices.who.0);
        }
    }
    let ephemeral = EPHEMERAL
        .iter()
        .find_map(|key| serde_json::from_str(parts.get(*key)?.get()).ok())
        .unwrap_or_default();
    Read {
        events: events
            .iter()
            .filter(|event| !is_own(event, &*state.0.sink))
            .map(|event| inbox::row(event.get()))
            .collect(),
        ephemeral,
        traffic: state
            .0
            .devices
            .as_ref()
            .and_then(|devices| devices.take(&parts)),
    }
}

impl Devices {
    /// What a transaction has for the bridge's device, if that is news.
    fn take(&self, parts: &HashMap<String, &RawValue>) -> Option<News> {
        let (user, device) = &self.who;
        let traffic = DeviceTraffic::of_transaction(parts, (user, device))?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counts.is_none();
        if !is_first && traffic.adds_nothing_to(counts.as_ref()) {
            return None;
        }
        *counts = Some(traffic.counts());
        Some(News {
            is_all: traffic.is_all(),
            json: serde_json::to_string(&traffic).ok()?,
        })
    }
}

/// Whether an event is one of the bridge's own coming back, as every one of them does.
fn is_own(event: &RawValue, sink: &dyn super::AppserviceSink) -> bool {
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
