//! Nodes to bytes.
//!
//! A node is a list `tag, key, value, …[, content]`; its length is odd without content and even with it. Every text in
//! it goes as a dictionary token if there is one, as packed nibbles if it is made of few characters, and raw otherwise:
//! `<ack id="1234"/>` = `f8 03 06 08 ff 02 12 34` (list of 3, token `ack`, token `id`, 2 bytes of nibbles).

use wacore_binary::token::{self, TokenKind};

use super::{Content, Jid, Node, Value, jid, packed};

/// What the writers of the wire disagree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// Whether an interop address ends with the text `interop`. The gatekeeper's web client leaves it out.
    pub interop_trailing_server: bool,
}

/// Encodes a node, without the flag byte of a frame.
///
/// # Panics
/// If an element has more than 65,535 parts or a text or content 4 GiB, which no caller makes.
#[must_use]
pub fn encode(node: &Node) -> Vec<u8> {
    encode_as(node, Dialect::default())
}

/// Encodes a node in a dialect, without the flag byte of a frame.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn encode_as(node: &Node, dialect: Dialect) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::with_capacity(128),
        dialect,
    };
    writer.node(node);
    writer.out
}

/// Encodes a node as the plaintext of a frame: a flag byte, then the node, never compressed.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn pack(node: &Node) -> Vec<u8> {
    pack_as(node, Dialect::default())
}

/// Encodes a node in a dialect as the plaintext of a frame.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn pack_as(node: &Node, dialect: Dialect) -> Vec<u8> {
    let mut writer = Writer {
        out: vec![0],
        dialect,
    };
    writer.node(node);
    writer.out
}

struct Writer {
    out: Vec<u8>,
    dialect: Dialect,
}

impl Writer {
    fn node(&mut self, node: &Node) {
        let has_content = node.content != Content::Empty;
        self.list(1 + 2 * node.attrs.len() + usize::from(has_content));
        self.text(&node.tag);
        for (key, value) in &node.attrs {
            self.text(key);
            match value {
                Value::Text(text) => self.text(text),
                Value::Jid(jid) => self.jid(jid),
            }
        }
        match &node.content {
            Content::Empty => {}
            Content::Bytes(bytes) => self.binary(bytes),
            Content::Nodes(nodes) => {
                self.list(nodes.len());
                for node in nodes {
                    self.node(node);
                }
            }
        }
    }

    fn list(&mut self, length: usize) {
        if let Ok(short) = u8::try_from(length) {
            self.out.extend([token::LIST_8, short]);
        } else {
            let length = u16::try_from(length).expect("an element has at most 65,535 parts");
            self.out.push(token::LIST_16);
            self.out.extend(length.to_be_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        match token::index_of_token(text) {
            Some(TokenKind::Single(index)) => self.out.push(index),
            Some(TokenKind::Double(dictionary, index)) => {
                self.out.extend([token::DICTIONARY_0 + dictionary, index]);
            }
            None => {
                if !packed::put(&mut self.out, text) {
                    self.binary(text.as_bytes());
                }
            }
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("a stanza is smaller than 4 GiB");
        let [a, b, c, d] = length.to_be_bytes();
        match length {
            0..0x100 => self.out.extend([token::BINARY_8, d]),
            0x100..0x10_0000 => self.out.extend([token::BINARY_20, b, c, d]),
            _ => self.out.extend([token::BINARY_32, a, b, c, d]),
        }
        self.out.extend_from_slice(bytes);
    }

    fn jid(&mut self, address: &Jid) {
        match address {
            Jid::Server(server) => {
                self.out.extend([token::JID_PAIR, token::LIST_EMPTY]);
                self.text(server);
            }
            Jid::Interop {
                integrator,
                user,
                device,
            } => {
                self.out.push(token::INTEROP_JID);
                self.text(&user.to_string());
                self.out.extend(device.to_be_bytes());
                self.out.extend(integrator.to_be_bytes());
                if self.dialect.interop_trailing_server {
                    self.text(jid::INTEROP);
                }
            }
            Jid::User {
                user,
                server,
                device,
            } if server == jid::MESSENGER => {
                self.out.push(token::FB_JID);
                self.text(user);
                self.out.extend(device.to_be_bytes());
                self.text(server);
            }
            Jid::User {
                user,
                server,
                device: 0,
            } => self.pair(user, server),
            Jid::User {
                user,
                server,
                device,
            } => match (jid::domain_of(server), u8::try_from(*device)) {
                (Some(domain), Ok(device)) => {
                    self.out.extend([token::AD_JID, domain, device]);
                    self.text(user);
                }
                // No byte form has room for the device: it stays in the text.
                _ => self.pair(&format!("{user}:{device}"), server),
            },
        }
    }

    fn pair(&mut self, user: &str, server: &str) {
        self.out.push(token::JID_PAIR);
        self.text(user);
        self.text(server);
    }
}
