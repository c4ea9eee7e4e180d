//! The published vector of `Noise_XX_25519_AESGCM_SHA256` (cacophony), run through our handshake.
//!
//! It mixes the first message's payload into the hash, which the gatekeeper does not: only that switch and the prologue
//! differ from what [`Initiator::new`] and [`Responder::read_client_hello`] do.

use super::{Initiator, Responder, Start, public_key};

const PROLOGUE: &str = "4a6f686e2047616c74";
const CLIENT_STATIC: &str = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
const CLIENT_EPHEMERAL: &str = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
const SERVER_STATIC: &str = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
const SERVER_EPHEMERAL: &str = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
const HASH: &str = "1b7aefb1125762aa21a252890d00af54519638b76437444538f9a52f21e2e0dc";

const FIRST_PAYLOAD: &str = "4c756477696720766f6e204d69736573";
const CLIENT_PUBLIC: &str = "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944";
const SECOND_PAYLOAD: &str = "4d757272617920526f746862617264";
const SERVER_PUBLIC: &str = "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843";
const SERVER_SEALED_STATIC: &str = "757117acceb05bd7a45733bc22015c97a9d0cbaf41b80446d5988ff5127235d76b79eade70f473d6a4ef521fdcbeda53";
const SERVER_SEALED_PAYLOAD: &str =
    "40d01e028ba793fc059f2724a83af05f12dda0448a7621a926b379a92477fd";
const THIRD_PAYLOAD: &str = "462e20412e20486179656b";
const CLIENT_SEALED_STATIC: &str = "c90f1cf77eba4e50edb038991565e36c9758943a989229b6051244dc4fbecb6946744b401af2ee1a5881b65fbb87fd07";
const CLIENT_SEALED_PAYLOAD: &str = "cb6a328ececc9ce6ce84c399dc332d4fd521fa4bb7f467ce909395";

/// Server, client, server: payload and ciphertext.
const TRANSPORT: [(&str, &str); 3] = [
    (
        "4361726c204d656e676572",
        "bc3fa77f6aca3e8466d7dc6bea10013e88a6a29add5132b461806c",
    ),
    (
        "4a65616e2d426170746973746520536179",
        "250b01074cdfe0df2ecf8ccbf1737b15a2ddb5b52fd9a396604e9c793cee3b3bb9",
    ),
    (
        "457567656e2042f6686d20766f6e2042617765726b",
        "449d4d433b3cdc3d02bf6fc881774b9df54366ebcffb9689bb13f14709822cd7ef42bcdb4d",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect()
}

fn key(hex: &str) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

#[test]
fn the_published_vector() {
    let first_payload = bytes(FIRST_PAYLOAD);
    let prologue = bytes(PROLOGUE);
    let start = Start {
        prologue: &prologue,
        first_payload: Some(&first_payload),
    };

    let (mut client, client_public) =
        Initiator::begin(&start, key(CLIENT_STATIC), key(CLIENT_EPHEMERAL));
    assert_eq!(client_public, key(CLIENT_PUBLIC));

    let (server, [sealed_static, sealed_payload]) = Responder::answer(
        &start,
        &client_public,
        &key(SERVER_STATIC),
        key(SERVER_EPHEMERAL),
        &bytes(SECOND_PAYLOAD),
    )
    .unwrap();
    let server_public = public_key(&key(SERVER_EPHEMERAL));
    assert_eq!(server_public, key(SERVER_PUBLIC));
    assert_eq!(sealed_static, bytes(SERVER_SEALED_STATIC));
    assert_eq!(sealed_payload, bytes(SERVER_SEALED_PAYLOAD));

    let (server_static, payload) = client
        .open_server(&server_public, &sealed_static, &sealed_payload)
        .unwrap();
    assert_eq!(server_static, public_key(&key(SERVER_STATIC)));
    assert_eq!(payload, bytes(SECOND_PAYLOAD));

    let (sealed_static, sealed_payload, mut client) = client
        .finish(&server_public, &bytes(THIRD_PAYLOAD))
        .unwrap();
    assert_eq!(sealed_static, bytes(CLIENT_SEALED_STATIC));
    assert_eq!(sealed_payload, bytes(CLIENT_SEALED_PAYLOAD));

    let (client_static, payload, mut server) =
        server.open_client(&sealed_static, &sealed_payload).unwrap();
    assert_eq!(client_static, public_key(&key(CLIENT_STATIC)));
    assert_eq!(payload, bytes(THIRD_PAYLOAD));

    for (index, (payload, sealed)) in TRANSPORT.iter().enumerate() {
        let (from, to) = if index % 2 == 0 {
            (&mut server, &mut client)
        } else {
            (&mut client, &mut server)
        };
        assert_eq!(from.seal(&bytes(payload)), bytes(sealed), "message {index}");
        assert_eq!(to.open(&bytes(sealed)).unwrap(), bytes(payload));
    }
}

#[test]
fn the_published_handshake_hash() {
    let first_payload = bytes(FIRST_PAYLOAD);
    let prologue = bytes(PROLOGUE);
    let start = Start {
        prologue: &prologue,
        first_payload: Some(&first_payload),
    };
    let client = Initiator::begin(&start, key(CLIENT_STATIC), key(CLIENT_EPHEMERAL)).0;
    let mut symmetric = client.symmetric;
    symmetric.mix_hash(&key(SERVER_PUBLIC));
    for sealed in [
        SERVER_SEALED_STATIC,
        SERVER_SEALED_PAYLOAD,
        CLIENT_SEALED_STATIC,
        CLIENT_SEALED_PAYLOAD,
    ] {
        symmetric.mix_hash(&bytes(sealed));
    }
    assert_eq!(symmetric.hash(), key(HASH));
}
