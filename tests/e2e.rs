//! The whole way: a user's Matrix client, a real Synapse, the real program, a gatekeeper with contacts that have ratchets of
//! their own, and back.
//!
//! Needs a Synapse (`DRAWBRIDGE_TEST_SYNAPSE`), a Postgres (`DRAWBRIDGE_TEST_POSTGRES`) and two clients that encrypt
//! (`DRAWBRIDGE_TEST_NIO`, `DRAWBRIDGE_TEST_NODE`); `scripts/test` provides them all.

#[path = "e2e/account.rs"]
mod account;
#[path = "e2e/administration.rs"]
mod administration;
#[path = "e2e/bridge.rs"]
mod bridge;
#[path = "e2e/broken.rs"]
mod broken;
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
#[path = "e2e/encrypted.rs"]
mod encrypted;
#[path = "e2e/encrypted_clients.rs"]
mod encrypted_clients;
#[path = "e2e/encrypted_devices.rs"]
mod encrypted_devices;
#[path = "e2e/encrypted_groups.rs"]
mod encrypted_groups;
#[path = "e2e/encrypted_identity.rs"]
mod encrypted_identity;
#[path = "e2e/encrypted_keys.rs"]
mod encrypted_keys;
#[path = "e2e/encrypted_linked.rs"]
mod encrypted_linked;
#[path = "e2e/encrypted_media.rs"]
mod encrypted_media;
#[path = "e2e/encrypted_rooms.rs"]
mod encrypted_rooms;
#[path = "e2e/encrypted_ways.rs"]
mod encrypted_ways;
#[path = "clients/driver.rs"]
mod encrypting;
#[path = "e2e/federation.rs"]
mod federation;
#[path = "e2e/files_in.rs"]
mod files_in;
#[path = "e2e/files_out.rs"]
mod files_out;
#[path = "e2e/gate.rs"]
mod gate;
#[path = "e2e/group.rs"]
mod group;
#[path = "e2e/groups.rs"]
mod groups;
#[path = "e2e/groups_facts.rs"]
mod groups_facts;
#[path = "e2e/groups_keys.rs"]
mod groups_keys;
#[path = "e2e/groups_members.rs"]
mod groups_members;
#[path = "e2e/groups_rooms.rs"]
mod groups_rooms;
#[path = "e2e/groups_users.rs"]
mod groups_users;
#[path = "e2e/homeserver.rs"]
mod homeserver;
#[path = "e2e/identity.rs"]
mod identity;
#[path = "e2e/large.rs"]
mod large;
#[path = "e2e/lesser.rs"]
mod lesser;
#[path = "e2e/linking.rs"]
mod linking;
#[path = "e2e/lookups.rs"]
mod lookups;
#[path = "e2e/management.rs"]
mod management;
#[path = "e2e/notices.rs"]
mod notices;
#[path = "e2e/outages.rs"]
mod outages;
#[path = "e2e/own_phone.rs"]
mod own_phone;
#[path = "e2e/people.rs"]
mod people;
#[path = "e2e/phone.rs"]
mod phone;
#[path = "e2e/pictures.rs"]
mod pictures;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "e2e/provisioning.rs"]
mod provisioning;
#[path = "e2e/puppets.rs"]
mod puppets;
#[path = "e2e/reader.rs"]
mod reader;
#[path = "e2e/relay.rs"]
mod relay;
#[path = "e2e/relayed_polls.rs"]
mod relayed_polls;
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
