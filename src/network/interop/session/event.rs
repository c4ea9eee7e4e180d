//! What the session tells its owner.

use super::{Acked, Call, Close, iq};
use crate::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
};

/// A request on its way, for matching its answer; unique in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The gatekeeper answered with an error.
    #[error("the gatekeeper answered error {code}{}{text}", if text.is_empty() { "" } else { ": " })]
    Refused {
        /// Its code, 0 if it gave none.
        code: u16,
        /// Its text, empty if it gave none.
        text: String,
    },
    /// No answer came in time.
    #[error("the gatekeeper did not answer in time")]
    Timeout,
    /// The session ended first.
    #[error("the connection ended before the answer")]
    Closed,
    /// Too many requests wait for their answers.
    #[error("too many requests wait for an answer")]
    Busy,
}

impl RequestError {
    /// Whether the same request may be answered later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { code, .. } => iq::is_passing(*code),
            Self::Timeout | Self::Closed | Self::Busy => true,
        }
    }
}

/// What is to be written to the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A stanza.
    Node(Node),
    /// A stanza of the outbox, encoded when it was queued; it is written as it is.
    Encoded(Vec<u8>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The gatekeeper took the login.
    LoggedIn,
    /// The offline mailbox is about to come; how many stanzas the gatekeeper announced.
    MailboxWaiting {
        /// How many.
        count: u64,
    },
    /// The offline mailbox has come.
    MailboxDrained {
        /// How many stanzas it had, as the gatekeeper counts.
        count: u64,
    },
    /// A `<message>`; to be acknowledged after the commit.
    Message(Node),
    /// A `<receipt>`; to be acknowledged after the commit.
    Receipt(Node),
    /// A `<notification type="encrypt">` that says a user's identity key changed; to be acknowledged after the commit.
    IdentityChanged(Node),
    /// A `<notification>` of a type that is to be remembered; to be acknowledged after the commit.
    Notification(Node),
    /// Somebody calls, or called in vain; to be acknowledged after the commit.
    Call {
        /// What it tells.
        call: Call,
        /// The `<call>`.
        node: Node,
    },
    /// The gatekeeper took or refused a stanza of the outbox.
    Acked(Acked),
    /// Few one-time prekeys are left at the gatekeeper.
    PrekeysLow {
        /// How many.
        count: u64,
    },
    /// Somebody writes, or stopped.
    Typing {
        /// Where.
        chat: Jid,
        /// Who, where several can.
        participant: Option<Jid>,
        /// What they do.
        state: Typing,
    },
    /// Somebody is there, or went away.
    Presence {
        /// Who.
        from: Jid,
        /// Whether they are there.
        available: bool,
    },
    /// A request was answered or failed.
    Answered {
        /// Which.
        request: RequestId,
        /// The `<iq type="result">`, or why there is none.
        outcome: Result<Node, RequestError>,
    },
    /// The session is over; the last event.
    Closed(Close),
}
