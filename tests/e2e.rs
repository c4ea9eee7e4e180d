//! The whole way: a user's Matrix client, a real Synapse, the real program, a gatekeeper with contacts that have ratchets of
//! their own, and back.
//!
//! Needs a Synapse (`DRAWBRIDGE_TEST_SYNAPSE`) and a Postgres (`DRAWBRIDGE_TEST_POSTGRES`); `scripts/test` provides both.

#[path = "e2e/bridge.rs"]
mod bridge;
#[path = "e2e/changes.rs"]
mod changes;
#[path = "e2e/chat.rs"]
mod chat;
#[path = "e2e/chats.rs"]
mod chats;
#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/commands.rs"]
mod commands;
#[path = "e2e/community.rs"]
mod community;
#[path = "e2e/contact.rs"]
mod contact;
#[path = "e2e/files_in.rs"]
mod files_in;
#[path = "e2e/files_out.rs"]
mod files_out;
#[path = "e2e/homeserver.rs"]
mod homeserver;
#[path = "e2e/large.rs"]
mod large;
#[path = "e2e/lesser.rs"]
mod lesser;
#[path = "e2e/linking.rs"]
mod linking;
#[path = "e2e/management.rs"]
mod management;
#[path = "e2e/notices.rs"]
mod notices;
#[path = "e2e/outages.rs"]
mod outages;
#[path = "e2e/phone.rs"]
mod phone;
#[path = "e2e/pictures.rs"]
mod pictures;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "e2e/reader.rs"]
mod reader;
#[path = "e2e/relay.rs"]
mod relay;
#[path = "e2e/replies.rs"]
mod replies;
#[path = "e2e/signals.rs"]
mod signals;
#[path = "e2e/status.rs"]
mod status;
#[path = "e2e/story.rs"]
mod story;
#[path = "e2e/text.rs"]
mod text;
#[path = "e2e/things.rs"]
mod things;
#[path = "e2e/timers.rs"]
mod timers;
#[path = "e2e/wait.rs"]
mod wait;
#[path = "e2e/world.rs"]
mod world;
