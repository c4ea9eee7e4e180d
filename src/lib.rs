//! drawbridge: a Matrix application service that is a *Partner* of the messaging gatekeepers.
//!
//! It enlists Matrix users at a gatekeeper (WhatsApp, Messenger) through the gatekeeper's interoperability interface, shows the
//! gatekeeper's users as Matrix ghosts, translates messages both ways, and keeps the Signal ratchets in `SQLite` or Postgres.
//!
//! # Words
//! - **gatekeeper**: a messaging service that must interoperate; **profile**: everything particular to one.
//! - **login**: one Matrix user's enlistment at one gatekeeper, with one Signal identity and one chat connection.
//! - **ghost**: a Matrix user that stands for a user of the gatekeeper. **portal**: a room that mirrors a chat.
//! - **management room**: the direct chat with the bot in which its commands are written.
//! - **relay**: a login that speaks for members of a room who have none. **double puppet**: a Matrix user as whom the bridge may act.
//! - **linked room**: somebody's own room that mirrors a chat.
//! - **appservice**, **transaction**: the Matrix application service interface and its unit of delivery.
//! - **stanza**: an element on the chat channel. **prekey bundle**, **session**: as in the Signal protocol.
//! - **machine**: one device of a Matrix user in encrypted rooms, with its keys and ratchets.
//! - **step**: one durable change of the store ([`store::Database::step`]).
//!
//! # Map, in reading order
//! [`domain`] the values · [`clock`] time as an argument · [`translate`] pure translation · [`store`] all SQL, sealing, group
//! commit · [`signal`] the ratchet over a snapshot · [`matrix`] the homeserver's side · [`encryption`] encrypted rooms · [`network`] the gatekeeper's side ·
//! [`imaging`] small pictures · [`bridge`] both pipelines, portals, ghosts · [`commands`] the management room · [`provisioning`] the HTTP API · [`config`] ·
//! [`sandbox`] a gatekeeper on loopback · [`app`] the composition · [`cli`] the program · [`telemetry`] logs. Who may use whom is
//! a table in `tests/architecture.rs`.
//!
//! # Invariants
//! 1. [`translate`] and [`network::interop::wire`] never await and never read a clock or a random source.
//! 2. [`matrix`] and [`network`] do not know each other. Only [`app`] knows whether a gatekeeper is the sandbox.
//! 3. Only [`store`] contains SQL. What must be true together commits together.
//! 4. Input is acknowledged only after it is committed: the 200 to a transaction, the ack of a stanza, the answer to a push.
//! 5. A ratchet step commits before its ciphertext leaves, and with the plaintext it produced.
//! 6. Every effect on the outside has an id that is known before the first try and the same at every try.
//! 7. Order is kept a room. One slow or broken login, room or homeserver call holds back nobody else.
//! 8. A malformed event, stanza or field costs that one item, never the batch.
//! 9. Bodies, keys, tokens and phone numbers are never logged; ids are.
//!
//! # Matrix to gatekeeper
//! [`matrix::appservice`] commits a transaction's events into the inbox, answers 200, and wakes the rooms' workers. A room's
//! worker takes its waiting events in order, looks up what they are about, translates them, hosts their files as ciphertext, and in
//! one step spends the ratchet, puts the stanzas into the outbox, stores what that changes (reactions, polls, timers) and ends the
//! events. The login's connection sends the outbox in order; the gatekeeper's ack ends the row and stores
//! which event is which message. After a crash or a reconnect the same bytes go again under the same id.
//!
//! # Gatekeeper to Matrix
//! The connection takes the stanzas that are ready; one step decrypts them and stores ratchet, used prekeys and plaintext; then
//! they are acknowledged and the chats' workers are woken. A chat's worker makes the room if there is none, brings files to the
//! homeserver, sends as the ghost with a transaction id derived from the message, and in one step stores links, reactions, polls
//! and what disappears when, and ends the messages. A file that is not there any more is asked for again, and its message kept
//! until it comes. What may have been
//! sent without the answer having been seen is looked up in the room first.
//!
//! Files pass through as they come, in either direction; none is ever whole in memory. Those of encrypted rooms are ciphertext at
//! the homeserver, under a key that is stored before the first byte leaves. Who writes and who is there is passed on at
//! once or forgotten. How far a message is is told from the outbox's rows, once a state, by a worker of its own.
//!
//! # Groups, shared rooms, relays
//! A group has one portal, shared by the logins that are in it; each receives every message, and the room shows it once. What the
//! gatekeeper says of a group and its members is in the store before it is acknowledged, beside what the room shows of it: rooms are
//! brought from the one to the other, members at a pace, so that it converges however often it is interrupted. What users change in
//! the room is asked of the gatekeeper and taken back if that refuses.
//!
//! A room can mirror several chats. Each of its events goes to every chat but the one it shows: as the login of its sender, else as the
//! login that speaks for others there (the relay), which says for whom. What the bridge sends names the portal it shows, so nothing
//! goes back where it came from.
//!
//! A remote user who is a login of the bridge is that login's Matrix user, never a ghost; one whose account a Matrix user has claimed
//! appears as that user, where the bridge may act as them (a double puppet).
//!
//! # Encrypted rooms
//! Encryption ends at the bridge. The bot alone has a device; what it, a ghost or a puppet says in an encrypted room is sealed with the
//! bot's keys on its way out ([`matrix::RoomCipher`], which [`encryption`] is), and an event is opened before anything else is done
//! with it. What homeservers send to the device is stored with the events beside which it came, and taken out in the commit in which
//! the crypto machine has learnt from it, so a crash loses no key. An event whose key is missing waits by itself: the room goes on, and
//! the event with it when the key comes.
//!
//! # Order of delivery
//! Homeservers deliver out of order around an outage. A transaction that may have overtaken another one waits until `/sync` has told
//! the rooms' order ([`matrix::Order`]). In a room of several chats an event is handed on to each of them, and each carries its own.
//!
//! A worker lives as long as there is work for its key, so a stuck room is one waiting task. Every stage takes what waits, up to
//! a bound, and the store's writers join steps that wait at the same time into one commit: that makes durability cheap.

pub mod app;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod encryption;
pub mod imaging;
pub mod matrix;
pub mod network;
pub mod provisioning;
pub mod sandbox;
pub mod signal;
pub mod store;
pub mod telemetry;
pub mod translate;
