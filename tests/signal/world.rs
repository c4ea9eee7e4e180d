//! The bridge's side in a test: a real database with one login, and the calls under test run as steps in its lane.

use std::sync::{Arc, Mutex};

use drawbridge::{
    domain::{ChatId, GatekeeperId, LoginId, Timestamp},
    network::interop::{
        outbound::Keyless,
        wire::{Jid, Node},
    },
    signal::{
        self, Address, Bundle, Ciphertext, CiphertextKind, Decrypted, Device, PublicPreKey,
        PublicSignedPreKey, SignalError, generate_identity,
    },
    store::{
        self, Database, Lane, LoginRow, LoginSecrets, LoginState, RemoteMessageRow, StoreError,
        StoreTxn,
    },
};
use futures_util::future::BoxFuture;

pub(crate) const NOW: Timestamp = Timestamp(1_760_000_000_000);
pub(crate) const LOGIN: LoginId = LoginId(7);
pub(crate) const SERVER: &str = "s.whatsapp.net";

/// Our address at the gatekeeper.
pub(crate) fn us() -> Jid {
    Jid::interop(1, 10_853_634_039_893)
}

/// A phone's address.
pub(crate) fn phone(number: u32) -> Jid {
    Jid::user(format!("49151555{number:05}"), SERVER)
}

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) keyless: Arc<Keyless>,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!("sqlite:{}", dir.path().join("bridge.db").display());
        let (db, _) = store::open(&uri, &[7; 32], None, NOW).await.unwrap();
        let world = Self {
            db,
            keyless: Arc::default(),
            _dir: dir,
        };
        let made = generate_identity(NOW);
        let row = LoginRow {
            id: LOGIN,
            gatekeeper: GatekeeperId::parse("whatsapp").unwrap(),
            mxid: "@alice:example.org".to_owned(),
            visible_id: "alice".to_owned(),
            remote_login: Some(us().to_string()),
            state: LoginState::Active,
            secrets: LoginSecrets {
                noise_private: vec![1; 32],
                identity_pair: made.identity_pair,
                registration_id: made.registration_id,
            },
            next_prekey_id: signal::FIRST_KEY_ID,
            signed_prekey_id: made.signed_prekey.id,
        };
        let signed = made.signed_prekey;
        world
            .step(move |txn| {
                let (row, signed) = (row.clone(), signed.clone());
                Box::pin(async move {
                    txn.insert_login(&row).await?;
                    txn.put_signed_prekey(LOGIN, &signed, 3).await
                })
            })
            .await;
        world
    }

    /// A step that commits.
    pub(crate) async fn step<T, F>(&self, step: F) -> T
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut dyn StoreTxn) -> BoxFuture<'t, Result<T, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        self.db.step(Lane::login(LOGIN), step).await.unwrap()
    }

    /// A step that does all its work and is then lost, as if the process had died before the commit.
    pub(crate) async fn crash<T, F>(&self, step: F) -> T
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut dyn StoreTxn) -> BoxFuture<'t, Result<T, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        let lost = Arc::new(Mutex::new(None));
        let slot = lost.clone();
        let step = Arc::new(step);
        let result = self
            .db
            .step(Lane::login(LOGIN), move |txn| {
                let (step, slot) = (step.clone(), slot.clone());
                Box::pin(async move {
                    let value = step(txn).await?;
                    *slot.lock().unwrap() = Some(value);
                    Err::<(), _>(StoreError::Closed)
                })
            })
            .await;
        assert!(matches!(result, Err(StoreError::Closed)), "{result:?}");
        let value = lost.lock().unwrap().take();
        value.expect("the step ran")
    }

    pub(crate) async fn encrypt(
        &self,
        to: &Address,
        plaintext: &[u8],
    ) -> Result<Ciphertext, SignalError> {
        let (to, plaintext) = (to.clone(), plaintext.to_vec());
        self.step(move |txn| encrypt(txn, to.clone(), plaintext.clone()))
            .await
    }

    pub(crate) async fn crash_encrypt(
        &self,
        to: &Address,
        plaintext: &[u8],
    ) -> Result<Ciphertext, SignalError> {
        let (to, plaintext) = (to.clone(), plaintext.to_vec());
        self.crash(move |txn| encrypt(txn, to.clone(), plaintext.clone()))
            .await
    }

    pub(crate) async fn decrypt(
        &self,
        from: &Address,
        kind: CiphertextKind,
        bytes: &[u8],
    ) -> Result<Decrypted, SignalError> {
        let (from, bytes) = (from.clone(), bytes.to_vec());
        self.step(move |txn| decrypt(txn, from.clone(), kind, bytes.clone()))
            .await
    }

    pub(crate) async fn crash_decrypt(
        &self,
        from: &Address,
        kind: CiphertextKind,
        bytes: &[u8],
    ) -> Result<Decrypted, SignalError> {
        let (from, bytes) = (from.clone(), bytes.to_vec());
        self.crash(move |txn| decrypt(txn, from.clone(), kind, bytes.clone()))
            .await
    }

    pub(crate) async fn establish(
        &self,
        with: &Address,
        bundle: Bundle,
    ) -> Result<bool, SignalError> {
        let with = with.clone();
        self.step(move |txn| {
            let with = with.clone();
            Box::pin(async move {
                let device = device(txn).await;
                signal::establish(txn, &device, &with, &bundle).await
            })
        })
        .await
    }

    /// Our public keys, as somebody who starts a session gets them.
    pub(crate) async fn bundle(&self, one_time: bool) -> Bundle {
        self.step(move |txn| {
            Box::pin(async move {
                let row = txn.login(LOGIN).await?.unwrap();
                let device = Device::of(&row).unwrap();
                let signed = txn
                    .signed_prekey(LOGIN, row.signed_prekey_id)
                    .await?
                    .unwrap();
                let mut prekey = None;
                if one_time {
                    let (made, next) = signal::generate_prekeys(row.next_prekey_id, 1);
                    txn.insert_prekeys(LOGIN, &made, next).await?;
                    prekey = Some(signal::public_prekey(&made[0]).unwrap());
                }
                Ok(Bundle {
                    registration_id: device.registration_id(),
                    identity: device.identity(),
                    signed_prekey: signal::public_signed_prekey(&signed).unwrap(),
                    prekey,
                })
            })
        })
        .await
    }

    pub(crate) async fn has_prekey(&self, id: u32) -> bool {
        self.step(move |txn| Box::pin(async move { Ok(txn.prekey(LOGIN, id).await?.is_some()) }))
            .await
    }

    pub(crate) async fn waiting(&self, chat: &Jid) -> Vec<RemoteMessageRow> {
        let chat = ChatId::parse(chat.to_string()).unwrap();
        self.step(move |txn| {
            let chat = chat.clone();
            Box::pin(async move { txn.waiting_messages(LOGIN, &chat, 100).await })
        })
        .await
    }
}

pub(crate) async fn device(txn: &mut dyn StoreTxn) -> Device {
    Device::load(txn, LOGIN).await.unwrap().unwrap().1
}

fn encrypt(
    txn: &mut dyn StoreTxn,
    to: Address,
    plaintext: Vec<u8>,
) -> BoxFuture<'_, Result<Result<Ciphertext, SignalError>, StoreError>> {
    Box::pin(async move {
        let device = device(txn).await;
        signal::encrypt(txn, &device, &to, &plaintext).await
    })
}

fn decrypt(
    txn: &mut dyn StoreTxn,
    from: Address,
    kind: CiphertextKind,
    bytes: Vec<u8>,
) -> BoxFuture<'_, Result<Result<Decrypted, SignalError>, StoreError>> {
    Box::pin(async move {
        let device = device(txn).await;
        signal::decrypt(txn, &device, &from, kind, &bytes).await
    })
}

/// A bundle as the gatekeeper's `<user>` element.
pub(crate) fn user_node(jid: &Jid, bundle: &Bundle) -> Node {
    keys_into(
        Node::new("user")
            .with("jid", jid)
            .child(Node::new("registration").bytes(bundle.registration_id.to_be_bytes())),
        bundle,
    )
}

/// `<type>`, `<identity>`, `<key>` and `<skey>` of a bundle.
pub(crate) fn keys_into(parent: Node, bundle: &Bundle) -> Node {
    let id = |id: u32| Node::new("id").bytes(&id.to_be_bytes()[1..]);
    let mut parent = parent
        .child(Node::new("type").bytes([5]))
        .child(Node::new("identity").bytes(bundle.identity));
    if let Some(key) = bundle.prekey {
        parent = parent.child(
            Node::new("key")
                .child(id(key.id))
                .child(Node::new("value").bytes(key.value)),
        );
    }
    parent.child(
        Node::new("skey")
            .child(id(bundle.signed_prekey.id))
            .child(Node::new("value").bytes(bundle.signed_prekey.value))
            .child(Node::new("signature").bytes(bundle.signed_prekey.signature)),
    )
}

/// The bundle in an element, read independently of the code under test.
pub(crate) fn bundle_in(registration: &Node, keys: &Node) -> Bundle {
    let bytes = |node: &Node, tag: &str| node.find(tag).unwrap().content_bytes().unwrap().to_vec();
    let id = |node: &Node| {
        let b = bytes(node, "id");
        u32::from_be_bytes([0, b[0], b[1], b[2]])
    };
    let signed = keys.find("skey").unwrap();
    Bundle {
        registration_id: u32::from_be_bytes(
            bytes(registration, "registration").try_into().unwrap(),
        ),
        identity: bytes(keys, "identity").try_into().unwrap(),
        signed_prekey: PublicSignedPreKey {
            id: id(signed),
            value: bytes(signed, "value").try_into().unwrap(),
            signature: bytes(signed, "signature").try_into().unwrap(),
        },
        prekey: keys.find("key").map(|key| PublicPreKey {
            id: id(key),
            value: bytes(key, "value").try_into().unwrap(),
        }),
    }
}
