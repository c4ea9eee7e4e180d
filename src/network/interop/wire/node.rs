//! A stanza as a tree of nodes.

use std::borrow::Cow;

use super::Jid;

/// An element: `<tag key=value …>content</tag>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The element's name.
    pub tag: Cow<'static, str>,
    /// Its attributes, in order; a key appears once.
    pub attrs: Vec<(Cow<'static, str>, Value)>,
    /// What is in it.
    pub content: Content,
}

/// An attribute's value. JIDs have byte forms of their own on the wire, so they are kept apart from text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Any text.
    Text(String),
    /// An address.
    Jid(Jid),
}

/// What is in an element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes or text.
    Bytes(Vec<u8>),
    /// Elements.
    Nodes(Vec<Node>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<Jid> for Value {
    fn from(jid: Jid) -> Self {
        Self::Jid(jid)
    }
}
impl From<&Jid> for Value {
    fn from(jid: &Jid) -> Self {
        Self::Jid(jid.clone())
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Text(number.to_string())
    }
}

impl Node {
    /// An element without attributes or content.
    #[must_use]
    pub fn new(tag: impl Into<Cow<'static, str>>) -> Self {
        Self {
            tag: tag.into(),
            attrs: Vec::new(),
            content: Content::Empty,
        }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let key = key.into();
        self.attrs.retain(|(k, _)| *k != key);
        self.attrs.push((key, value.into()));
        self
    }

    /// Sets an attribute if there is a value.
    #[must_use]
    pub fn with_opt(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds a child element.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        match &mut self.content {
            Content::Nodes(nodes) => nodes.push(child),
            other => *other = Content::Nodes(vec![child]),
        }
        self
    }

    /// Sets the content to bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.content = Content::Bytes(bytes.into());
        self
    }

    /// An attribute as text, a JID in its text form.
    #[must_use]
    pub fn attr(&self, key: &str) -> Option<Cow<'_, str>> {
        self.attrs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| match v {
                Value::Text(text) => Cow::Borrowed(text.as_str()),
                Value::Jid(jid) => Cow::Owned(jid.to_string()),
            })
    }

    /// An attribute as a JID, parsed from its text if it came as text.
    #[must_use]
    pub fn jid(&self, key: &str) -> Option<Jid> {
        self.attrs
            .iter()
            .find(|(k, _)| k == key)
            .and_then(|(_, v)| match v {
                Value::Jid(jid) => Some(jid.clone()),
                Value::Text(text) => text.parse().ok(),
            })
    }

    /// An attribute as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.attr(key)?.parse().ok()
    }

    /// The child elements, none if the content is something else.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match &self.content {
            Content::Nodes(nodes) => nodes,
            _ => &[],
        }
    }

    /// The first child element of a name.
    #[must_use]
    pub fn find(&self, tag: &str) -> Option<&Self> {
        self.children().iter().find(|n| n.tag == tag)
    }

    /// The content as bytes, if it is bytes.
    #[must_use]
    pub fn content_bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}
