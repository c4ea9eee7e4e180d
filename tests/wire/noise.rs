//! The handshake, our initiator against our responder, and everything that must make it fail.

use std::ops::Range;

use drawbridge::{
    domain::Timestamp,
    network::interop::wire::{
        CertificateError, certificate,
        noise::{Initiator, NoiseError, Responder, Transport, public_key},
    },
};

const ROOT: [u8; 32] = [1; 32];
const INTERMEDIATE: [u8; 32] = [2; 32];
const SERVER: [u8; 32] = [3; 32];
const CLIENT: [u8; 32] = [4; 32];
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const VALID: Range<Timestamp> = Timestamp(1_600_000_000_000)..Timestamp(1_800_000_000_000);

fn chain(leaf_public: &[u8; 32], validity: &Range<Timestamp>) -> Vec<u8> {
    certificate::issue_chain(
        &ROOT,
        &INTERMEDIATE,
        leaf_public,
        validity,
        &mut rand::rng(),
    )
}

/// A handshake whose three messages and chain may be changed on their way.
struct Handshake {
    chain: Vec<u8>,
    root_key: [u8; 32],
    now: Timestamp,
    change: fn(message: usize, bytes: &mut Vec<u8>),
}

impl Default for Handshake {
    fn default() -> Self {
        Self {
            chain: chain(&public_key(&SERVER), &VALID),
            root_key: public_key(&ROOT),
            now: NOW,
            change: |_, _| {},
        }
    }
}

impl Handshake {
    fn run(&self) -> Result<(Transport, Transport), NoiseError> {
        let (initiator, mut hello) = Initiator::new(CLIENT, [5; 32]);
        (self.change)(1, &mut hello);
        let (responder, mut answer) =
            Responder::read_client_hello(&hello, &SERVER, [6; 32], &self.chain)?;
        (self.change)(2, &mut answer);
        let (mut finish, client) =
            initiator.read_server_hello(&answer, &self.root_key, self.now, b"payload")?;
        (self.change)(3, &mut finish);
        let (client_static, payload, server) = responder.read_client_finish(&finish)?;
        assert_eq!(client_static, public_key(&CLIENT));
        assert_eq!(payload, b"payload");
        Ok((client, server))
    }

    fn error(&self) -> NoiseError {
        self.run().err().expect("the handshake is to fail")
    }
}

#[test]
fn both_sides_agree_and_talk() {
    let (mut client, mut server) = Handshake::default().run().unwrap();
    for round in 0..3u8 {
        let sealed = client.seal(&[round; 5]);
        assert_eq!(server.open(&sealed).unwrap(), [round; 5]);
        let sealed = server.seal(b"");
        assert_eq!(client.open(&sealed).unwrap(), b"");
    }
}

#[test]
fn frames_open_once_in_order_and_unchanged() {
    let (mut client, mut server) = Handshake::default().run().unwrap();
    let (first, second) = (client.seal(b"first"), client.seal(b"second"));
    assert!(matches!(server.open(&second), Err(NoiseError::Sealed)));
    assert_eq!(server.open(&first).unwrap(), b"first");
    assert!(matches!(server.open(&first), Err(NoiseError::Sealed)));
    let mut changed = second.clone();
    changed[0] ^= 1;
    assert!(matches!(server.open(&changed), Err(NoiseError::Sealed)));
    for short in 0..16 {
        assert!(server.open(&second[..short]).is_err());
    }
    assert_eq!(server.open(&second).unwrap(), b"second");
    // A frame does not open on the side that sealed it.
    let sealed = client.seal(b"mirror");
    assert!(client.open(&sealed).is_err());
}

#[test]
fn a_change_of_any_byte_of_any_message_is_noticed() {
    for message in 1..=3usize {
        let (initiator, hello) = Initiator::new(CLIENT, [5; 32]);
        let chain = chain(&public_key(&SERVER), &VALID);
        let (_, answer) = Responder::read_client_hello(&hello, &SERVER, [6; 32], &chain).unwrap();
        let (finish, _) = initiator
            .read_server_hello(&answer, &public_key(&ROOT), NOW, b"payload")
            .unwrap();
        let length = [hello.len(), answer.len(), finish.len()][message - 1];
        // Changing the length bytes of the protobuf is noticed too, but as another error.
        for at in (0..length).step_by(7) {
            let (initiator, mut hello) = Initiator::new(CLIENT, [5; 32]);
            let flip = |wanted: usize, bytes: &mut Vec<u8>| {
                if message == wanted {
                    bytes[at] ^= 0x10;
                }
            };
            flip(1, &mut hello);
            let outcome = Responder::read_client_hello(&hello, &SERVER, [6; 32], &chain).and_then(
                |(responder, mut answer)| {
                    flip(2, &mut answer);
                    let (mut finish, _) = initiator.read_server_hello(
                        &answer,
                        &public_key(&ROOT),
                        NOW,
                        b"payload",
                    )?;
                    flip(3, &mut finish);
                    responder.read_client_finish(&finish)
                },
            );
            assert!(outcome.is_err(), "message {message}, byte {at}");
        }
    }
}

#[test]
fn a_chain_of_another_root_is_refused() {
    let handshake = Handshake {
        root_key: public_key(&[9; 32]),
        ..Handshake::default()
    };
    assert!(matches!(
        handshake.error(),
        NoiseError::Certificate(CertificateError::Signature("intermediate"))
    ));
}

#[test]
fn a_chain_out_of_its_time_is_refused() {
    let late = Handshake {
        now: VALID.end.plus_millis(1000),
        ..Handshake::default()
    };
    assert!(matches!(
        late.error(),
        NoiseError::Certificate(CertificateError::Expired("intermediate"))
    ));
    let early = Handshake {
        now: VALID.start.plus_millis(-1000),
        ..Handshake::default()
    };
    assert!(matches!(
        early.error(),
        NoiseError::Certificate(CertificateError::NotYet("intermediate"))
    ));
}

#[test]
fn a_leaf_for_another_key_is_refused() {
    let handshake = Handshake {
        chain: chain(&public_key(&[8; 32]), &VALID),
        ..Handshake::default()
    };
    assert!(matches!(
        handshake.error(),
        NoiseError::Certificate(CertificateError::OtherKey)
    ));
}

#[test]
fn a_leaf_of_another_intermediate_is_refused() {
    // Two chains of the same root; the leaf of one under the intermediate of the other.
    let mut rng = rand::rng();
    let server = public_key(&SERVER);
    let ours = certificate::issue_chain(&ROOT, &INTERMEDIATE, &server, &VALID, &mut rng);
    let other = certificate::issue_chain(&ROOT, &[7; 32], &server, &VALID, &mut rng);
    // Merging protobufs by concatenation: the later intermediate wins, the leaf stays.
    let intermediate_only = field(&other, 2);
    let mixed = [field(&ours, 1), intermediate_only].concat();
    assert_eq!(
        certificate::verify_chain(&mixed, &public_key(&ROOT), &server, NOW),
        Err(CertificateError::Signature("leaf"))
    );
    let missing = field(&ours, 1);
    assert_eq!(
        certificate::verify_chain(&missing, &public_key(&ROOT), &server, NOW),
        Err(CertificateError::Malformed("intermediate"))
    );
}

/// A length-delimited field of a protobuf with its tag, the lengths being two-byte or one-byte varints.
fn field(message: &[u8], number: u8) -> Vec<u8> {
    let mut rest = message;
    while let [tag, after @ ..] = rest {
        let (length, header) = match after {
            [low, high, ..] if low & 0x80 != 0 => {
                (usize::from(low & 0x7f) | usize::from(*high) << 7, 3)
            }
            [low, ..] => (usize::from(*low), 2),
            [] => break,
        };
        let (field, others) = rest.split_at(header + length);
        if tag >> 3 == number {
            return field.to_vec();
        }
        rest = others;
    }
    panic!("no field {number}");
}

#[test]
fn a_key_of_small_order_is_refused() {
    let mut hello = vec![0x12, 0x22, 0x0a, 0x20];
    hello.extend([0; 32]);
    let chain = chain(&public_key(&SERVER), &VALID);
    assert!(matches!(
        Responder::read_client_hello(&hello, &SERVER, [6; 32], &chain).err(),
        Some(NoiseError::WeakKey)
    ));
}

#[test]
fn cut_messages_are_refused() {
    for message in 1..=3usize {
        let handshake = Handshake {
            change: match message {
                1 => |m, bytes| {
                    if m == 1 {
                        bytes.truncate(bytes.len() / 2);
                    }
                },
                2 => |m, bytes| {
                    if m == 2 {
                        bytes.truncate(bytes.len() / 2);
                    }
                },
                _ => |m, bytes| {
                    if m == 3 {
                        bytes.truncate(bytes.len() / 2);
                    }
                },
            },
            ..Handshake::default()
        };
        handshake.error();
    }
}
