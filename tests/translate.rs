//! Translation as snapshots: one case a row and direction, as a user of either side would see it; and as properties.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "translate/incoming.rs"]
mod incoming;
#[path = "translate/incoming_changes.rs"]
mod incoming_changes;
#[path = "translate/incoming_files.rs"]
mod incoming_files;
#[path = "translate/incoming_text.rs"]
mod incoming_text;
#[path = "translate/markup.rs"]
mod markup;
#[path = "translate/outgoing.rs"]
mod outgoing;
#[path = "translate/outgoing_changes.rs"]
mod outgoing_changes;
#[path = "translate/outgoing_files.rs"]
mod outgoing_files;
#[path = "translate/outgoing_text.rs"]
mod outgoing_text;
#[path = "translate/properties.rs"]
mod properties;
#[path = "translate/status.rs"]
mod status;
#[path = "translate/world.rs"]
mod world;
