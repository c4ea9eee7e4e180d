//! The wire: frames, the Noise handshake, stanzas, JIDs and the message protobuf, as pure encoders and decoders.
//!
//! Nothing here awaits, reads a clock or draws a random number, and no input makes it panic.

mod jid;
mod node;

pub use jid::{Jid, JidError};
pub use node::{Content, Node, Value};
