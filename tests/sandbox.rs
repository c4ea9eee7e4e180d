//! The sandbox gatekeeper, seen by a Partner: enlistment, login, chat, mailbox, push, faults, and the page's API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "sandbox/changes.rs"]
mod changes;
#[path = "sandbox/chat.rs"]
mod chat;
#[path = "sandbox/enlistment.rs"]
mod enlistment;
#[path = "sandbox/faults.rs"]
mod faults;
#[path = "sandbox/files.rs"]
mod files;
#[path = "sandbox/integrators.rs"]
mod integrators;
#[path = "sandbox/kinds.rs"]
mod kinds;
#[path = "sandbox/mailbox.rs"]
mod mailbox;
#[path = "sandbox/media.rs"]
mod media;
#[path = "sandbox/media_retry.rs"]
mod media_retry;
#[path = "sandbox/page.rs"]
mod page;
#[path = "sandbox/page_api.rs"]
mod page_api;
#[path = "sandbox/page_files.rs"]
mod page_files;
#[path = "sandbox/page_people.rs"]
mod page_people;
#[path = "sandbox/partner.rs"]
mod partner;
#[path = "sandbox/people.rs"]
mod people;
#[path = "signal/peer.rs"]
#[expect(dead_code, reason = "the tests of the ratchets use more of it")]
mod ratchet;
#[path = "sandbox/reach.rs"]
mod reach;
#[path = "sandbox/scripts.rs"]
mod scripts;
#[path = "sandbox/signals.rs"]
mod signals;
#[path = "sandbox/talk.rs"]
mod talk;
#[path = "sandbox/user.rs"]
mod user;
