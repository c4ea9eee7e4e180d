//! Encrypted files as events tell of them: the address, the key as a JSON web key, the counter block, the hash of the ciphertext.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#sending-encrypted-attachments>

use base64::{
    Engine,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
    },
};
use serde_json::{Value, json};

use crate::domain::AttachmentKey;

/// Says in `of` where a file is: in the field `{prefix}url`, or with its key in `{prefix}file`.
pub(super) fn tell(of: &mut Value, prefix: &str, uri: &str, encryption: Option<&AttachmentKey>) {
    match encryption {
        Some(key) => of[format!("{prefix}file")] = write(uri, key),
        None => of[format!("{prefix}url")] = json!(uri),
    }
}

/// What an event says of an encrypted file.
pub(super) fn write(uri: &str, key: &AttachmentKey) -> Value {
    json!({
        "v": "v2",
        "url": uri,
        "key": {
            "kty": "oct",
            "alg": "A256CTR",
            "ext": true,
            "key_ops": ["encrypt", "decrypt"],
            "k": URL_SAFE_NO_PAD.encode(key.key),
        },
        "iv": STANDARD_NO_PAD.encode(key.iv),
        "hashes": { "sha256": STANDARD_NO_PAD.encode(key.sha256) },
    })
}

/// The key of an encrypted file; `None` if it is not given in full, or of a kind that is not known.
pub(super) fn read(file: &Value) -> Option<AttachmentKey> {
    let key = &file["key"];
    let is_known = key["kty"] == "oct" && key["alg"] == "A256CTR" && file["v"] == "v2";
    if !is_known {
        return None;
    }
    Some(AttachmentKey {
        key: decoded(&key["k"], &URL_SAFE)?,
        iv: decoded(&file["iv"], &STANDARD)?,
        sha256: decoded(&file["hashes"]["sha256"], &STANDARD)?,
    })
}

/// Base64 of exactly so many bytes, with or without padding.
fn decoded<const N: usize>(text: &Value, alphabet: &Alphabet) -> Option<[u8; N]> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(alphabet, config)
        .decode(text.as_str()?)
        .ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(key: [u8; 32], iv: [u8; 16], sha256: [u8; 32]) {
            let key = AttachmentKey { key, iv, sha256 };
            let written = write("mxc://example.org/file", &key);
            prop_assert_eq!(read(&written), Some(key));
            prop_assert_eq!(&written["url"], "mxc://example.org/file");
        }
    }
}
