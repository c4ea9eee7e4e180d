//! The homeserver's side over real HTTP and with the real store: what the homeserver calls, what is asked of it, and how gaps
//! are repaired.

#[path = "support/gatekeeper.rs"]
mod gatekeeper;
#[path = "support/homeserver/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod homeserver;

mod appservice {
    mod attachment;
    mod auth;
    mod bridge;
    mod client;
    mod commands;
    mod download;
    mod events;
    mod groups;
    mod lookups;
    mod missing;
    mod notices;
    mod puppets;
    mod redirects;
    mod repair;
    mod script;
    mod town;
    mod transactions;
    mod upload;
}
