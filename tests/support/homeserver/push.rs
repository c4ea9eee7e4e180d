//! Delivery to the application service: in order, one transaction at a time, the same one again until it is taken.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Value, json};

use super::Homeserver;

/// Events of one transaction, as in Synapse.
const BATCH: usize = 100;

pub(super) async fn deliver(server: Homeserver) {
    let mut position = (0, 0);
    let mut txn = 0_u64;
    while !server.cancel.is_cancelled() {
        let notified = server.changed.notified();
        let (body, next) = batch(&server, position);
        let url = server
            .as_url
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if next == position || url.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), notified).await;
            continue;
        }
        txn += 1;
        while !server.cancel.is_cancelled() {
            let url = server
                .as_url
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let asked = std::time::Instant::now();
            let answer = server
                .http
                .put(format!("{url}/_matrix/app/v1/transactions/{txn}"))
                .bearer_auth(&server.hs_token)
                .json(&body)
                .send()
                .await;
            // Synapse counts an answer that is no JSON object as a failure.
            let taken = match answer {
                Ok(answer) if answer.status().is_success() => answer.json::<Value>().await.is_ok(),
                _ => false,
            };
            if taken {
                server.world().taken.push(asked.elapsed());
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        position = next;
    }
}

/// The next events the application service is interested in (of rooms its users are or were in, and all rooms here are such) and
/// what else happened meanwhile, under both of its names.
fn batch(server: &Homeserver, (from, shown): (usize, usize)) -> (Value, (usize, usize)) {
    let world = server.world();
    let entries = world.stream.iter().skip(from).take(BATCH);
    let events: Vec<&Value> = entries
        .map(|(room, index)| &world.rooms[room].events[*index])
        .collect();
    let ephemeral = &world.ephemeral[shown..];
    let next = (from + events.len(), world.ephemeral.len());
    let mut batch = json!({ "events": events });
    if !ephemeral.is_empty() {
        batch["ephemeral"] = json!(ephemeral);
        batch["de.sorunome.msc2409.ephemeral"] = json!(ephemeral);
    }
    (batch, next)
}
