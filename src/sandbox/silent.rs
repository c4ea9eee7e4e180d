//! Accounts without a client: phones whose keys are registered and that never connect, so that groups of many can be made.

use std::collections::BTreeSet;

use libsignal_protocol::protocol::{IdentityKeyPair, KeyPair};

use super::{
    Sandbox,
    directory::{Account, DeviceKeys, Kind, People, SignedKey},
    error::SandboxError,
    flavour::Flavour,
};
use crate::network::interop::wire::Jid;

/// The first number of theirs; no country has the code 999.
const FIRST_PHONE: u64 = 999_000_000_001;
/// The first id of theirs at Messenger.
const FIRST_MESSENGER: u64 = 200_000_000_000_001;

impl Sandbox {
    /// Registers phones that never connect, with the next free numbers: messages can be encrypted to them and are not kept.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub async fn add_silent_phones(
        &self,
        flavour: Flavour,
        count: usize,
    ) -> Result<Vec<Jid>, SandboxError> {
        let made =
            tokio::task::spawn_blocking(move || (0..count).map(|_| keys()).collect::<Vec<_>>());
        let made = made.await.map_err(|_| SandboxError::Closed)?;
        let now = self.office.now().0;
        let (jids, done) = self.office.step(|directory, step| {
            let mut number = match flavour {
                Flavour::WhatsApp => FIRST_PHONE,
                Flavour::Messenger => FIRST_MESSENGER,
            };
            let mut jids = Vec::with_capacity(count);
            for (keys, prekey) in made {
                let jid = loop {
                    let jid = Jid::user(number.to_string(), flavour.user_server());
                    number += 1;
                    if !directory.accounts.contains_key(&jid) {
                        break jid;
                    }
                };
                let account = Account {
                    jid: jid.clone(),
                    flavour,
                    kind: Kind::Phone,
                    name: format!("Silent {}", jids.len() + 1),
                    noise_public: [0; 32],
                    keys: Some(keys),
                    blocked: BTreeSet::new(),
                    chats: BTreeSet::new(),
                    last_seen: now,
                    people: People::default(),
                };
                directory.accounts.insert(jid.clone(), account);
                directory.save_account(&jid, step);
                directory.add_prekey(&jid, 1, prekey, step);
                jids.push(jid);
            }
            jids
        });
        done.await.map_err(|_| SandboxError::Closed)?;
        Ok(jids)
    }
}

/// The public keys of a phone whose private ones nobody has, and a one-time prekey.
fn keys() -> (DeviceKeys, [u8; 32]) {
    let mut rng = rand::rng();
    let identity = IdentityKeyPair::generate(&mut rng);
    let [signed, one_time] = [(); 2].map(|()| KeyPair::generate(&mut rng).public_key);
    let signature = identity
        .private_key()
        .calculate_signature(&signed.serialize(), &mut rng)
        .expect("a private key signs any message");
    let raw = |key: &libsignal_protocol::protocol::PublicKey| {
        let mut raw = [0; 32];
        raw.copy_from_slice(key.public_key_bytes());
        raw
    };
    let keys = DeviceKeys {
        registration_id: rand::random_range(1..16_380),
        identity: raw(identity.public_key()),
        signed: SignedKey {
            id: 1,
            value: raw(&signed),
            signature: signature.to_vec(),
        },
    };
    (keys, raw(&one_time))
}
