//! What comes: messages decrypted into the remote inbox, receipts, acknowledgements, calls, notifications and changes of groups.
//!
//! ```xml
//! <message from="…" id="…" t="…" type="text" display_name="…" sts="…"><enc v="2" type="pkmsg|msg" [count]>ciphertext</enc></message>
//! <message from="…@g.us" participant="…" id="…" t="…" type="text">[<enc v="2" type="pkmsg|msg">the sender key</enc>]
//!   <enc v="2" type="skmsg">ciphertext</enc></message>
//! <receipt from="…" [participant="…"] id="…" [type="read|retry"] t="…">[<list><item id="…"/>…</list>]</receipt>
//! <ack class="message" id="…" from="…" t="…" [error="…"]/>
//! <call from="…" id="…" t="…"><offer call-id="…"/></call>
//! <notification type="encrypt" from="…" id="…"><identity/></notification>
//! ```
//! Each function works in the caller's transaction, in the login's lane, and says what to send after the commit. Receipts come
//! before the acknowledgement: when the connection breaks between them, the stanza comes again and so does the receipt.

mod acks;
mod calls;
mod groups;
mod messages;
mod notifications;
mod people;
mod receipts;

pub use acks::message_ack;
pub use calls::call;
pub(super) use groups::{group_version, store_group};
pub use messages::receive;
pub(super) use notifications::MEDIA_RETRY;
pub use notifications::{identity_changed, notification};
pub use receipts::receipt;

use super::{
    session::acknowledgement,
    wire::{Jid, Node},
};
use crate::domain::{ChatId, Timestamp};

/// What to do after the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The stanzas to send, in order.
    pub nodes: Vec<Node>,
    /// The chat that has something new: a message, a notice, or what became of one of the login's own messages.
    pub chat: Option<ChatId>,
    /// Whether the outbox has something new.
    pub queued: bool,
    /// A user whose keys are to be fetched, and given to [`outbound::establish_from_key_response`].
    pub keys_wanted: Option<Jid>,
    /// Whether the stanza is to be handled once more after that fetch, whatever came of it. (It is not acknowledged yet.)
    pub again: bool,
}

impl Answer {
    fn ack(stanza: &Node) -> Self {
        Self {
            nodes: acknowledgement(stanza).into_iter().collect(),
            ..Self::default()
        }
    }

    fn nack(stanza: &Node, code: &str) -> Self {
        Self {
            nodes: acknowledgement(stanza)
                .map(|ack| ack.with("error", code))
                .into_iter()
                .collect(),
            ..Self::default()
        }
    }

    fn before_ack(mut self, node: Node) -> Self {
        self.nodes.insert(0, node);
        self
    }
}

/// The attribute `t`, seconds since the Unix epoch.
fn time(node: &Node) -> Option<Timestamp> {
    let seconds = i64::try_from(node.number("t")?).ok()?;
    Some(Timestamp(seconds.checked_mul(1000)?))
}
