//! Rooms that somebody made: linked, let go, upgraded and changed, with the bridge's own code between a homeserver of this process
//! and a gatekeeper that only remembers what it was asked.

#[path = "support/gatekeeper.rs"]
mod gatekeeper;
#[path = "support/homeserver/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod homeserver;

mod linking {
    mod changes;
    mod findings;
    mod links;
    mod scene;
    mod several;
    mod upgrades;
}
