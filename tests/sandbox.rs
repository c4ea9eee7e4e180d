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
#[path = "sandbox/group_changes.rs"]
mod group_changes;
#[path = "sandbox/group_keys.rs"]
mod group_keys;
#[path = "sandbox/group_kinds.rs"]
mod group_kinds;
#[path = "sandbox/group_page.rs"]
mod group_page;
#[path = "sandbox/groups.rs"]
mod groups;
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
#[path = "sandbox/member.rs"]
mod member;
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
