//! Delivery to the application service: in order, one transaction at a time, the same one again until it is taken.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Value, json};

use super::{Homeserver, devices::Devices};

/// Events of one transaction, as in Synapse.
const BATCH: usize = 100;

pub(super) async fn deliver(server: Homeserver) {
    let mut position = Place::default();
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

/// Up to where everything was shown: events, what is kept nowhere, messages to devices, changes of devices.
type Place = (usize, usize, usize, usize);

/// The next events the application service is interested in (of rooms its users are or were in, and all rooms here are such) and
/// what else happened meanwhile, under both of its names.
fn batch(server: &Homeserver, (from, shown, sent, changed): Place) -> (Value, Place) {
    let world = server.world();
    let entries = world.stream.iter().skip(from).take(BATCH);
    let events: Vec<&Value> = entries
        .map(|(room, index)| &world.rooms[room].events[*index])
        .collect();
    let ephemeral = &world.ephemeral[shown..];
    let devices = &world.devices;
    let (messages, changes) = devices.place();
    let next = (
        from + events.len(),
        world.ephemeral.len(),
        messages,
        changes,
    );
    let mut batch = json!({ "events": events });
    if !ephemeral.is_empty() {
        batch["ephemeral"] = json!(ephemeral);
        batch["de.sorunome.msc2409.ephemeral"] = json!(ephemeral);
    }
    if next != (from, shown, sent, changed) && !devices.asked_for_alone {
        add_traffic(&mut batch, devices, (sent, changed));
    }
    (batch, next)
}

/// What there is for the bot's devices, each part under the names it had and has.
fn add_traffic(batch: &mut Value, devices: &Devices, (sent, changed): (usize, usize)) {
    let mut messages = Vec::new();
    let (mut counts, mut fallback) = (json!({}), json!({}));
    for whose @ (user, device) in devices.of_bot() {
        for mut message in devices.messages_from(sent, whose) {
            message["to_user_id"] = json!(user);
            message["to_device_id"] = json!(device);
            messages.push(message);
        }
        counts[user][device] = devices.counts(whose);
        fallback[user][device] = devices.unused_fallback(whose);
    }
    let lists = json!({ "changed": devices.changed_from(changed), "left": [] });
    let parts = [
        (
            ["to_device", "de.sorunome.msc2409.to_device"],
            json!(messages),
        ),
        (["device_lists", "org.matrix.msc3202.device_lists"], lists),
        (
            [
                "device_one_time_keys_count",
                "org.matrix.msc3202.device_one_time_key_counts",
            ],
            counts,
        ),
        (
            [
                "device_unused_fallback_key_types",
                "org.matrix.msc3202.device_unused_fallback_key_types",
            ],
            fallback,
        ),
    ];
    for (names, part) in parts {
        for name in names {
            batch[name] = part.clone();
        }
    }
}
