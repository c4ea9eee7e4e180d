//! Files that clients encrypted.

use bytes::Bytes;
use drawbridge::{
    domain::{AttachmentKey, AttachmentSecret},
    matrix::{
        ByteStream, DownloadError,
        attachment::{FileCipher, decrypt, new_secret},
    },
};
use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// The example of NIST SP 800-38A, F.5.5 (AES-256 in counter mode).
const KEY: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
const COUNTER: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
const CIPHER: &str = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

fn key(ciphertext: &[u8]) -> AttachmentKey {
    AttachmentKey {
        key: bytes(KEY).try_into().expect("32 bytes"),
        iv: bytes(COUNTER).try_into().expect("16 bytes"),
        sha256: Sha256::digest(ciphertext).into(),
    }
}

fn pieces(bytes: &[u8], size: usize) -> ByteStream {
    let pieces: Vec<_> = bytes
        .chunks(size)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

/// What came, and why it ended if not well.
async fn drained(mut stream: ByteStream) -> (Vec<u8>, Option<std::io::Error>) {
    let mut whole = Vec::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => whole.extend_from_slice(&piece),
            Err(error) => return (whole, Some(error)),
        }
    }
    (whole, None)
}

#[tokio::test]
async fn a_file_is_decrypted_whatever_pieces_it_comes_in() {
    let ciphertext = bytes(CIPHER);
    for size in [1, 7, 16, 33, 64] {
        let (plain, error) = drained(decrypt(pieces(&ciphertext, size), &key(&ciphertext))).await;
        assert_eq!(plain, bytes(PLAIN), "{size}");
        assert!(error.is_none());
    }
    let (plain, error) = drained(decrypt(pieces(b"", 1), &key(b""))).await;
    assert!(plain.is_empty() && error.is_none());
}

#[tokio::test]
async fn a_file_that_was_changed_or_cut_fails_at_its_end() {
    let ciphertext = bytes(CIPHER);
    let key = key(&ciphertext);
    let mut changed = ciphertext.clone();
    changed[40] ^= 1;
    for wrong in [&changed[..], &ciphertext[..63], &[]] {
        let (_, error) = drained(decrypt(pieces(wrong, 16), &key)).await;
        let error = error.unwrap();
        let inside = DownloadError::inside(&error).unwrap();
        assert!(matches!(inside, DownloadError::Corrupt(_)), "{inside}");
        assert!(!inside.is_transient());
    }
}

#[tokio::test]
async fn a_source_that_fails_fails_as_it_did() {
    let broken = stream::iter([
        Ok(Bytes::from_static(b"some")),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ]);
    let (plain, error) = drained(decrypt(broken.boxed(), &key(b"some"))).await;
    assert_eq!(plain.len(), 4);
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_file_is_encrypted_as_the_standard_says() {
    let known = key(&bytes(CIPHER));
    let cipher = FileCipher::new(AttachmentSecret {
        key: known.key,
        iv: known.iv,
    });
    assert_eq!(cipher.key(), None, "nothing was read yet");
    // Each try is of the same bytes, whatever pieces they come in.
    for size in [1, 16, 33, 64] {
        let (ciphertext, error) = drained(cipher.encrypt(pieces(&bytes(PLAIN), size))).await;
        assert!(error.is_none());
        assert_eq!(ciphertext, bytes(CIPHER), "{size}");
        assert_eq!(cipher.key(), Some(known.clone()));
    }
}

#[tokio::test]
async fn a_file_that_was_not_read_to_its_end_has_no_key() {
    let cipher = FileCipher::new(new_secret());
    let broken = stream::iter([
        Ok(Bytes::from_static(b"some")),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ]);
    let (_, error) = drained(cipher.encrypt(broken.boxed())).await;
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(cipher.key(), None);
}

#[test]
fn secrets_differ_and_leave_room_to_count() {
    let (one, other) = (new_secret(), new_secret());
    assert_eq!(one.iv[8..], [0; 8]);
    assert!(one.key != other.key && one.iv != other.iv);
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted(
        plain in proptest::collection::vec(any::<u8>(), 0..4_000),
        (out, back) in (1_usize..700, 1_usize..700),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (ciphertext, key, came) = runtime.block_on(async {
            let cipher = FileCipher::new(new_secret());
            let (ciphertext, _) = drained(cipher.encrypt(pieces(&plain, out))).await;
            let key = cipher.key().expect("it was read");
            let came = drained(decrypt(pieces(&ciphertext, back), &key)).await;
            (ciphertext, key, came)
        });
        prop_assert!(came.1.is_none());
        prop_assert_eq!(&came.0, &plain);
        prop_assert_eq!(ciphertext.len(), plain.len());
        let sha256: [u8; 32] = Sha256::digest(&ciphertext).into();
        prop_assert_eq!(key.sha256, sha256);
    }
}
