//! Between the two sides: portals, ghosts, routing, and the two pipelines.
//!
//! Both pipelines pull from the store: a worker a room ([`outgoing`]) carries Matrix events to the gatekeeper, a worker a chat
//! ([`incoming`]) carries messages into Matrix. A worker takes what waits, up to a bound, and commits once for the batch; what
//! it did not commit is there again after a crash. No state is kept in memory that the store cannot give back, but for what is
//! not worth keeping: who writes, who is there ([`signals`]), and which notice counts failures ([`refusals`]).

mod changes;
mod choices;
mod claims;
mod connections;
mod context;
mod directory;
mod encrypted;
mod expiry;
mod ghosts;
mod groups;
mod ignores;
mod incoming;
mod invites;
mod linking;
mod management;
mod missing;
mod names;
mod outgoing;
mod own_profile;
mod owners;
mod people;
mod portal_commands;
mod puppets;
mod receipts;
mod recover;
mod redactions;
mod refusals;
mod requests;
mod rooms;
mod routes;
mod routing;
mod settings;
mod signals;
mod spaces;
mod status;
mod terms;
mod upgrades;
mod workers;

pub use connections::{LoginCondition, LoginStatus};
pub use context::{Bridge, BridgeError, BridgeParts, CommandContext, Commands};
pub use linking::LinkError;
pub use owners::LoginRooms;
pub use people::Contact;
pub use puppets::PuppetError;
pub use settings::{Conversation, EncryptionChoice, PeopleSettings, Relay, RoomSettings, Settings};
pub use terms::Terms;
pub use workers::{Job, Outcome, Workers};
