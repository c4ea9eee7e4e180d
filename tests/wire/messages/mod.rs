//! Messages and their padding: as bytes built by hand from the schema's numbers, and as each side reads what the other writes.

mod any;
mod changes;
mod envelopes;
mod files;
mod kinds;
mod padding;
mod polls;
mod schema;
mod texts;
mod things;

use drawbridge::{
    domain::{
        ChatId, IncomingContent, IncomingMessage, MediaKey, MessageContext, MessageRef,
        OutgoingContent, RemoteMedia, RemoteUserId, StanzaId, Timestamp,
    },
    network::interop::wire::message::{self, Encoding},
};

/// The login.
const LOGIN: &str = "1-10853634039893@interop";
/// The contact it has a direct chat with.
const CONTACT: &str = "4915155550009@s.whatsapp.net";
/// Somebody else.
const OTHER: &str = "4915155550001@s.whatsapp.net";
const GROUP: &str = "123456-789@g.us";
/// 1 January 2026, in milliseconds.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn user(address: &str) -> RemoteUserId {
    RemoteUserId::parse(address).unwrap()
}

fn id(id: &str) -> StanzaId {
    StanzaId::parse(id).unwrap()
}

fn a_message(name: &str, sender: Option<&str>) -> MessageRef {
    MessageRef {
        id: id(name),
        sender: sender.map(user),
    }
}

fn a_file() -> RemoteMedia {
    RemoteMedia {
        path: "/v/t62.7118-24/1?ccb=11-4&oh=x".to_owned(),
        key: MediaKey([1; 32]),
        sha256: [2; 32],
        encrypted_sha256: [3; 32],
        size: 1_234_567,
    }
}

/// What one side encodes for a chat.
fn encode_as(
    own: &str,
    chat: &str,
    content: &OutgoingContent,
    context: &MessageContext,
) -> Vec<u8> {
    let chat = ChatId::parse(chat).unwrap();
    let how = Encoding {
        chat: &chat,
        own,
        now: NOW,
        nonce: [9; 12],
    };
    message::encode(content, context, &how)
}

/// What the login sends to the contact.
fn sent(content: &OutgoingContent) -> Vec<u8> {
    encode_as(LOGIN, CONTACT, content, &MessageContext::default())
}

/// What the contact reads of the login's message.
fn read_there(bytes: &[u8]) -> IncomingMessage {
    message::read(bytes, &user(LOGIN), "")
}

/// What the login reads of the contact's message.
fn read_here(bytes: &[u8]) -> IncomingMessage {
    message::read(bytes, &user(CONTACT), LOGIN)
}

fn without_context(content: IncomingContent) -> IncomingMessage {
    IncomingMessage {
        content,
        context: MessageContext::default(),
    }
}

fn unsupported(kind: &str) -> IncomingMessage {
    without_context(IncomingContent::Unsupported {
        kind: kind.to_owned(),
    })
}

fn text(body: &str) -> IncomingContent {
    IncomingContent::Text {
        body: body.to_owned(),
        preview: None,
    }
}
