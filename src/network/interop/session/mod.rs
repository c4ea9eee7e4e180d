//! The chat session: what is said on the chat channel between the login and the end, as a machine without IO.
//!
//! [`Session`] starts where the Noise handshake ends. It is fed with [`handle_node`](Session::handle_node) and
//! [`handle_timeout`](Session::handle_timeout) and drained with [`poll_transmit`](Session::poll_transmit),
//! [`poll_event`](Session::poll_event) and [`poll_timeout`](Session::poll_timeout), in this order, after every call that changes it.
//! Time and the random seed are arguments; nothing here awaits. What is fed makes at most one transmission and a bounded
//! number of events, so memory is bounded by what the owner feeds before it drains.
//!
//! Invariants: nothing that must be remembered is acknowledged by the machine itself. Messages, receipts, calls,
//! notices of a changed identity and the other notifications its owner wants leave as events, and their owner answers
//! ([`Session::answer`]) after its commit. What the machine acknowledges alone carries nothing to remember: counts of prekeys,
//! which are asked for again at the next login, the steps of a call that change nothing for who is called, and unknown stanzas.

mod ack;
mod calls;
mod event;
mod failure;
pub mod groups;
mod heartbeat;
pub mod iq;
mod machine;
pub mod people;
mod requests;
pub mod signals;
mod window;

pub use ack::{Acked, acknowledgement, refused_for_now};
pub use calls::{Call, CallShape};
pub use event::{Event, RequestError, RequestId, Transmit};
pub use failure::Close;
pub use groups::GroupShape;
pub use machine::{Session, SessionOptions};
pub use people::PeopleShape;
pub use window::Queued;
