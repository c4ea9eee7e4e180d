//! The sandbox gatekeeper, seen by a Partner: enlistment, login, chat, mailbox, push, faults, and the page's API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "sandbox/chat.rs"]
mod chat;
#[path = "sandbox/enlistment.rs"]
mod enlistment;
#[path = "sandbox/faults.rs"]
mod faults;
#[path = "sandbox/mailbox.rs"]
mod mailbox;
#[path = "sandbox/page.rs"]
mod page;
#[path = "sandbox/partner.rs"]
mod partner;
#[path = "signal/peer.rs"]
#[expect(dead_code, reason = "the tests of the ratchets use more of it")]
mod ratchet;
#[path = "sandbox/user.rs"]
mod user;
