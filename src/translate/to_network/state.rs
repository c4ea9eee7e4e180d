//! State of the room that is for the other side too.

use super::{NetworkContext, Part};
use crate::{
    domain::{OutgoingContent, Unbridgeable, duration},
    translate::event::RoomEvent,
};

/// The parts of a state event: the timer of disappearing messages; a live location is refused.
pub(super) fn parts(
    event: &RoomEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    match event.kind.as_str() {
        "com.beeper.disappearing_timer" => timer(event, context),
        "m.beacon_info" | "org.matrix.msc3672.beacon_info" if event.content["live"] == true => {
            Err(context.not_sent(
                "unsupported_event",
                "a live location is not carried. Send the place where you are instead",
            ))
        }
        _ => Ok(Vec::new()),
    }
}

/// The timer is given in milliseconds; without one messages stay.
fn timer(event: &RoomEvent, context: &NetworkContext<'_>) -> Result<Vec<Part>, Unbridgeable> {
    let timers = &context.capabilities.timers;
    let milliseconds = event.content["timer"].as_u64().unwrap_or_default();
    let seconds = u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX);
    if seconds == 0 && timers.is_empty() {
        return Ok(Vec::new());
    }
    if seconds == 0 || timers.contains(&seconds) {
        return Ok(vec![Part::plain(OutgoingContent::Timer { seconds })]);
    }
    let why = if timers.is_empty() {
        "messages cannot be made to disappear there. Delete them yourself when they should go"
            .to_owned()
    } else {
        let possible: Vec<String> = timers.iter().map(|timer| duration(*timer)).collect();
        format!(
            "messages cannot disappear after {} there. Choose one of these: {}",
            duration(seconds),
            possible.join(", ")
        )
    };
    Err(context.not_sent("unsupported_timer", &why))
}
