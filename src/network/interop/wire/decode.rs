//! Bytes to nodes, for bytes that anybody may have written.
//!
//! Depth, the number of elements and attributes, and what compressed stanzas grow to are bounded, so that a frame costs
//! a bounded amount of memory whatever is in it.

use std::{borrow::Cow, io::Read};

use flate2::read::ZlibDecoder;
use wacore_binary::token;

use super::{Content, Jid, JidError, Node, Value, jid, packed};

/// Elements within elements; real stanzas have less than ten.
const MAX_DEPTH: usize = 32;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 128;
/// Elements and attributes of one stanza: the largest real ones, lists of 812 prekeys, have some 2,500.
const MAX_PARTS: usize = 65_536;
/// What a compressed stanza may grow to.
const MAX_INFLATED: u64 = 8 * 1024 * 1024;
/// The bit of the flag byte that says the node is compressed.
const ZLIB: u8 = 2;

/// Why bytes are no stanza.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the stanza ends too early")]
    Truncated,
    /// There is something behind the stanza.
    #[error("{0} bytes follow the stanza")]
    Trailing(usize),
    /// A byte that starts nothing that may stand there.
    #[error("the byte {0:#04x} means nothing where it stands")]
    Token(u8),
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// A packed text with a half byte that means nothing.
    #[error("a packed text has a half byte that means nothing")]
    Packed,
    /// An element without a name.
    #[error("an element has no name")]
    NoTag,
    /// An attribute without a name, or one that is there twice.
    #[error("an attribute has no name or is there twice")]
    AttributeKey,
    /// An address that is none; which one is left out, since it may be a phone number.
    #[error("an address is malformed: {0}")]
    Jid(&'static str),
    /// More levels, attributes or elements than are taken.
    #[error("the stanza has too many {0}")]
    TooMany(&'static str),
    /// Compressed bytes that cannot be decompressed.
    #[error("the stanza cannot be decompressed")]
    Inflate,
    /// Compressed bytes that grow too much.
    #[error("the stanza grows to more than {MAX_INFLATED} bytes")]
    TooLarge,
    /// A frame that is too long for its length field.
    #[error("a frame of {0} bytes is too long")]
    FrameTooLong(usize),
}

impl From<JidError> for DecodeError {
    fn from(error: JidError) -> Self {
        Self::Jid(error.1)
    }
}

/// Decodes the plaintext of a frame: a flag byte, then a node, compressed or not.
///
/// # Errors
/// Says why the bytes are no stanza.
pub fn unpack(bytes: &[u8]) -> Result<Node, DecodeError> {
    let (flags, node) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    if flags & ZLIB == 0 {
        return decode(node);
    }
    let mut inflated = Vec::new();
    ZlibDecoder::new(node)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| DecodeError::Inflate)?;
    if inflated.len() as u64 > MAX_INFLATED {
        return Err(DecodeError::TooLarge);
    }
    decode(&inflated)
}

/// Decodes a node, without the flag byte of a frame.
///
/// Writers disagree on whether an interop address ends with the text `interop`. One writer is consistent, and a reading
/// with the wrong assumption does not come out even, so both are tried.
///
/// # Errors
/// Says why the bytes are no stanza.
pub fn decode(bytes: &[u8]) -> Result<Node, DecodeError> {
    let plain = Reader::new(bytes, false).whole();
    if plain.is_err()
        && bytes
            .windows(jid::INTEROP.len())
            .any(|w| w == jid::INTEROP.as_bytes())
    {
        return Reader::new(bytes, true).whole().or(plain);
    }
    plain
}

struct Reader<'a> {
    rest: &'a [u8],
    trailing_server: bool,
    parts: usize,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8], trailing_server: bool) -> Self {
        Self {
            rest,
            trailing_server,
            parts: 0,
        }
    }

    fn whole(mut self) -> Result<Node, DecodeError> {
        let node = self.node(0)?;
        match self.rest.len() {
            0 => Ok(node),
            more => Err(DecodeError::Trailing(more)),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    /// A big-endian number of some bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, DecodeError> {
        let bytes = self.take(bytes)?;
        Ok(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn short(&mut self) -> Result<u16, DecodeError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn count(&mut self, parts: usize) -> Result<(), DecodeError> {
        self.parts += parts;
        if self.parts > MAX_PARTS {
            return Err(DecodeError::TooMany("parts"));
        }
        Ok(())
    }

    fn list(&mut self, first: u8) -> Result<usize, DecodeError> {
        match first {
            token::LIST_EMPTY => Ok(0),
            token::LIST_8 => self.number(1),
            token::LIST_16 => self.number(2),
            other => Err(DecodeError::Token(other)),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(DecodeError::TooMany("levels"));
        }
        let first = self.byte()?;
        let length = self.list(first)?;
        if length == 0 {
            return Err(DecodeError::NoTag);
        }
        let attributes = (length - 1) / 2;
        if attributes > MAX_ATTRIBUTES {
            return Err(DecodeError::TooMany("attributes"));
        }
        self.count(1 + attributes)?;
        let tag = self.text()?;
        if tag.is_empty() {
            return Err(DecodeError::NoTag);
        }
        let mut node = Node::new(tag);
        for _ in 0..attributes {
            let key = self.text()?;
            if key.is_empty() || node.attrs.iter().any(|(k, _)| *k == key) {
                return Err(DecodeError::AttributeKey);
            }
            let value = self.value()?;
            node.attrs.push((key, value));
        }
        if length.is_multiple_of(2) {
            node.content = self.content(depth)?;
        }
        Ok(node)
    }

    fn content(&mut self, depth: usize) -> Result<Content, DecodeError> {
        let first = self.byte()?;
        match first {
            token::LIST_EMPTY | token::LIST_8 | token::LIST_16 => {
                let length = self.list(first)?;
                // Not reserved beforehand: the length is only a claim.
                let mut nodes = Vec::new();
                for _ in 0..length {
                    nodes.push(self.node(depth + 1)?);
                }
                Ok(Content::Nodes(nodes))
            }
            token::BINARY_8 | token::BINARY_20 | token::BINARY_32 => {
                Ok(Content::Bytes(self.binary(first)?.to_vec()))
            }
            _ => Ok(Content::Bytes(match self.value_from(first)? {
                Value::Text(text) => text.into_bytes(),
                Value::Jid(jid) => jid.to_string().into_bytes(),
            })),
        }
    }

    fn binary(&mut self, first: u8) -> Result<&'a [u8], DecodeError> {
        let length = match first {
            token::BINARY_8 => self.number(1)?,
            token::BINARY_20 => self.number(3)? & 0xf_ffff,
            _ => self.number(4)?,
        };
        self.take(length)
    }

    fn value(&mut self) -> Result<Value, DecodeError> {
        let first = self.byte()?;
        self.value_from(first)
    }

    fn value_from(&mut self, first: u8) -> Result<Value, DecodeError> {
        Ok(Value::Jid(match first {
            token::JID_PAIR => self.pair()?,
            token::AD_JID => self.device_jid()?,
            token::FB_JID => self.messenger_jid()?,
            token::INTEROP_JID => self.interop_jid()?,
            _ => return Ok(Value::Text(self.text_from(first)?.into_owned())),
        }))
    }

    fn text(&mut self) -> Result<Cow<'static, str>, DecodeError> {
        let first = self.byte()?;
        self.text_from(first)
    }

    fn text_from(&mut self, first: u8) -> Result<Cow<'static, str>, DecodeError> {
        let known = |word: Option<&'static str>| match word {
            Some(word) if !word.is_empty() => Ok(Cow::Borrowed(word)),
            _ => Err(DecodeError::Token(first)),
        };
        match first {
            token::LIST_EMPTY => Ok(Cow::Borrowed("")),
            token::DICTIONARY_0..=token::DICTIONARY_3 => {
                let index = self.byte()?;
                known(token::get_double_token(first - token::DICTIONARY_0, index))
            }
            token::NIBBLE_8 | token::HEX_8 => {
                let length = self.byte()?;
                let bytes = self.take(usize::from(length & 0x7f))?;
                packed::take(first, length & 0x80 != 0, bytes)
                    .map(Cow::Owned)
                    .ok_or(DecodeError::Packed)
            }
            token::BINARY_8 | token::BINARY_20 | token::BINARY_32 => {
                let text = std::str::from_utf8(self.binary(first)?);
                Ok(Cow::Owned(text.map_err(|_| DecodeError::Utf8)?.to_owned()))
            }
            _ => known(token::get_single_token(first)),
        }
    }

    fn pair(&mut self) -> Result<Jid, DecodeError> {
        let user = self.text()?;
        let server = self.text()?;
        if user.is_empty() {
            return Ok(jid::of_server(&server)?);
        }
        Ok(format!("{user}@{server}").parse()?)
    }

    fn device_jid(&mut self) -> Result<Jid, DecodeError> {
        let domain = self.byte()?;
        let device = u16::from(self.byte()?);
        let user = self.text()?;
        let server = jid::domain_server(domain).ok_or(DecodeError::Token(domain))?;
        Ok(jid::of_user(&user, server, device)?)
    }

    fn messenger_jid(&mut self) -> Result<Jid, DecodeError> {
        let user = self.text()?;
        let device = self.short()?;
        let server = self.text()?;
        Ok(jid::of_user(&user, &server, device)?)
    }

    fn interop_jid(&mut self) -> Result<Jid, DecodeError> {
        let user = self.text()?;
        let device = self.short()?;
        let integrator = self.short()?;
        if self.trailing_server && self.text()? != jid::INTEROP {
            return Err(DecodeError::Token(token::INTEROP_JID));
        }
        Ok(format!("{integrator}-{user}:{device}@interop").parse()?)
    }
}
