//! Any order of sending, losing, repeating and crashing: what arrives first is read once, and no key is used twice.

use std::collections::{HashMap, HashSet};

use drawbridge::signal::{Address, CiphertextKind, SignalError};
use proptest::prelude::*;

use super::{
    peer::{Peer, key_place},
    world::{World, phone, us},
};

/// The library keeps this many receiving chains of a session; a message from an older one is lost.
const CHAINS_KEPT: usize = 5;

#[derive(Debug, Clone)]
enum Op {
    WeSend,
    /// The process dies after the ratchet step, before the commit; the message is then sent again.
    WeSendAfterCrash,
    TheySend,
    /// One of the messages on their way to us arrives; `stays` delivers it once more some time.
    ToUs {
        pick: prop::sample::Index,
        stays: bool,
    },
    /// The process dies after decrypting, before the commit; the gatekeeper delivers again.
    ToUsAfterCrash {
        pick: prop::sample::Index,
    },
    ToThem {
        pick: prop::sample::Index,
        stays: bool,
    },
    LoseToUs {
        pick: prop::sample::Index,
    },
    LoseToThem {
        pick: prop::sample::Index,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let pick = || any::<prop::sample::Index>();
    prop_oneof![
        4 => Just(Op::WeSend),
        1 => Just(Op::WeSendAfterCrash),
        4 => Just(Op::TheySend),
        4 => (pick(), prop::bool::weighted(0.2)).prop_map(|(pick, stays)| Op::ToUs { pick, stays }),
        1 => pick().prop_map(|pick| Op::ToUsAfterCrash { pick }),
        4 => (pick(), prop::bool::weighted(0.2)).prop_map(|(pick, stays)| Op::ToThem { pick, stays }),
        1 => pick().prop_map(|pick| Op::LoseToUs { pick }),
        1 => pick().prop_map(|pick| Op::LoseToThem { pick }),
    ]
}

#[derive(Debug, Clone)]
struct Flight {
    kind: CiphertextKind,
    bytes: Vec<u8>,
    text: String,
    read: bool,
}

/// The chains a receiver has read from, in order of first use.
#[derive(Default)]
struct Chains(Vec<[u8; 32]>);

impl Chains {
    fn note(&mut self, flight: &Flight) {
        let (chain, _) = key_place(flight.kind, &flight.bytes);
        if !self.0.contains(&chain) {
            self.0.push(chain);
        }
    }

    /// Whether so many chains have been begun since the message's own that it may be forgotten. A chain nothing was read of
    /// yet is made when its first message comes.
    fn may_be_forgotten(&self, flight: &Flight) -> bool {
        let (chain, _) = key_place(flight.kind, &flight.bytes);
        let place = self.0.iter().position(|c| *c == chain);
        place.is_some_and(|place| self.0.len() - (place + 1) >= CHAINS_KEPT)
    }
}

struct Machine {
    world: World,
    peer: Peer,
    peer_address: Address,
    one_time: bool,
    sent: u32,
    to_us: Vec<Flight>,
    to_them: Vec<Flight>,
    our_chains: Chains,
    their_chains: Chains,
    keys_we_used: HashSet<([u8; 32], u32)>,
    texts: HashMap<&'static str, Vec<String>>,
}

impl Machine {
    async fn new(one_time: bool) -> Self {
        let jid = phone(1);
        Self {
            world: World::new().await,
            peer: Peer::new(&jid, &us()),
            peer_address: Address::new(&jid.to_string(), 0),
            one_time,
            sent: 0,
            to_us: Vec::new(),
            to_them: Vec::new(),
            our_chains: Chains::default(),
            their_chains: Chains::default(),
            keys_we_used: HashSet::new(),
            texts: HashMap::new(),
        }
    }

    fn text(&mut self) -> String {
        self.sent += 1;
        format!("message {}", self.sent)
    }

    async fn we_send(&mut self, crash_first: bool) {
        let text = self.text();
        let to = self.peer_address.clone();
        if crash_first {
            // This ciphertext never left, so its key may come again.
            drop(self.world.crash_encrypt(&to, text.as_bytes()).await);
        }
        let ciphertext = match self.world.encrypt(&to, text.as_bytes()).await {
            Ok(ciphertext) => ciphertext,
            Err(SignalError::NoSession) => {
                let bundle = self.peer.bundle(self.one_time);
                self.world.establish(&to, bundle).await.unwrap();
                self.world.encrypt(&to, text.as_bytes()).await.unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        let place = key_place(ciphertext.kind, &ciphertext.bytes);
        assert!(
            self.keys_we_used.insert(place),
            "a message key was used twice"
        );
        self.to_them.push(Flight {
            kind: ciphertext.kind,
            bytes: ciphertext.bytes,
            text,
            read: false,
        });
    }

    async fn they_send(&mut self) {
        if !self.peer.has_session() {
            let bundle = self.world.bundle(self.one_time).await;
            self.peer.establish(&bundle);
        }
        let text = self.text();
        let (kind, bytes) = self.peer.encrypt(text.as_bytes());
        self.to_us.push(Flight {
            kind,
            bytes,
            text,
            read: false,
        });
    }

    async fn arrive_here(&mut self, at: usize, stays: bool, crash_first: bool) {
        let mut flight = self.to_us.remove(at);
        let from = self.peer_address.clone();
        if crash_first {
            let lost = self
                .world
                .crash_decrypt(&from, flight.kind, &flight.bytes)
                .await;
            assert!(
                lost.is_ok() || flight.read || self.our_chains.may_be_forgotten(&flight),
                "{lost:?}"
            );
        }
        match self.world.decrypt(&from, flight.kind, &flight.bytes).await {
            Ok(message) => {
                assert!(!flight.read, "a message was read twice");
                assert_eq!(message.plaintext, flight.text.as_bytes());
                assert!(!message.identity_changed);
                self.our_chains.note(&flight);
                self.texts
                    .entry("us")
                    .or_default()
                    .push(flight.text.clone());
                flight.read = true;
            }
            Err(error) if flight.read => {
                assert!(
                    error == SignalError::Duplicate || self.our_chains.may_be_forgotten(&flight),
                    "{error}"
                );
            }
            Err(error) => assert!(self.our_chains.may_be_forgotten(&flight), "{error}"),
        }
        if stays {
            self.to_us.push(flight);
        }
    }

    fn arrive_there(&mut self, at: usize, stays: bool) {
        let mut flight = self.to_them.remove(at);
        match self.peer.decrypt(flight.kind, &flight.bytes) {
            Ok(plaintext) => {
                assert!(!flight.read, "the peer read a message twice");
                assert_eq!(plaintext, flight.text.as_bytes());
                self.their_chains.note(&flight);
                flight.read = true;
            }
            Err(error) => assert!(
                flight.read || self.their_chains.may_be_forgotten(&flight),
                "{error}"
            ),
        }
        if stays {
            self.to_them.push(flight);
        }
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::WeSend => self.we_send(false).await,
            Op::WeSendAfterCrash => self.we_send(true).await,
            Op::TheySend => self.they_send().await,
            Op::ToUs { pick, stays } if !self.to_us.is_empty() => {
                self.arrive_here(pick.index(self.to_us.len()), stays, false)
                    .await;
            }
            Op::ToUsAfterCrash { pick } if !self.to_us.is_empty() => {
                self.arrive_here(pick.index(self.to_us.len()), false, true)
                    .await;
            }
            Op::ToThem { pick, stays } if !self.to_them.is_empty() => {
                self.arrive_there(pick.index(self.to_them.len()), stays);
            }
            Op::LoseToUs { pick } if !self.to_us.is_empty() => {
                drop(self.to_us.remove(pick.index(self.to_us.len())));
            }
            Op::LoseToThem { pick } if !self.to_them.is_empty() => {
                drop(self.to_them.remove(pick.index(self.to_them.len())));
            }
            Op::ToUs { .. }
            | Op::ToUsAfterCrash { .. }
            | Op::ToThem { .. }
            | Op::LoseToUs { .. }
            | Op::LoseToThem { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_on_the_way(one_time: bool, ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut machine = Machine::new(one_time).await;
            for op in ops {
                machine.run(op).await;
            }
            // What is still on its way arrives at last, the newest first.
            while !machine.to_us.is_empty() {
                machine.arrive_here(machine.to_us.len() - 1, false, false).await;
            }
            while !machine.to_them.is_empty() {
                machine.arrive_there(machine.to_them.len() - 1, false);
            }
            // And the conversation goes on in both directions.
            for _ in 0..2 {
                machine.we_send(false).await;
                machine.arrive_there(0, false);
                machine.they_send().await;
                machine.arrive_here(0, false, false).await;
            }
            machine.world.db.close().await;
            let read = machine.texts.remove("us").unwrap_or_default();
            let distinct: HashSet<_> = read.iter().collect();
            assert_eq!(distinct.len(), read.len(), "a message was read twice");
        });
    }
}
