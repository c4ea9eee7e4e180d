//! A phone's sender keys: its own in each group, and those that members of its groups gave it.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_util::FutureExt;
use libsignal_protocol::protocol::{
    SenderKeyDistributionMessage, SenderKeyMessage, SenderKeyName, SenderKeyRecord, SenderKeyStore,
    SignalProtocolError, create_sender_key_distribution_message, group_decrypt, group_encrypt,
    process_sender_key_distribution_message,
};
use sha2::{Digest, Sha256};

use super::keyring::Fingerprint;
use crate::{
    network::interop::wire::Jid,
    sandbox::disk::{self, Change, Table},
};

type Result<T> = std::result::Result<T, SignalProtocolError>;

#[derive(Default)]
struct Records {
    known: HashMap<SenderKeyName, SenderKeyRecord>,
    touched: HashSet<SenderKeyName>,
}

/// The sender keys.
pub(super) struct SenderKeys {
    owner: Jid,
    records: Records,
}

impl SenderKeys {
    /// None yet.
    pub(super) fn new(owner: Jid) -> Self {
        Self {
            owner,
            records: Records::default(),
        }
    }

    /// Adds a stored row; one that cannot be read is left out, which costs a retry.
    pub(super) fn restore(&mut self, rest: &[u8], value: &[u8]) {
        let mut parts = rest.split(|byte| *byte == 0);
        let mut part = || std::str::from_utf8(parts.next()?).ok();
        if let (Some(group), Some(sender), Ok(mut record)) =
            (part(), part(), SenderKeyRecord::deserialize(value))
        {
            // Each step is committed before its ciphertext leaves.
            if record.waive_counter_lease().is_ok() {
                let name = SenderKeyName::from_parts(group, sender);
                self.records.known.insert(name, record);
            }
        }
    }

    fn own(&self, group: &Jid) -> SenderKeyName {
        name(group, &self.owner)
    }

    /// What the members of a group need to read what is encrypted from now on. The key is made if there is none.
    pub(super) fn distribution(&mut self, group: &Jid) -> Result<Vec<u8>> {
        let name = self.own(group);
        let mut rng = rand::rng();
        let made = create_sender_key_distribution_message(&name, &mut self.records, &mut rng);
        Ok(in_place(made)?.serialized().to_vec())
    }

    /// Encrypts a padded plaintext for a group.
    pub(super) fn encrypt(&mut self, group: &Jid, padded: &[u8]) -> Result<Vec<u8>> {
        let name = self.own(group);
        let mut rng = rand::rng();
        let sealed = in_place(group_encrypt(&mut self.records, &name, padded, &mut rng))?;
        Ok(sealed.serialized().to_vec())
    }

    /// Takes the key of a member.
    pub(super) fn take(&mut self, group: &Jid, sender: &Jid, bytes: &[u8]) -> Result<()> {
        let message = SenderKeyDistributionMessage::try_from(bytes)?;
        let name = name(group, sender);
        in_place(process_sender_key_distribution_message(
            &name,
            &message,
            &mut self.records,
        ))
    }

    /// Decrypts what a member wrote.
    pub(super) fn decrypt(&mut self, group: &Jid, sender: &Jid, bytes: &[u8]) -> Result<Vec<u8>> {
        let name = name(group, sender);
        in_place(group_decrypt(bytes, &mut self.records, &name))
    }

    /// Forgets the phone's own key in a group: what comes next is encrypted with another.
    pub(super) fn rotate(&mut self, group: &Jid) {
        let name = self.own(group);
        self.remove(&name);
    }

    /// Forgets the keys members gave.
    pub(super) fn forget_received(&mut self) {
        let owner = self.owner.to_string();
        let names: Vec<SenderKeyName> = self.records.known.keys().cloned().collect();
        for name in names.iter().filter(|name| name.sender_id() != owner) {
            self.remove(name);
        }
    }

    /// Forgets all keys.
    pub(super) fn forget(&mut self) {
        let names: Vec<SenderKeyName> = self.records.known.keys().cloned().collect();
        for name in &names {
            self.remove(name);
        }
    }

    fn remove(&mut self, name: &SenderKeyName) {
        if self.records.known.remove(name).is_some() {
            self.records.touched.insert(name.clone());
        }
    }

    /// What changed since the last call.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let Records { known, touched } = &mut self.records;
        let owner = self.owner.to_string();
        let change = |name: SenderKeyName| {
            let parts = [
                owner.as_bytes(),
                name.group_id().as_bytes(),
                name.sender_id().as_bytes(),
            ];
            let key = disk::key(parts);
            match known.get(&name).map(SenderKeyRecord::serialize) {
                Some(Ok(bytes)) => Change::Put(Table::ContactSenderKeys, key, bytes),
                _ => Change::Delete(Table::ContactSenderKeys, key),
            }
        };
        touched.drain().map(change).collect()
    }
}

/// Which key of whom in which group a ciphertext was made with; `None` for what is no group ciphertext.
pub(super) fn fingerprint(group: &Jid, sender: &Jid, bytes: &[u8]) -> Option<Fingerprint> {
    let message = SenderKeyMessage::try_from(bytes).ok()?;
    let chain = Sha256::new()
        .chain_update(group.to_string())
        .chain_update([0])
        .chain_update(sender.to_string())
        .chain_update(message.chain_id().to_be_bytes());
    let digest = Sha256::digest(message.ciphertext().ok()?);
    let mut hash = [0; 8];
    hash.copy_from_slice(&digest[..8]);
    Some(Fingerprint {
        ratchet: chain.finalize().into(),
        counter: message.iteration(),
        hash,
    })
}

fn name(group: &Jid, sender: &Jid) -> SenderKeyName {
    SenderKeyName::new(group.to_string(), sender.bare().to_string())
}

/// Runs a library call to its end; stores in memory never make it wait.
fn in_place<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never()
        .expect("stores in memory never make the library wait")
}

#[async_trait]
impl SenderKeyStore for Records {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        mut record: SenderKeyRecord,
    ) -> Result<()> {
        record.waive_counter_lease()?;
        self.known.insert(name.clone(), record);
        self.touched.insert(name.clone());
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.known.get(name).cloned())
    }
}
