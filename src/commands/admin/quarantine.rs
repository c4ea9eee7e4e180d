//! `quarantine`: events that could not be understood; what is in them is never shown.

use std::fmt::Write as _;

use super::super::{Reply, call::Call, say_store};
use crate::{
    matrix::appservice::AppserviceSink as _,
    store::{Lane, QuarantinedEvent},
};

/// How many are listed.
const LISTED: i64 = 50;

/// Lists events, shows one, tries it again, or drops it.
pub(in crate::commands) async fn quarantine(call: &Call<'_>) -> Reply {
    let action = call.arguments.word.unwrap_or("list");
    if action == "list" && call.arguments.number.is_none() {
        return list(call).await;
    }
    let Some(seq) = call.arguments.number else {
        return Err(format!(
            "Say which, by its number: `quarantine {action} 17`. `quarantine` lists them."
        ));
    };
    match action {
        "retry" => retry(call, seq).await,
        "drop" => discard(call, seq).await,
        _ => show(call, seq).await,
    }
}

fn none(seq: i64) -> String {
    format!("No event {seq} is set aside. `quarantine` lists those that are.")
}

async fn events(call: &Call<'_>, limit: i64) -> Result<Vec<QuarantinedEvent>, String> {
    call.bridge
        .database()
        .read(move |txn| Box::pin(async move { txn.quarantined_events(limit).await }))
        .await
        .map_err(|error| say_store(&error))
}

async fn list(call: &Call<'_>) -> Reply {
    let mut events = events(call, LISTED + 1).await?;
    if events.is_empty() {
        return Ok("No event is set aside.".to_owned());
    }
    let listed = usize::try_from(LISTED).unwrap_or(usize::MAX);
    let more = events.len() > listed;
    events.truncate(listed);
    let mut text = String::from("These events could not be understood:\n");
    for event in &events {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n- `{}`: {}", event.seq, event.reason);
    }
    if more {
        text.push_str("\n\nThere are more.");
    }
    text.push_str("\n\nWrite `quarantine show`, `retry` or `drop` with a number.");
    Ok(text)
}

async fn show(call: &Call<'_>, seq: i64) -> Reply {
    let events = events(call, i64::MAX).await?;
    let event = events.iter().find(|event| event.seq == seq);
    let event = event.ok_or_else(|| none(seq))?;
    let room = match event.room_id.as_str() {
        "" => "none",
        room => room,
    };
    let ago = (call.bridge.now().0 - event.received_at.0) / 60_000;
    Ok(format!(
        "Event {seq} was set aside: {}\n\n- event `{}`\n- room `{room}`\n- received {ago} minutes ago\n\nWrite `quarantine retry {seq}` or `quarantine drop {seq}`.",
        event.reason, event.event_id
    ))
}

async fn retry(call: &Call<'_>, seq: i64) -> Reply {
    let room = call
        .bridge
        .database()
        .step(Lane::room("quarantine"), move |txn| {
            Box::pin(async move { txn.retry_quarantined(seq).await })
        })
        .await
        .map_err(|error| say_store(&error))?
        .ok_or_else(|| none(seq))?;
    if room.is_empty() {
        return Ok(format!(
            "Event {seq} names no room, so nothing takes it. `quarantine drop {seq}` ends it."
        ));
    }
    call.bridge.rooms_waiting(&[room]);
    Ok(format!(
        "Event {seq} is tried again. If it still cannot be understood, `quarantine` lists it again."
    ))
}

async fn discard(call: &Call<'_>, seq: i64) -> Reply {
    let dropped = call
        .bridge
        .database()
        .step(Lane::room("quarantine"), move |txn| {
            Box::pin(async move {
                // Only what waits can be ended, and it waits for nobody outside of this step.
                if txn.retry_quarantined(seq).await?.is_none() {
                    return Ok(false);
                }
                txn.finish_event(seq).await
            })
        })
        .await
        .map_err(|error| say_store(&error))?;
    if dropped {
        Ok(format!("Event {seq} is dropped."))
    } else {
        Err(none(seq))
    }
}
