//! The gatekeeper's own keys: root, intermediate and the chat server's static key, and the chain from one to the other.

use serde::{Deserialize, Serialize};

use super::disk::{Change, DiskError, Snapshot, Table};
use crate::{
    domain::Timestamp,
    network::interop::wire::{certificate, noise},
};

/// How long before its making a chain is valid, for clocks that are behind, and how long after, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Stored {
    root: [u8; 32],
    intermediate: [u8; 32],
    leaf: [u8; 32],
}

/// What the Noise responder needs.
pub(super) struct Certificates {
    keys: Stored,
    chain: Vec<u8>,
}

impl Certificates {
    /// The stored keys, or new ones with the change that stores them. The chain is signed anew at each start, so that it never
    /// expires.
    pub(super) fn load(
        snapshot: &Snapshot,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Result<Self, DiskError> {
        let stored = snapshot[&Table::Keys]
            .iter()
            .find(|(key, _)| key == b"noise");
        let keys = if let Some((_, value)) = stored {
            serde_json::from_slice(value).map_err(|error| DiskError::Corrupt {
                table: "keys",
                reason: error.to_string(),
            })?
        } else {
            let made = Stored {
                root: rand::random(),
                intermediate: rand::random(),
                leaf: rand::random(),
            };
            let value = serde_json::to_vec(&made).expect("arrays of bytes are JSON");
            changes.push(Change::Put(Table::Keys, b"noise".to_vec(), value));
            made
        };
        let validity = now.plus_millis(-DAY)..now.plus_millis(10 * 365 * DAY);
        let leaf = noise::public_key(&keys.leaf);
        let chain = certificate::issue_chain(
            &keys.root,
            &keys.intermediate,
            &leaf,
            &validity,
            &mut rand::rng(),
        );
        Ok(Self { keys, chain })
    }

    /// The public key every chain ends at.
    pub(super) fn root_key(&self) -> [u8; 32] {
        noise::public_key(&self.keys.root)
    }

    /// The chat server's static private key.
    pub(super) fn server_private(&self) -> &[u8; 32] {
        &self.keys.leaf
    }

    /// The chain that vouches for it.
    pub(super) fn chain(&self) -> &[u8] {
        &self.chain
    }
}
