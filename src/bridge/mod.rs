//! Between the two sides: portals, ghosts, routing, and the two pipelines.
//!
//! Both pipelines pull from the store: a worker a room ([`outgoing`]) carries Matrix events to the gatekeeper, a worker a chat
//! ([`incoming`]) carries messages into Matrix. A worker takes what waits, up to a bound, and commits once for the batch; what
//! it did not commit is there again after a crash. No state is kept in memory that the store cannot give back, but for what is
//! not worth keeping: who writes, who is there ([`signals`]), and which notice counts failures ([`refusals`]).

mod changes;
mod choices;
mod connections;
mod context;
mod expiry;
mod ghosts;
mod incoming;
mod invites;
mod management;
mod names;
mod outgoing;
mod owners;
mod pending;
mod portal_commands;
mod receipts;
mod recover;
mod redactions;
mod refusals;
mod rooms;
mod routes;
mod routing;
mod settings;
mod signals;
mod status;
mod terms;
mod workers;

pub use context::{Bridge, BridgeError, BridgeParts, CommandContext, Commands};
pub use pending::{Contact, LinkError, PuppetError};
pub use settings::{Conversation, Relay, Settings};
pub use terms::Terms;
pub use workers::{Job, Outcome, Workers};
