//! A device of a Matrix user, as an ordinary app is one: it encrypts what its owner says in encrypted rooms and decrypts what they
//! read there, with a store of its own in memory.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use axum::http;
use matrix_sdk_crypto::{
    DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmMachine, TrustRequirement,
    types::requests::{AnyIncomingResponse, AnyOutgoingRequest, ToDeviceRequest},
};
use ruma_crypto::{
    OneTimeKeyAlgorithm, OwnedRoomId, OwnedUserId, TransactionId, UInt, UserId,
    api::{
        IncomingResponse, OutgoingRequest as Endpoint, SupportedVersions,
        auth_scheme::{AuthScheme, SendAccessToken},
        client::{
            keys::{claim_keys, get_keys, upload_keys, upload_signatures},
            sync::sync_events::DeviceLists,
            to_device::send_event_to_device,
        },
        path_builder::PathBuilder,
    },
    events::{AnyMessageLikeEventContent, AnyToDeviceEvent},
    serde::Raw,
};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::Mutex;

use super::homeserver::{Homeserver, Whose};

/// After how many messages the key of a room is changed, where the room does not say.
const ROTATE_AFTER: u64 = 100;

/// The device; cheap to clone.
#[derive(Clone)]
pub(crate) struct UserDevice(Arc<Mutex<Device>>);

/// An event that stayed closed.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub(crate) room: String,
    pub(crate) event: String,
    pub(crate) why: String,
}

struct Device {
    homeserver: Homeserver,
    whose: Whose,
    machine: OlmMachine,
    /// Up to where it read: events, messages to it, changes of devices.
    read: (usize, usize, usize),
    /// Rooms and ids of events whose key it does not have.
    waiting: Vec<Closed>,
    /// Events it could read only some time after they came.
    late: usize,
    /// How many events it has opened.
    opened: usize,
    /// Rooms of which it can read what the bridge says; earlier events are none of its business if it came in their midst.
    reads: HashSet<String>,
    came_later: bool,
    /// Events that were said in plain where the bridge had encrypted already.
    plain: usize,
}

/// Every endpoint the machine's requests are for.
trait Request:
    Endpoint<
        Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
        PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
    >
{
}
impl<R> Request for R where
    R: Endpoint<
            Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
            PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
        >
{
}

/// Waits for something a machine does at once, since its store is in memory.
fn now<T>(doing: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(doing))
}

impl UserDevice {
    /// A new device of a user; `later` if rooms went on before it came. It reads by itself what comes from now on.
    pub(crate) async fn add(homeserver: &Homeserver, user: &str, id: &str, later: bool) -> Self {
        let owner = UserId::parse(user).unwrap();
        let machine = OlmMachine::new(&owner, id.into()).await;
        let read = {
            let world = homeserver.world();
            let (messages, changed) = world.devices.place();
            (world.stream.len(), messages, changed)
        };
        let mut device = Device {
            homeserver: homeserver.clone(),
            whose: (user.to_owned(), id.to_owned()),
            machine,
            read,
            waiting: Vec::new(),
            late: 0,
            opened: 0,
            reads: HashSet::new(),
            came_later: later,
            plain: 0,
        };
        device.send_requests().await;
        let device = Self(Arc::new(Mutex::new(device)));
        let reading = Arc::downgrade(&device.0);
        let homeserver = homeserver.clone();
        tokio::spawn(async move {
            while let Some(device) = reading.upgrade() {
                device.lock().await.catch_up().await;
                drop(device);
                homeserver.changes().await;
            }
        });
        device
    }

    /// Encrypts what its owner says; the content of the event to send.
    pub(crate) fn seal(&self, room: &str, kind: &str, content: &Value) -> Value {
        now(async { self.0.lock().await.seal(room, kind, content).await })
    }

    /// Reads all that came.
    pub(crate) fn catch_up(&self) {
        now(async { self.0.lock().await.catch_up().await });
    }

    /// What it could not read, how much it read, how much of that late, and how much was said in plain.
    pub(crate) fn findings(&self) -> (Vec<Closed>, usize, usize, usize) {
        now(async {
            let device = self.0.lock().await;
            let closed = device.waiting.clone();
            (closed, device.opened, device.late, device.plain)
        })
    }

    /// Logs the device out.
    pub(crate) fn log_out(self) {
        let device = now(self.0.lock());
        let mut world = device.homeserver.world();
        world.devices.remove(&device.whose);
    }
}

impl Device {
    fn call<R: Request>(&self, request: R) -> R::IncomingResponse {
        let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());
        let token = SendAccessToken::Appservice("unused");
        let request: http::Request<Vec<u8>> = request
            .try_into_http_request("http://homeserver", token, Cow::Owned(versions))
            .unwrap();
        let answer = self.homeserver.ask(&self.whose, &request);
        R::IncomingResponse::try_from_http_response(answer).unwrap()
    }

    async fn answered(&self, id: &TransactionId, answer: AnyIncomingResponse<'_>) {
        let taken = self.machine.mark_request_as_sent(id, answer).await;
        taken.unwrap();
    }

    async fn send_requests(&mut self) {
        loop {
            let requests = self.machine.outgoing_requests().await.unwrap();
            if requests.is_empty() {
                return;
            }
            for request in requests {
                let id = request.request_id();
                match request.request() {
                    AnyOutgoingRequest::KeysUpload(upload) => {
                        let mut copy = upload_keys::v3::Request::new();
                        copy.device_keys.clone_from(&upload.device_keys);
                        copy.one_time_keys.clone_from(&upload.one_time_keys);
                        copy.fallback_keys.clone_from(&upload.fallback_keys);
                        self.answered(id, (&self.call(copy)).into()).await;
                    }
                    AnyOutgoingRequest::KeysQuery(query) => {
                        let mut copy = get_keys::v3::Request::new();
                        copy.device_keys.clone_from(&query.device_keys);
                        self.answered(id, (&self.call(copy)).into()).await;
                    }
                    AnyOutgoingRequest::KeysClaim(claim) => self.claim(id, claim).await,
                    AnyOutgoingRequest::ToDeviceRequest(messages) => {
                        self.send_to_devices(messages).await;
                    }
                    AnyOutgoingRequest::SignatureUpload(signatures) => {
                        let keys = signatures.signed_keys.clone();
                        let copy = upload_signatures::v3::Request::new(keys);
                        self.answered(id, (&self.call(copy)).into()).await;
                    }
                    AnyOutgoingRequest::RoomMessage(_) => return,
                }
            }
        }
    }

    async fn claim(&self, id: &TransactionId, claim: &claim_keys::v3::Request) {
        let copy = claim_keys::v3::Request::new(claim.one_time_keys.clone());
        self.answered(id, (&self.call(copy)).into()).await;
    }

    async fn send_to_devices(&self, request: &ToDeviceRequest) {
        let copy = send_event_to_device::v3::Request::new_raw(
            request.event_type.clone(),
            request.txn_id.clone(),
            request.messages.clone(),
        );
        let answer = self.call(copy);
        self.answered(&request.txn_id, (&answer).into()).await;
    }

    async fn seal(&mut self, room: &str, kind: &str, content: &Value) -> Value {
        self.catch_up().await;
        let (users, rotate) = {
            let world = self.homeserver.world();
            let room = &world.rooms[room];
            let present = room.members.iter();
            let users: Vec<OwnedUserId> = present
                .filter(|(_, is)| *is == "join" || *is == "invite")
                .map(|(user, _)| UserId::parse(user).unwrap())
                .collect();
            let key = ("m.room.encryption".to_owned(), String::new());
            let rotate = room.state[&key]["rotation_period_msgs"].as_u64();
            (users, rotate)
        };
        let users: Vec<&UserId> = users.iter().map(|user| &**user).collect();
        let machine = &self.machine;
        let tracked = machine.update_tracked_users(users.clone()).await;
        tracked.unwrap();
        self.send_requests().await;
        let users_in = || users.clone().into_iter();
        let missing = self.machine.get_missing_sessions(users_in()).await;
        if let Some((id, claim)) = missing.unwrap() {
            self.claim(&id, &claim).await;
        }
        let id = OwnedRoomId::try_from(room).unwrap();
        let settings = EncryptionSettings {
            rotation_period_msgs: rotate.unwrap_or(ROTATE_AFTER),
            ..EncryptionSettings::default()
        };
        let shares = self.machine.share_room_key(&id, users_in(), settings).await;
        for share in shares.unwrap() {
            self.send_to_devices(&share).await;
        }
        let content: Raw<AnyMessageLikeEventContent> =
            Raw::from_json(to_raw_value(content).unwrap());
        let sealed = self.machine.encrypt_room_event_raw(&id, kind, &content);
        let sealed = sealed.await.unwrap();
        serde_json::from_str(sealed.content.json().get()).unwrap()
    }

    /// Takes what came for it, then reads what was said.
    async fn catch_up(&mut self) {
        let (events, messages, changed) = self.read;
        let (messages, lists, events, counts) = {
            let world = self.homeserver.world();
            let devices = &world.devices;
            let place = devices.place();
            let new = (world.stream.len(), place.0, place.1);
            if new == self.read {
                return;
            }
            self.read = new;
            let changed = devices.changed_from(changed);
            let changed = changed.iter().map(|user| UserId::parse(user).unwrap());
            let mut lists = DeviceLists::new();
            lists.changed.extend(changed);
            let came = world.stream.iter().skip(events);
            let came = came.map(|(room, index)| (room.clone(), *index));
            let came = came.filter(|(room, _)| world.rooms[room].is_encrypted());
            (
                devices.messages_from(messages, &self.whose),
                lists,
                came.collect::<Vec<_>>(),
                devices.counts(&self.whose),
            )
        };
        self.take(messages, &lists, &counts).await;
        let waiting = std::mem::take(&mut self.waiting);
        let before = waiting.len();
        for closed in waiting {
            let event = {
                let world = self.homeserver.world();
                world.event(&closed.room, &closed.event).cloned()
            };
            if let Some(event) = event {
                self.open(&closed.room, &event).await;
            }
        }
        self.late += before - self.waiting.len();
        for (room, index) in events {
            let event = self.homeserver.world().rooms[&room].events[index].clone();
            let is_said = event["type"] == "m.room.message" && event["state_key"].is_null();
            let is_plain = is_said && !is_gone(&event) && self.reads.contains(&room);
            self.plain += usize::from(is_plain);
            self.open(&room, &event).await;
        }
        self.send_requests().await;
    }

    async fn take(&self, messages: Vec<Value>, lists: &DeviceLists, counts: &Value) {
        let messages = messages
            .iter()
            .map(|message| to_raw_value(message).unwrap());
        let messages: Vec<Raw<AnyToDeviceEvent>> = messages.map(Raw::from_json).collect();
        let counts = counts.as_object().into_iter().flatten();
        let count = |count: &Value| UInt::new(count.as_u64()?);
        let counts: BTreeMap<OneTimeKeyAlgorithm, UInt> = counts
            .filter_map(|(algorithm, left)| Some((algorithm.as_str().into(), count(left)?)))
            .collect();
        let changes = EncryptionSyncChanges {
            to_device_events: messages,
            changed_devices: lists,
            one_time_keys_counts: &counts,
            unused_fallback_keys: None,
            next_batch_token: None,
        };
        let trust = trust();
        let taken = self.machine.receive_sync_changes(changes, &trust);
        taken.await.unwrap();
    }

    async fn open(&mut self, room: &str, event: &Value) {
        if event["type"] != "m.room.encrypted" || is_gone(event) {
            return;
        }
        let id = event["event_id"].as_str().unwrap_or_default().to_owned();
        let raw = Raw::from_json(to_raw_value(event).unwrap());
        let room_id = OwnedRoomId::try_from(room).unwrap();
        let trust = trust();
        let opened = self.machine.decrypt_room_event(&raw, &room_id, &trust);
        match opened.await {
            Ok(opened) => {
                self.opened += 1;
                if event["sender"] != self.whose.0 {
                    self.reads.insert(room.to_owned());
                }
                let opened = serde_json::from_str(opened.event.json().get()).unwrap();
                let mut world = self.homeserver.world();
                let rooms = world.rooms.get_mut(room).unwrap();
                rooms.opened.entry(id).or_insert(opened);
            }
            Err(_) if self.came_later && !self.reads.contains(room) => {}
            Err(error) => self.waiting.push(Closed {
                room: room.to_owned(),
                event: id,
                why: error.to_string(),
            }),
        }
    }
}

fn trust() -> DecryptionSettings {
    DecryptionSettings {
        sender_device_trust_requirement: TrustRequirement::Untrusted,
    }
}

/// Whether what an event said was deleted.
fn is_gone(event: &Value) -> bool {
    let content = event["content"].as_object();
    content.is_none_or(serde_json::Map::is_empty)
}
