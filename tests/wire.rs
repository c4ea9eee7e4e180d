//! The wire against published bytes, hostile bytes and itself; the Partner's endpoints over real HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "wire/enlisting.rs"]
mod enlisting;
#[path = "wire/enlistment.rs"]
mod enlistment;
#[path = "wire/files.rs"]
mod files;
#[path = "wire/groups.rs"]
mod groups;
#[path = "wire/media.rs"]
mod media;
#[path = "wire/media_cipher.rs"]
mod media_cipher;
#[path = "wire/media_retry.rs"]
mod media_retry;
#[path = "wire/memory.rs"]
mod memory;
#[path = "wire/messages/mod.rs"]
mod messages;
#[path = "wire/noise.rs"]
mod noise;
#[path = "wire/partner.rs"]
mod partner;
#[path = "wire/people.rs"]
mod people;
#[path = "wire/profile.rs"]
mod profile;
#[path = "wire/properties.rs"]
mod properties;
#[path = "wire/server.rs"]
mod server;
#[path = "wire/signing.rs"]
mod signing;
#[path = "wire/stanzas.rs"]
mod stanzas;

/// Bytes written as hex digits with spaces between them as one likes.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
