//! The chat session: the machine against a scripted peer in simulated time, and a login's connection over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[path = "session/connection.rs"]
mod connection;
#[path = "session/files.rs"]
mod files;
#[path = "session/forgotten.rs"]
mod forgotten;
#[path = "session/groups.rs"]
mod groups;
#[path = "session/machine.rs"]
mod machine;
#[path = "session/messages.rs"]
mod messages;
#[path = "session/neighbours.rs"]
mod neighbours;
#[path = "session/peer.rs"]
mod peer;
#[path = "session/people.rs"]
mod people;
#[path = "session/random.rs"]
mod random;
#[path = "signal/peer.rs"]
#[expect(dead_code, reason = "the tests of the ratchets use more of it")]
mod ratchet;
#[path = "session/renamed.rs"]
mod renamed;
#[path = "session/sandboxed.rs"]
mod sandboxed;
#[path = "session/signals.rs"]
mod signals;
#[path = "session/stage.rs"]
mod stage;
#[path = "session/support.rs"]
mod support;
#[path = "session/websocket.rs"]
mod websocket;
