//! Two people with a machine each, and as much of a homeserver between them as they need.

use std::{collections::BTreeMap, iter, sync::Arc};

use drawbridge::{clock::ManualClock, encryption::MachineStore, store::Database};
use matrix_sdk_crypto::{
    DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmError, OlmMachine,
    TrustRequirement,
    types::requests::{AnyOutgoingRequest, ToDeviceRequest},
};
use ruma_crypto::{
    DeviceId, OwnedDeviceId, OwnedOneTimeKeyId, OwnedUserId, RoomId, TransactionId, UserId,
    api::client::{
        keys::{claim_keys, get_keys, upload_keys},
        sync::sync_events::DeviceLists,
        to_device::send_event_to_device,
    },
    device_id,
    encryption::{DeviceKeys, OneTimeKey},
    events::{AnyToDeviceEvent, room::message::RoomMessageEventContent},
    room_id,
    serde::Raw,
    to_device::DeviceIdOrAllDevices,
    user_id,
};
use serde_json::{Value, json};

pub(crate) type Who = (&'static UserId, &'static DeviceId);
pub(crate) type Mail = Vec<Raw<AnyToDeviceEvent>>;

pub(crate) fn alice() -> Who {
    (user_id!("@alice:example.org"), device_id!("ALICEDEVICE"))
}

pub(crate) fn bob() -> Who {
    (user_id!("@bob:example.org"), device_id!("BOBDEVICE"))
}

pub(crate) fn room() -> &'static RoomId {
    room_id!("!room:example.org")
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(crate::place::NOW.0)
}

pub(crate) fn store_of(db: &Database, (user, device): Who) -> Arc<MachineStore> {
    let account = (user.to_owned(), device.to_owned());
    Arc::new(MachineStore::new(db.clone(), account, Arc::new(clock())))
}

/// A machine as it is after a restart, or a new one.
pub(crate) async fn machine(store: &Arc<MachineStore>, who: Who) -> OlmMachine {
    OlmMachine::with_store(who.0, who.1, store.clone(), None)
        .await
        .unwrap()
}

/// What the homeserver knows.
#[derive(Default)]
pub(crate) struct Town {
    devices: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, Raw<DeviceKeys>>>,
    keys: BTreeMap<OwnedUserId, BTreeMap<OwnedOneTimeKeyId, Raw<OneTimeKey>>>,
    mail: BTreeMap<OwnedUserId, Mail>,
}

impl Town {
    /// Answers what a machine asks until it asks nothing more.
    pub(crate) async fn serve(&mut self, machine: &OlmMachine) {
        loop {
            let requests = machine.outgoing_requests().await.unwrap();
            if requests.is_empty() {
                return;
            }
            for request in requests {
                self.answer(machine, request.request_id(), request.request())
                    .await;
            }
        }
    }

    async fn answer(
        &mut self,
        machine: &OlmMachine,
        id: &TransactionId,
        request: &AnyOutgoingRequest,
    ) {
        match request {
            AnyOutgoingRequest::KeysUpload(upload) => {
                let keys = self.keys.entry(machine.user_id().to_owned()).or_default();
                keys.extend(upload.one_time_keys.clone());
                if let Some(device) = &upload.device_keys {
                    self.devices
                        .entry(machine.user_id().to_owned())
                        .or_default()
                        .insert(machine.device_id().to_owned(), device.clone());
                }
                let count = u32::try_from(keys.len()).unwrap();
                let counts = BTreeMap::from([("signed_curve25519".into(), count.into())]);
                let response = upload_keys::v3::Response::new(counts);
                machine.mark_request_as_sent(id, &response).await.unwrap();
            }
            AnyOutgoingRequest::KeysQuery(query) => {
                let mut response = get_keys::v3::Response::new();
                for user in query.device_keys.keys() {
                    let devices = self.devices.get(user).cloned().unwrap_or_default();
                    response.device_keys.insert(user.clone(), devices);
                }
                machine.mark_request_as_sent(id, &response).await.unwrap();
            }
            AnyOutgoingRequest::ToDeviceRequest(request) => {
                self.post(machine, id, request).await;
            }
            other => panic!("nobody answers {other:?}"),
        }
    }

    async fn post(&mut self, machine: &OlmMachine, id: &TransactionId, request: &ToDeviceRequest) {
        for (user, devices) in &request.messages {
            for (device, content) in devices {
                assert!(matches!(device, DeviceIdOrAllDevices::DeviceId(_)));
                let event = json!({
                    "type": request.event_type, "sender": machine.user_id(), "content": content,
                });
                let event = Raw::from_json_string(event.to_string()).unwrap();
                self.mail.entry(user.clone()).or_default().push(event);
            }
        }
        let response = send_event_to_device::v3::Response::new();
        machine.mark_request_as_sent(id, &response).await.unwrap();
    }

    /// Sends the room's key to somebody whose devices are known.
    pub(crate) async fn share(&mut self, from: &OlmMachine, to: &UserId) {
        from.update_tracked_users([to]).await.unwrap();
        self.serve(from).await;
        if let Some((id, claim)) = from.get_missing_sessions(iter::once(to)).await.unwrap() {
            let claimed = claim.one_time_keys.iter().map(|(user, devices)| {
                let key = self.keys.get_mut(user).unwrap().pop_first().unwrap();
                let device = devices.keys().next().unwrap().clone();
                let keys = BTreeMap::from([(device, BTreeMap::from([key]))]);
                (user.clone(), keys)
            });
            let response = claim_keys::v3::Response::new(claimed.collect());
            from.mark_request_as_sent(&id, &response).await.unwrap();
        }
        let settings = EncryptionSettings::default();
        let requests = from
            .share_room_key(room(), iter::once(to), settings)
            .await
            .unwrap();
        for request in requests {
            self.post(from, &request.txn_id, &request).await;
        }
    }

    /// What waits for a user.
    pub(crate) fn mail(&mut self, user: &UserId) -> Mail {
        self.mail.remove(user).unwrap_or_default()
    }
}

/// Gives a machine what came for it.
pub(crate) async fn receive(machine: &OlmMachine, mail: Mail) -> Result<(), OlmError> {
    let changes = EncryptionSyncChanges {
        to_device_events: mail,
        changed_devices: &DeviceLists::new(),
        one_time_keys_counts: &BTreeMap::from([("signed_curve25519".into(), 50u32.into())]),
        unused_fallback_keys: None,
        next_batch_token: None,
    };
    machine.receive_sync_changes(changes, &settings()).await?;
    Ok(())
}

fn settings() -> DecryptionSettings {
    DecryptionSettings {
        sender_device_trust_requirement: TrustRequirement::Untrusted,
    }
}

/// A text as an encrypted event of the room.
pub(crate) async fn say(machine: &OlmMachine, text: &str) -> Value {
    let content = RoomMessageEventContent::text_plain(text);
    let encrypted = machine.encrypt_room_event(room(), content).await.unwrap();
    json!({
        "type": "m.room.encrypted", "event_id": "$event", "sender": machine.user_id(),
        "origin_server_ts": 1, "content": encrypted.content,
    })
}

/// The text of an encrypted event, if it can be read.
pub(crate) async fn read(machine: &OlmMachine, event: &Value) -> Option<String> {
    let event = Raw::from_json_string(event.to_string()).unwrap();
    let read = machine
        .decrypt_room_event(&event, room(), &settings())
        .await;
    let content: Value = read.ok()?.event.get_field("content").unwrap().unwrap();
    Some(content["body"].as_str().unwrap().to_owned())
}

/// Alice's machine, an event that she wrote, and Bob's mail with the key of it; Bob's machine has been there and is gone.
pub(crate) struct Scene {
    pub(crate) alice: OlmMachine,
    pub(crate) event: Value,
    pub(crate) mail: Mail,
    pub(crate) town: Town,
}

impl Scene {
    pub(crate) async fn set(db: &Database) -> Self {
        let mut town = Town::default();
        let alice = machine(&store_of(db, alice()), alice()).await;
        town.serve(&alice).await;
        let bobs = machine(&store_of(db, bob()), bob()).await;
        town.serve(&bobs).await;
        bobs.update_tracked_users([alice.user_id()]).await.unwrap();
        town.serve(&bobs).await;
        town.share(&alice, bob().0).await;
        let event = say(&alice, "hello").await;
        let mail = town.mail(bob().0);
        assert_eq!(mail.len(), 1);
        Self {
            alice,
            event,
            mail,
            town,
        }
    }
}
