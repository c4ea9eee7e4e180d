//! One task a login: keeps its connection, commits what comes before it is acknowledged, sends what waits in its outbox.
//!
//! The task is the only reader of its socket and the only one that sends its outbox. It takes what is ready, up to
//! [`BATCH`](live::BATCH) stanzas, commits it in one step, and only then acknowledges it in one write; while a step runs nothing
//! is read, so a slow database slows the gatekeeper down and memory stays bounded. What it remembers in memory (how far the
//! outbox was sent, which requests wait) is rebuilt at the next connect: the outbox is sent again from its oldest
//! unacknowledged row, with the same bytes.

mod backoff;
mod handle;
mod intake;
mod live;
mod outflow;
mod signals;
mod task;
mod upkeep;

pub(super) use handle::{AskError, Connection, Purpose};
pub(super) use task::Ended;
