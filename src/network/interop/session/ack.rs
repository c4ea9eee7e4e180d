//! Acknowledgements, both ways: `<ack class="message" id="3EB0…" from="…" t="1700000000" [error="500"] [type] />`.

use crate::network::interop::wire::Node;

/// What the gatekeeper acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// The tag of the stanza that is acknowledged: `message`, `receipt`.
    pub class: String,
    /// Its id.
    pub id: String,
    /// Its type as the acknowledgement repeats it, such as `read` for a receipt.
    pub kind: Option<String>,
    /// When the gatekeeper took it, in seconds since the Unix epoch.
    pub t: Option<i64>,
    /// The code with which it was refused (487 to 552 are known); `None` when it was taken.
    pub error: Option<u16>,
    /// The place in the outbox of the copy that was sent first of those in flight.
    pub seq: i64,
    /// The acknowledgement as it came.
    pub node: Node,
}

impl Acked {
    /// Reads an `<ack>`; `None` if it names no stanza. An error that is no code counts as refused with 0. The place in the outbox
    /// is the window's to fill in.
    pub(super) fn read(node: Node) -> Option<Self> {
        let text = |key| node.attr(key).map(std::borrow::Cow::into_owned);
        Some(Self {
            class: text("class")?,
            id: text("id")?,
            kind: text("type"),
            t: node.number("t").and_then(|t| i64::try_from(t).ok()),
            error: text("error").map(|code| code.parse().unwrap_or(0)),
            seq: 0,
            node,
        })
    }
}

/// Whether the code of a refusal says nothing about the stanza, only that the gatekeeper cannot take it now.
#[must_use]
pub fn refused_for_now(code: u16) -> bool {
    matches!(code, 429 | 500..=503)
}

/// The acknowledgement a stanza of the gatekeeper gets: `<ack class id to [participant] [type]/>`, the type for everything
/// but messages. `None` for what has no id and so cannot be acknowledged.
#[must_use]
pub fn acknowledgement(stanza: &Node) -> Option<Node> {
    let id = stanza.attr("id")?.into_owned();
    let value = |key: &str| {
        stanza
            .attrs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.clone())
    };
    let mut ack = Node::new("ack")
        .with("class", stanza.tag.as_ref())
        .with("id", id);
    for (from, to) in [("from", "to"), ("participant", "participant")] {
        if let Some(value) = value(from) {
            ack.attrs.push((to.into(), value));
        }
    }
    if stanza.tag != "message"
        && let Some(kind) = value("type")
    {
        ack.attrs.push(("type".into(), kind));
    }
    Some(ack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_what_the_gatekeeper_matches_by() {
        let receipt = Node::new("receipt")
            .with("id", "A1")
            .with("from", "1@s.whatsapp.net")
            .with("participant", "2@s.whatsapp.net")
            .with("type", "read");
        let expected = Node::new("ack")
            .with("class", "receipt")
            .with("id", "A1")
            .with("to", "1@s.whatsapp.net")
            .with("participant", "2@s.whatsapp.net")
            .with("type", "read");
        assert_eq!(acknowledgement(&receipt), Some(expected));
        assert_eq!(acknowledgement(&Node::new("message")), None);
    }

    #[test]
    fn a_message_type_is_not_repeated() {
        let message = Node::new("message").with("id", "A1").with("type", "text");
        let ack = acknowledgement(&message).expect("it has an id");
        assert_eq!(ack.attr("type"), None);
    }
}
