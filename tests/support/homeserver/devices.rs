//! Devices of users: their keys, and what is sent from one to another.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{
    SERVER,
    api::{Answer, refuse},
    world::World,
};

/// The only algorithm of one-time keys in use.
const ALGORITHM: &str = "signed_curve25519";

/// A user and one of their devices.
pub(crate) type Whose = (String, String);

/// A device's keys.
#[derive(Debug, Default)]
struct Keys {
    /// Its own, signed; `null` before they were uploaded.
    device: Value,
    /// For one session each, by id.
    one_time: BTreeMap<String, Value>,
    /// For when those are spent: id, key, and whether it was given out.
    fallback: Option<(String, Value, bool)>,
}

/// All devices.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    known: BTreeMap<Whose, Keys>,
    /// The keys users sign their devices with, by what they are for.
    identities: BTreeMap<String, BTreeMap<&'static str, Value>>,
    /// Users whose devices changed, in order.
    pub(super) changed: Vec<String>,
    /// What was sent to devices, in order.
    pub(super) messages: Vec<(Whose, Value)>,
    /// Up to where a device that asks has taken what was sent to it.
    pub(super) taken: HashMap<Whose, usize>,
    /// By sender, type and transaction id.
    sent: HashSet<String>,
    /// Whether transactions bring nothing of all this, as at a homeserver without the extensions.
    pub(crate) asked_for_alone: bool,
}

impl Devices {
    /// A device without keys, if it is not known.
    pub(super) fn make(&mut self, whose: Whose) {
        self.known.entry(whose).or_default();
    }

    /// A device is logged out.
    pub(crate) fn remove(&mut self, whose: &Whose) {
        self.known.remove(whose);
        self.changed.push(whose.0.clone());
    }

    /// What was sent to a device from a place on.
    pub(crate) fn messages_from(&self, place: usize, whose: &Whose) -> Vec<Value> {
        let messages = self.messages.iter().skip(place);
        messages
            .filter(|(to, _)| to == whose)
            .map(|(_, message)| message.clone())
            .collect()
    }

    /// How far the streams have come: messages and changes.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.messages.len(), self.changed.len())
    }

    /// Users whose devices changed from a place on, each once.
    pub(crate) fn changed_from(&self, place: usize) -> Vec<&str> {
        let mut users: Vec<&str> = self.changed[place..].iter().map(String::as_str).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// How many one-time keys a device has left.
    pub(crate) fn counts(&self, whose: &Whose) -> Value {
        let count = self.known.get(whose).map_or(0, |keys| keys.one_time.len());
        json!({ ALGORITHM: count })
    }

    /// The algorithms whose fallback key a device has and nobody was given.
    pub(crate) fn unused_fallback(&self, whose: &Whose) -> Value {
        let fallback = self
            .known
            .get(whose)
            .and_then(|keys| keys.fallback.as_ref());
        match fallback {
            Some((.., false)) => json!([ALGORITHM]),
            _ => json!([]),
        }
    }

    /// The devices of the bridge's bot.
    pub(super) fn of_bot(&self) -> Vec<&Whose> {
        let bot = format!("@drawbridgebot:{SERVER}");
        self.known.keys().filter(|(user, _)| *user == bot).collect()
    }

    /// What a device adds to the keys it has here.
    pub(super) fn upload(&mut self, whose: &Whose, body: &Value) -> Answer {
        let keys = self.known.entry(whose.clone()).or_default();
        if body["device_keys"].is_object() && keys.device != body["device_keys"] {
            keys.device = body["device_keys"].clone();
            self.changed.push(whose.0.clone());
        }
        for (id, key) in objects(&body["one_time_keys"]) {
            if keys.one_time.get(id).is_some_and(|known| known != key) {
                return refuse(400, "M_UNKNOWN", format!("one time key {id} is another"));
            }
            keys.one_time.insert(id.clone(), key.clone());
        }
        for (id, key) in objects(&body["fallback_keys"]) {
            let is_known = keys
                .fallback
                .as_ref()
                .is_some_and(|(known, ..)| known == id);
            if !is_known {
                keys.fallback = Some((id.clone(), key.clone(), false));
            }
        }
        Ok(json!({ "one_time_key_counts": self.counts(whose) }))
    }

    /// Whose devices there are, with the keys of each.
    pub(super) fn query(&self, by: &str, body: &Value) -> Value {
        let mut devices = Map::new();
        let mut identities: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for (user, _) in objects(&body["device_keys"]) {
            let own = self.known.iter().filter(|((of, _), _)| of == user);
            let own: Map<String, Value> = own
                .filter(|(_, keys)| keys.device.is_object())
                .map(|((_, id), keys)| (id.clone(), keys.device.clone()))
                .collect();
            devices.insert(user.clone(), json!(own));
            for (usage, key) in self.identities.get(user).into_iter().flatten() {
                if *usage != "user_signing_keys" || user == by {
                    let of = identities.entry(usage).or_default();
                    of.insert(user.clone(), key.clone());
                }
            }
        }
        let mut answer = json!({ "device_keys": devices, "failures": {} });
        for (usage, keys) in identities {
            answer[usage] = json!(keys);
        }
        answer
    }

    /// Gives out a key of each device that is asked for: each one-time key once, then the fallback key.
    pub(super) fn claim(&mut self, body: &Value) -> Value {
        let mut claimed = json!({});
        for (user, devices) in objects(&body["one_time_keys"]) {
            for (device, _) in objects(devices) {
                let Some(keys) = self.known.get_mut(&(user.clone(), device.clone())) else {
                    continue;
                };
                let key = keys.one_time.pop_first().or_else(|| {
                    let (id, key, given) = keys.fallback.as_mut()?;
                    *given = true;
                    Some((id.clone(), key.clone()))
                });
                if let Some((id, key)) = key {
                    claimed[user][device] = json!({ id: key });
                }
            }
        }
        json!({ "one_time_keys": claimed, "failures": {} })
    }

    /// Sends to devices, once for a transaction id of a device.
    pub(super) fn send(&mut self, by: &Whose, kind: &str, txn_id: &str, body: &Value) -> Value {
        if !self
            .sent
            .insert(format!("{}|{}|{kind}|{txn_id}", by.0, by.1))
        {
            return json!({});
        }
        for (user, devices) in objects(&body["messages"]) {
            for (device, content) in objects(devices) {
                let message = json!({ "type": kind, "sender": by.0, "content": content });
                let known = self.known.keys();
                let to = known.filter(|(of, id)| of == user && (device == "*" || id == device));
                let to: Vec<Whose> = to.cloned().collect();
                let messages = to.into_iter().map(|whose| (whose, message.clone()));
                self.messages.extend(messages);
            }
        }
        json!({})
    }

    /// Takes the keys a user signs devices with.
    pub(super) fn identify(&mut self, user: &str, body: &Value) -> Value {
        let keys = self.identities.entry(user.to_owned()).or_default();
        for (field, usage) in [
            ("master_key", "master_keys"),
            ("self_signing_key", "self_signing_keys"),
            ("user_signing_key", "user_signing_keys"),
        ] {
            if body[field].is_object() {
                keys.insert(usage, body[field].clone());
            }
        }
        self.changed.push(user.to_owned());
        json!({})
    }

    /// Adds signatures to devices and to the keys of identities.
    pub(super) fn sign(&mut self, body: &Value) -> Value {
        for (user, signed) in body.as_object().into_iter().flatten() {
            for (id, object) in objects(signed) {
                let of_device = self.known.get_mut(&(user.clone(), id.clone()));
                let identity = self.identities.get_mut(user);
                let of_key = identity.and_then(|keys| {
                    let name = format!("ed25519:{id}");
                    keys.values_mut().find(|key| !key["keys"][&name].is_null())
                });
                let Some(target) = of_device.map(|keys| &mut keys.device).or(of_key) else {
                    continue;
                };
                for (by, signatures) in objects(&object["signatures"]) {
                    for (key, signature) in objects(signatures) {
                        target["signatures"][by][key] = signature.clone();
                    }
                }
            }
            self.changed.push(user.clone());
        }
        json!({ "failures": {} })
    }
}

/// The fields of an object; none if it is none.
fn objects(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The endpoints of keys, devices and messages to them.
pub(super) fn of_devices(
    world: &mut World,
    method: &str,
    rest: &[&str],
    whose: &Whose,
    body: &Value,
) -> Option<Answer> {
    let devices = &mut world.devices;
    Some(match (method, rest) {
        ("PUT", ["devices", id]) => {
            devices.make((whose.0.clone(), (*id).to_owned()));
            Ok(json!({}))
        }
        ("POST", ["keys", "upload"]) => devices.upload(whose, body),
        ("POST", ["keys", "query"]) => Ok(devices.query(&whose.0, body)),
        ("POST", ["keys", "claim"]) => Ok(devices.claim(body)),
        ("POST", ["keys", "device_signing", "upload"]) => Ok(devices.identify(&whose.0, body)),
        ("POST", ["keys", "signatures", "upload"]) => Ok(devices.sign(body)),
        ("PUT", ["sendToDevice", kind, txn_id]) => Ok(devices.send(whose, kind, txn_id, body)),
        _ => return None,
    })
}
