//! The wire: frames, the Noise handshake, stanzas, JIDs, the message protobuf and encrypted files, as pure encoders and decoders.
//!
//! Nothing here awaits, reads a clock or draws a random number, and no input makes it panic.

pub mod certificate;
mod decode;
mod encode;
pub mod enlistment;
pub mod frame;
mod jid;
pub mod media;
pub mod media_retry;
pub mod message;
mod node;
pub mod noise;
mod packed;
pub mod payload;
pub mod poll;

pub use certificate::CertificateError;
pub use decode::{DecodeError, decode, unpack};
pub use encode::{Dialect, encode, encode_as, pack, pack_as};
pub use jid::{Jid, JidError};
pub use node::{Content, Node, Value};
