//! Public keys as elements: prekey bundles read, our own keys written.
//!
//! ```xml
//! <user jid="…"><registration>4 B</registration><type>05</type><identity>32 B</identity>
//!   <skey><id>3 B</id><value>32 B</value><signature>64 B</signature></skey>
//!   <key><id>3 B</id><value>32 B</value></key></user>
//! ```
//! A retry receipt holds the same in `<keys>`, its `<registration>` beside it. Numbers are big-endian, keys without type byte.

use super::wire::Node;
use crate::signal::{Bundle, Device, PublicPreKey, PublicSignedPreKey};

/// The type byte of a Curve25519 key.
const KEY_TYPE: u8 = 5;

/// Why an element is no prekey bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the prekey bundle has no valid <{0}>")]
pub(super) struct BundleError(&'static str);

/// Reads the keys of another device; `registration` is the element that holds its `<registration>`.
///
/// # Errors
/// Names the element that is missing or malformed. Signatures are verified when the session is made.
pub(super) fn read(registration: &Node, keys: &Node) -> Result<Bundle, BundleError> {
    if let Some(kind) = keys.find("type")
        && kind.content_bytes() != Some(&[KEY_TYPE])
    {
        return Err(BundleError("type"));
    }
    let signed = keys.find("skey").ok_or(BundleError("skey"))?;
    let signature = signed
        .find("signature")
        .and_then(Node::content_bytes)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(BundleError("signature"))?;
    Ok(Bundle {
        registration_id: read_registration(registration).ok_or(BundleError("registration"))?,
        identity: key_in(keys, "identity").ok_or(BundleError("identity"))?,
        signed_prekey: PublicSignedPreKey {
            id: id_in(signed).ok_or(BundleError("skey"))?,
            value: key_in(signed, "value").ok_or(BundleError("skey"))?,
            signature,
        },
        prekey: keys
            .find("key")
            .map(|key| {
                Ok(PublicPreKey {
                    id: id_in(key).ok_or(BundleError("key"))?,
                    value: key_in(key, "value").ok_or(BundleError("key"))?,
                })
            })
            .transpose()?,
    })
}

/// The registration id in an element's `<registration>`.
pub(super) fn read_registration(parent: &Node) -> Option<u32> {
    let bytes = parent.find("registration")?.content_bytes()?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// `<registration>`, `<type>` and `<identity>` of our own device.
pub(super) fn own(device: &Device) -> [Node; 3] {
    [
        registration(device),
        Node::new("type").bytes([KEY_TYPE]),
        Node::new("identity").bytes(device.identity()),
    ]
}

/// `<registration>` of our own device.
pub(super) fn registration(device: &Device) -> Node {
    Node::new("registration").bytes(device.registration_id().to_be_bytes())
}

/// `<key>`.
pub(super) fn prekey(key: &PublicPreKey) -> Node {
    Node::new("key")
        .child(id(key.id))
        .child(Node::new("value").bytes(key.value))
}

/// `<skey>`.
pub(super) fn signed_prekey(key: &PublicSignedPreKey) -> Node {
    Node::new("skey")
        .child(id(key.id))
        .child(Node::new("value").bytes(key.value))
        .child(Node::new("signature").bytes(key.signature))
}

fn id(id: u32) -> Node {
    Node::new("id").bytes(&id.to_be_bytes()[1..])
}

fn id_in(parent: &Node) -> Option<u32> {
    match parent.find("id")?.content_bytes()? {
        [a, b, c] => Some(u32::from_be_bytes([0, *a, *b, *c])),
        _ => None,
    }
}

/// A key of 32 bytes, or of 33 with its type byte.
fn key_in(parent: &Node, tag: &str) -> Option<[u8; 32]> {
    match parent.find(tag)?.content_bytes()? {
        [KEY_TYPE, key @ ..] if key.len() == 32 => key.try_into().ok(),
        key => key.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Node {
        let key = PublicPreKey {
            id: 0x00AB_CDEF,
            value: [7; 32],
        };
        let signed = PublicSignedPreKey {
            id: 2,
            value: [8; 32],
            signature: [9; 64],
        };
        Node::new("user")
            .child(Node::new("registration").bytes([0, 0, 0x12, 0x34]))
            .child(Node::new("type").bytes([5]))
            .child(Node::new("identity").bytes([6; 32]))
            .child(signed_prekey(&signed))
            .child(prekey(&key))
    }

    fn without(tag: &str) -> Node {
        let mut user = user();
        if let super::super::wire::Content::Nodes(nodes) = &mut user.content {
            nodes.retain(|node| node.tag != tag);
        }
        user
    }

    #[test]
    fn reads_what_is_written() {
        let user = user();
        let bundle = read(&user, &user).unwrap();
        assert_eq!(bundle.registration_id, 0x1234);
        assert_eq!(bundle.identity, [6; 32]);
        assert_eq!(bundle.signed_prekey.id, 2);
        assert_eq!(bundle.prekey.unwrap().id, 0x00AB_CDEF);
    }

    #[test]
    fn the_one_time_prekey_may_be_missing_and_nothing_else() {
        let bare = without("key");
        assert_eq!(read(&bare, &bare).unwrap().prekey, None);
        for tag in ["registration", "identity", "skey"] {
            let bare = without(tag);
            assert_eq!(read(&bare, &bare), Err(BundleError(tag)));
        }
    }

    #[test]
    fn a_type_byte_before_a_key_is_accepted() {
        let mut key = vec![5];
        key.extend([6; 32]);
        let user = without("identity").child(Node::new("identity").bytes(key));
        assert_eq!(read(&user, &user).unwrap().identity, [6; 32]);
    }
}
