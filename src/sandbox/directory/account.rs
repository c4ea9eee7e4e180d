//! Whom the gatekeeper knows: Partner users who are enlisted, and phones that are registered.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::People;
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::flavour::Flavour,
};

/// The type byte of X25519 keys.
pub(in crate::sandbox) const KEY_TYPE: u8 = 5;

/// What kind of client an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::sandbox) enum Kind {
    /// A Partner's user.
    Partner {
        /// The Partner's number.
        integrator: u16,
        /// The identifier people see.
        visible_id: String,
        /// Whether the user sends and wants read receipts.
        read_receipts: bool,
    },
    /// One of the gatekeeper's own users.
    Phone,
}

/// A signed prekey as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct SignedKey {
    pub(in crate::sandbox) id: u32,
    pub(in crate::sandbox) value: [u8; 32],
    pub(in crate::sandbox) signature: Vec<u8>,
}

/// The public keys of an account's one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct DeviceKeys {
    pub(in crate::sandbox) registration_id: u32,
    pub(in crate::sandbox) identity: [u8; 32],
    pub(in crate::sandbox) signed: SignedKey,
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Account {
    pub(in crate::sandbox) jid: Jid,
    pub(in crate::sandbox) flavour: Flavour,
    pub(in crate::sandbox) kind: Kind,
    /// What others are shown; empty if the user did not say.
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) noise_public: [u8; 32],
    pub(in crate::sandbox) keys: Option<DeviceKeys>,
    /// Whose messages the user does not want.
    pub(in crate::sandbox) blocked: BTreeSet<Jid>,
    /// With whom the user wrote, who are told when the user's identity key changes.
    pub(in crate::sandbox) chats: BTreeSet<Jid>,
    /// When the user was connected last, in milliseconds since the Unix epoch.
    pub(in crate::sandbox) last_seen: i64,
    /// What the user shows, and who may write.
    #[serde(default)]
    pub(in crate::sandbox) people: People,
}

impl Account {
    pub(in crate::sandbox) fn is_partner(&self) -> bool {
        matches!(self.kind, Kind::Partner { .. })
    }

    /// Whether nobody has the Noise key: no client ever connects, and nothing waits for one.
    pub(in crate::sandbox) fn is_silent(&self) -> bool {
        self.noise_public == [0; 32]
    }

    /// Whether the user takes part in read receipts.
    pub(in crate::sandbox) fn read_receipts(&self) -> bool {
        match self.kind {
            Kind::Partner { read_receipts, .. } => read_receipts,
            Kind::Phone => true,
        }
    }

    /// What others are shown.
    pub(in crate::sandbox) fn shown_name(&self) -> Option<String> {
        if !self.name.is_empty() {
            return Some(self.name.clone());
        }
        match &self.kind {
            Kind::Partner { visible_id, .. } => Some(visible_id.clone()),
            Kind::Phone => None,
        }
    }
}

impl SignedKey {
    /// Reads `<skey><id/><value/><signature/></skey>`.
    pub(in crate::sandbox) fn read(node: &Node) -> Option<Self> {
        Some(Self {
            id: key_id(node)?,
            value: key_value(node, "value")?,
            signature: node
                .find("signature")?
                .content_bytes()
                .filter(|s| s.len() == 64)?
                .to_vec(),
        })
    }

    /// Whether the identity key signed it.
    pub(in crate::sandbox) fn is_signed_by(&self, identity: &[u8; 32]) -> bool {
        let mut signed = vec![KEY_TYPE];
        signed.extend_from_slice(&self.value);
        libsignal_protocol::protocol::PublicKey::from_djb_public_key_bytes(identity)
            .is_ok_and(|key| key.verify_signature(&signed, &self.signature))
    }

    /// `<skey>`.
    pub(in crate::sandbox) fn node(&self) -> Node {
        Node::new("skey")
            .child(id_node(self.id))
            .child(Node::new("value").bytes(self.value))
            .child(Node::new("signature").bytes(self.signature.clone()))
    }
}

impl DeviceKeys {
    /// Reads `<registration/><type/><identity/><skey/>` of an element.
    pub(in crate::sandbox) fn read(node: &Node) -> Option<Self> {
        let registration = node.find("registration")?.content_bytes()?;
        Some(Self {
            registration_id: u32::from_be_bytes(registration.try_into().ok()?),
            identity: key_value(node, "identity")?,
            signed: SignedKey::read(node.find("skey")?)?,
        })
    }

    /// The elements of a bundle without a one-time prekey.
    pub(in crate::sandbox) fn nodes(&self) -> [Node; 4] {
        [
            Node::new("registration").bytes(self.registration_id.to_be_bytes()),
            Node::new("type").bytes([KEY_TYPE]),
            Node::new("identity").bytes(self.identity),
            self.signed.node(),
        ]
    }
}

/// `<id>`, three bytes.
pub(in crate::sandbox) fn id_node(id: u32) -> Node {
    Node::new("id").bytes(&id.to_be_bytes()[1..])
}

/// The `<id>` in an element.
pub(in crate::sandbox) fn key_id(node: &Node) -> Option<u32> {
    match node.find("id")?.content_bytes()? {
        [a, b, c] => Some(u32::from_be_bytes([0, *a, *b, *c])),
        _ => None,
    }
}

/// A public key in an element, with or without its type byte.
pub(in crate::sandbox) fn key_value(node: &Node, tag: &str) -> Option<[u8; 32]> {
    match node.find(tag)?.content_bytes()? {
        [KEY_TYPE, key @ ..] if key.len() == 32 => key.try_into().ok(),
        key => key.try_into().ok(),
    }
}

/// `<key>`, a one-time prekey.
pub(in crate::sandbox) fn prekey_node(id: u32, value: &[u8; 32]) -> Node {
    Node::new("key")
        .child(id_node(id))
        .child(Node::new("value").bytes(*value))
}
