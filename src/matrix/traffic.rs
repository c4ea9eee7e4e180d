//! What a homeserver sends to the bridge's one device beside the rooms: messages between devices, whose devices have changed, how
//! many keys are left. It comes in transactions where the homeserver carries the extensions (MSC2409, MSC3202), else by `/sync`, and
//! is kept in the store until the crypto machine has taken it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What came for the bridge's device at one time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceTraffic {
    /// Messages to the device (`m.room.encrypted`, `m.room_key_request`), as they came.
    pub to_device: Vec<Box<RawValue>>,
    /// Users whose devices have changed.
    pub changed: Vec<String>,
    /// Users who are in no room with the bridge any more.
    pub left: Vec<String>,
    /// One-time keys the homeserver still has, by algorithm; `None` if it did not say.
    pub one_time_keys: Option<BTreeMap<String, u64>>,
    /// Algorithms whose fallback key was not used; `None` if it did not say.
    pub fallback_keys: Option<Vec<String>>,
}

/// Each part under its stable name and under those it had before; of several, one is taken.
const TO_DEVICE: &[&str] = &["to_device", "de.sorunome.msc2409.to_device"];
const LISTS: &[&str] = &["device_lists", "org.matrix.msc3202.device_lists"];
const COUNTS: &[&str] = &[
    "device_one_time_keys_count",
    "org.matrix.msc3202.device_one_time_keys_count",
    "org.matrix.msc3202.device_one_time_key_counts",
];
const FALLBACK: &[&str] = &[
    "device_unused_fallback_key_types",
    "org.matrix.msc3202.device_unused_fallback_key_types",
];

#[derive(Deserialize)]
struct Addressee {
    #[serde(default)]
    to_user_id: Option<String>,
    #[serde(default)]
    to_device_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Lists {
    changed: Vec<String>,
    left: Vec<String>,
}

/// By user and device.
type OfDevices<T> = HashMap<String, HashMap<String, T>>;

impl DeviceTraffic {
    /// What a transaction has for a user's device; `None` if its homeserver sends none of it. Parts that cannot be read are left out:
    /// trying them again would not help.
    pub(super) fn of_transaction(
        parts: &HashMap<String, &RawValue>,
        (user, device): (&str, &str),
    ) -> Option<Self> {
        let part = |names: &[&str]| names.iter().find_map(|name| parts.get(*name));
        let [messages, lists, counts, fallback] = [TO_DEVICE, LISTS, COUNTS, FALLBACK].map(part);
        messages.or(lists).or(counts).or(fallback)?;
        let mut traffic = Self::default();
        if let Some(messages) = messages.and_then(read::<Vec<Box<RawValue>>>) {
            let is_ours = |message: &RawValue| {
                read::<Addressee>(&message).is_some_and(|to| {
                    to.to_user_id.as_deref() == Some(user)
                        && matches!(to.to_device_id.as_deref(), Some(id) if id == device || id == "*")
                })
            };
            traffic.to_device = messages
                .into_iter()
                .filter(|message| is_ours(message))
                .collect();
        }
        if let Some(lists) = lists.and_then(read::<Lists>) {
            traffic.changed = lists.changed;
            traffic.left = lists.left;
        }
        traffic.one_time_keys = counts
            .and_then(read::<OfDevices<BTreeMap<String, u64>>>)
            .and_then(|mut of| of.remove(user)?.remove(device));
        traffic.fallback_keys = fallback
            .and_then(read::<OfDevices<Vec<String>>>)
            .and_then(|mut of| of.remove(user)?.remove(device));
        Some(traffic)
    }

    /// Whether it says nothing but what was said before: homeservers repeat the counts with everything.
    pub(super) fn adds_nothing_to(&self, before: Option<&Self>) -> bool {
        let is_quiet = self.to_device.is_empty() && self.changed.is_empty() && self.left.is_empty();
        let says_nothing = self.one_time_keys.is_none() && self.fallback_keys.is_none();
        is_quiet
            && (says_nothing
                || before.is_some_and(|before| {
                    self.one_time_keys == before.one_time_keys
                        && self.fallback_keys == before.fallback_keys
                }))
    }

    /// Whether it shows that its homeserver sends everything for the device in this way: messages with the counts of keys. Lists and
    /// counts alone come from those that keep the messages to themselves, and messages alone from those that keep the counts.
    pub(super) fn is_all(&self) -> bool {
        !self.to_device.is_empty() && self.one_time_keys.is_some()
    }

    /// The counts alone.
    pub(super) fn counts(&self) -> Self {
        Self {
            one_time_keys: self.one_time_keys.clone(),
            fallback_keys: self.fallback_keys.clone(),
            ..Self::default()
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(part: &&RawValue) -> Option<T> {
    serde_json::from_str(part.get()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BOT: &str = "@bot:example.org";

    fn of(transaction: &Value) -> Option<Value> {
        let text = transaction.to_string();
        let parts = serde_json::from_str(&text).expect("an object");
        let traffic = DeviceTraffic::of_transaction(&parts, (BOT, "DRAWBRIDGE"))?;
        Some(serde_json::to_value(traffic).expect("JSON"))
    }

    #[test]
    fn a_homeserver_without_the_extensions_sends_none() {
        assert_eq!(of(&json!({ "events": [], "ephemeral": [] })), None);
    }

    #[test]
    fn what_is_for_others_is_left_out() {
        let to = |user: &str, device: &str, n: u8| json!({ "type": "m.dummy", "to_user_id": user, "to_device_id": device, "content": { "n": n } });
        let got = of(&json!({
            "de.sorunome.msc2409.to_device": [
                to(BOT, "DRAWBRIDGE", 1), to("@ghost:example.org", "DRAWBRIDGE", 2), to(BOT, "*", 3), to(BOT, "OTHER", 4), "no object",
            ],
            "org.matrix.msc3202.device_lists": { "changed": ["@a:example.org"], "left": [] },
            "org.matrix.msc3202.device_one_time_key_counts": {
                BOT: { "DRAWBRIDGE": { "signed_curve25519": 7 } }, "@ghost:example.org": { "DRAWBRIDGE": {} },
            },
            "org.matrix.msc3202.device_unused_fallback_key_types": { BOT: { "DRAWBRIDGE": [] } },
        }))
        .expect("traffic");
        let numbers: Vec<_> = got["to_device"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| &message["content"]["n"])
            .collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(got["changed"], json!(["@a:example.org"]));
        assert_eq!(got["one_time_keys"], json!({ "signed_curve25519": 7 }));
        assert_eq!(got["fallback_keys"], json!([]));
    }

    #[test]
    fn only_messages_with_counts_show_that_everything_comes() {
        let whole = DeviceTraffic {
            to_device: vec![RawValue::from_string("{}".to_owned()).expect("JSON")],
            one_time_keys: Some(BTreeMap::new()),
            ..DeviceTraffic::default()
        };
        assert!(whole.is_all());
        let messages = DeviceTraffic {
            one_time_keys: None,
            ..whole.clone()
        };
        assert!(!messages.is_all());
        assert!(!whole.counts().is_all());
    }

    #[test]
    fn counts_that_are_repeated_say_nothing_new() {
        let counts = |n| DeviceTraffic {
            one_time_keys: Some(BTreeMap::from([("signed_curve25519".to_owned(), n)])),
            ..DeviceTraffic::default()
        };
        assert!(!counts(5).adds_nothing_to(None));
        assert!(counts(5).adds_nothing_to(Some(&counts(5))));
        assert!(!counts(4).adds_nothing_to(Some(&counts(5))));
        assert!(DeviceTraffic::default().adds_nothing_to(None));
    }
}
