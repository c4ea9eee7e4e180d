//! Encrypted files: against bytes another program computed, in chunks of every length, and damaged in every way.

use drawbridge::{
    domain::{MediaKey, MediaKind},
    network::interop::wire::media::{Checker, Decryptor, Encryptor, MediaFault, Sealed},
};
use hmac::{Hmac, Mac};
use proptest::{collection::vec, prelude::*};
use sha2::{Digest, Sha256};

use super::hex;

const KINDS: [(MediaKind, &str); 7] = [
    (MediaKind::Image, "Image"),
    (MediaKind::Sticker, "Image"),
    (MediaKind::Video, "Video"),
    (MediaKind::Gif, "Video"),
    (MediaKind::Audio, "Audio"),
    (MediaKind::Voice, "Audio"),
    (MediaKind::File, "Document"),
];

/// Bytes 0 to 31.
fn key() -> MediaKey {
    MediaKey(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The whole of a file encrypted in chunks of some lengths, over and over.
fn seal(kind: MediaKind, file: &[u8], chunks: &[usize]) -> (Vec<u8>, Sealed) {
    let mut encryptor = Encryptor::new(&key(), kind);
    let mut out = Vec::new();
    for chunk in in_chunks(file, chunks) {
        out.extend(encryptor.update(chunk));
    }
    let (end, sealed) = encryptor.finish();
    out.extend(end);
    (out, sealed)
}

fn check(
    kind: MediaKind,
    bytes: &[u8],
    hash: &[u8; 32],
    chunks: &[usize],
) -> Result<u64, MediaFault> {
    let mut checker = Checker::new(&key(), kind);
    for chunk in in_chunks(bytes, chunks) {
        checker.update(chunk);
    }
    checker.finish(hash)
}

fn open(
    kind: MediaKind,
    ciphertext: &[u8],
    hash: &[u8; 32],
    chunks: &[usize],
) -> Result<Vec<u8>, MediaFault> {
    let mut decryptor = Decryptor::new(&key(), kind);
    let mut out = Vec::new();
    for chunk in in_chunks(ciphertext, chunks) {
        out.extend(decryptor.update(chunk));
    }
    out.extend(decryptor.finish(hash)?);
    Ok(out)
}

fn in_chunks<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (chunk, rest) = bytes.split_at(bytes.len().min(*length));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

/// Made with OpenSSL's AES and Python's HMAC.
#[test]
fn what_another_program_made_of_a_file_is_made_of_it_here() {
    let file = b"The ferry left at nine, so the letter had to wait.";
    let known = [
        (
            MediaKind::Image,
            "c50721a47671db6d06074e6eafc5a29320201f23d5e3f1473c59ad110f695f46b9a7d5c8f84133309216719a30ca7c4f
             c0d776b81e85fe82a2c54caea3933d028dccd285e5e2019bd3da",
            "c01ced195a79f663eb50fda2b234466278d965e5c838210e96a03098bf04f872",
        ),
        (
            MediaKind::Video,
            "14701e4b39835bc45ad4d82499c7128395c2bebab13eafca909b941fe37dc27b84c2d136f1818d589f0c717b636d2097
             df8f206e72f734139f333f6fbadae88f16dca276f8df3e2c1e46",
            "54a553c5c98a9a763ffce3decaad3f6e255be6d36b670601ca156b5be34fd169",
        ),
        (
            MediaKind::Audio,
            "7f1971339b6cac7f84191287ba93c9e398266e8d6d265800378cf3a2bc01bd56265b14ea170c53e2eb66e8f3baaf5a96
             3ea587377eb112ccd4a8195a2c873d615511d907d950d10836d1",
            "c7b59773d794b25c7e13525d3663d936dbb22a24bb1eb854e1051de86d1a08f2",
        ),
        (
            MediaKind::File,
            "231b5ff929da63685bcb68409762e3f8ca98eba6a7c0050288edfe56d3ee97dcda09a71a77e25f5b3344e169fa7ffa52
             301bf6c3499058c411edf770c255dd9287d9e8cdcfb8166afe09",
            "d8527ecc41d924cd4fe4115468e6c19c292a6679a4b4558012041d84f3542f24",
        ),
    ];
    for (kind, encrypted, hash) in known {
        let (out, sealed) = seal(kind, file, &[file.len()]);
        assert_eq!(out, hex(encrypted), "{kind:?}");
        assert_eq!(sealed.encrypted_sha256[..], hex(hash), "{kind:?}");
        let of_file = hex("0519623445962edbae3b33d579c5fad097536419417a20353f15b3b91caf4c60");
        assert_eq!(sealed.sha256[..], of_file);
        assert_eq!(sealed.size, 50);
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// HKDF as its RFC 5869 spells it: 112 bytes.
fn keys(name: &str) -> Vec<u8> {
    let extracted = hmac(&[0; 32], &key().0);
    let info = format!("WhatsApp {name} Keys");
    let (mut out, mut last) = (Vec::new(), Vec::new());
    for n in 1..=4_u8 {
        last = hmac(&extracted, &[&last, info.as_bytes(), &[n]].concat());
        out.extend(&last);
    }
    out.truncate(112);
    out
}

#[test]
fn hmac_gives_the_answer_of_rfc_4231() {
    let expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_eq!(hmac(b"Jefe", b"what do ya want for nothing?"), expected);
}

#[test]
fn the_mac_is_of_the_iv_and_the_ciphertext() {
    for (kind, name) in KINDS {
        let (out, _) = seal(kind, &[5; 100], &[7]);
        let (ciphertext, mac) = out.split_at(out.len() - 10);
        let keys = keys(name);
        let expected = hmac(&keys[48..80], &[&keys[..16], ciphertext].concat());
        assert_eq!(mac, &expected[..10], "{kind:?}");
    }
}

#[test]
fn files_of_every_small_length_come_back_in_chunks_of_every_small_length() {
    let file: Vec<u8> = (0..50).collect();
    for length in 0..=file.len() {
        let file = &file[..length];
        let (whole, sealed) = seal(MediaKind::Image, file, &[usize::MAX]);
        assert_eq!(whole.len(), (length / 16 + 1) * 16 + 10);
        let ciphertext = &whole[..whole.len() - 10];
        for chunk in 1..=34 {
            assert_eq!(
                seal(MediaKind::Image, file, &[chunk]),
                (whole.clone(), sealed)
            );
            let checked = check(MediaKind::Image, &whole, &sealed.encrypted_sha256, &[chunk]);
            assert_eq!(checked, Ok(ciphertext.len() as u64));
            let opened = open(MediaKind::Image, ciphertext, &sealed.sha256, &[chunk]);
            assert_eq!(opened.as_deref(), Ok(file));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn however_a_file_is_cut_the_bytes_are_the_same(
        file in vec(any::<u8>(), 0..3_000),
        chunks in vec(1..400_usize, 1..10),
        others in vec(1..400_usize, 1..10),
    ) {
        let (out, sealed) = seal(MediaKind::Video, &file, &chunks);
        let whole = seal(MediaKind::Video, &file, &[usize::MAX]);
        prop_assert_eq!((&out, sealed), (&whole.0, whole.1));
        prop_assert_eq!(sealed.sha256, sha256(&file));
        prop_assert_eq!(sealed.encrypted_sha256, sha256(&out));
        prop_assert_eq!(sealed.size, file.len() as u64);
        let length = check(MediaKind::Video, &out, &sealed.encrypted_sha256, &others);
        prop_assert_eq!(length, Ok(out.len() as u64 - 10));
        let ciphertext = &out[..out.len() - 10];
        prop_assert_eq!(open(MediaKind::Video, ciphertext, &sealed.sha256, &others), Ok(file));
    }
}

#[test]
fn what_is_cut_off_is_truncated() {
    let (whole, sealed) = seal(MediaKind::File, &[5; 40], &[usize::MAX]);
    let hash = sealed.encrypted_sha256;
    for length in 0..whole.len() {
        let fault = check(MediaKind::File, &whole[..length], &hash, &[9]).unwrap_err();
        // Cut where a block ends, what is there is whole, but not what the MAC is of.
        let expected = if length > 10 && (length - 10) % 16 == 0 {
            MediaFault::Mac
        } else {
            MediaFault::Truncated
        };
        assert_eq!(fault, expected, "{length}");
    }
    let ciphertext = &whole[..whole.len() - 10];
    for length in (0..ciphertext.len()).filter(|length| length % 16 != 0 || *length == 0) {
        let opened = open(MediaKind::File, &ciphertext[..length], &sealed.sha256, &[9]);
        assert_eq!(opened, Err(MediaFault::Truncated), "{length}");
    }
}

#[test]
fn a_changed_byte_is_seen_wherever_it_is() {
    let (whole, sealed) = seal(MediaKind::File, &[5; 40], &[usize::MAX]);
    for place in 0..whole.len() {
        let mut bad = whole.clone();
        bad[place] ^= 0x10;
        let checked = check(MediaKind::File, &bad, &sealed.encrypted_sha256, &[13]);
        assert_eq!(checked, Err(MediaFault::Mac), "{place}");
    }
}

#[test]
fn another_key_or_kind_is_seen_by_the_mac() {
    let (whole, sealed) = seal(MediaKind::File, b"x", &[1]);
    let checked = check(
        MediaKind::Image,
        &whole,
        &sealed.encrypted_sha256,
        &[usize::MAX],
    );
    assert_eq!(checked, Err(MediaFault::Mac));
    let mut checker = Checker::new(&MediaKey([0; 32]), MediaKind::File);
    checker.update(&whole);
    assert_eq!(
        checker.finish(&sealed.encrypted_sha256),
        Err(MediaFault::Mac)
    );
}

#[test]
fn other_hashes_than_were_announced_are_named() {
    let (whole, sealed) = seal(MediaKind::File, &[5; 40], &[usize::MAX]);
    let checked = check(MediaKind::File, &whole, &[0; 32], &[usize::MAX]);
    assert_eq!(checked, Err(MediaFault::EncryptedHash));
    let ciphertext = &whole[..whole.len() - 10];
    let opened = open(MediaKind::File, ciphertext, &sealed.encrypted_sha256, &[16]);
    assert_eq!(opened, Err(MediaFault::Hash));
}

#[test]
fn a_wrong_end_is_seen_by_the_padding() {
    // The second block alone decrypts to bytes of the file, which are no padding.
    for end in [[7, 0], [7, 2], [7, 17], [16, 16], [255, 255]] {
        let mut file = [7; 40];
        file[30..32].copy_from_slice(&end);
        let (whole, sealed) = seal(MediaKind::File, &file, &[usize::MAX]);
        let opened = open(MediaKind::File, &whole[..32], &sealed.sha256, &[usize::MAX]);
        assert_eq!(opened, Err(MediaFault::Padding), "{end:?}");
    }
}

#[test]
fn every_fault_says_what_is_wrong() {
    let faults = [
        MediaFault::Truncated,
        MediaFault::Mac,
        MediaFault::EncryptedHash,
        MediaFault::Padding,
        MediaFault::Hash,
    ];
    let mut said: Vec<&str> = faults.iter().map(|fault| fault.as_str()).collect();
    assert!(said.iter().all(|words| words.len() > 10));
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), faults.len());
    assert_eq!(MediaFault::Mac.to_string(), MediaFault::Mac.as_str());
}
