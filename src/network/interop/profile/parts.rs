//! The parts of a profile that are values of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::network::interop::session::{CallShape, GroupShape, PeopleShape};

/// How the chat server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatTransport {
    /// Plain TCP; the Noise handshake encrypts it.
    #[default]
    Tcp,
    /// The binary messages of a WebSocket.
    #[serde(rename = "websocket")]
    WebSocket,
}

/// Where the chat server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// How it is reached.
    pub transport: ChatTransport,
    /// `host:port`, or a `ws://` or `wss://` URL.
    pub address: String,
}

/// What the token of a push must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRules {
    /// Its issuer.
    pub issuer: String,
    /// Its audience; without one, the origin of the bridge's own public address.
    pub audience: Option<String>,
}

/// How the token that vouches for a user is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenTemplate {
    /// `iss`, if it is to be there.
    pub issuer: Option<String>,
    /// `aud`, if it is to be there.
    pub audience: Option<String>,
    /// `exp` less `iat`.
    pub lifetime_seconds: u32,
    /// Further claims; `{visible_id}` and `{integrator_id}` are filled in.
    pub claims: BTreeMap<String, Value>,
}

/// Limits of the gatekeeper.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest file, in bytes.
    pub max_media_bytes: u64,
    /// How many one-time prekeys go up first.
    pub prekeys_first: usize,
    /// How many go up later.
    pub prekeys_batch: usize,
    /// Below how many left more go up.
    pub prekeys_low: u64,
    /// For how many days media hosted here are kept.
    pub hosted_media_days: u32,
}

/// Periods.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Seconds between pings.
    pub ping_seconds: u32,
}

/// Shapes of stanzas that no public document gives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stanzas {
    /// Reasons of `<failure>` that mean the login is not enlisted any more.
    pub unenlisted_reasons: Vec<u16>,
    /// The request that ends an enlistment.
    pub deletion: Deletion,
    /// What the gatekeeper itself has to say.
    pub notice: Notice,
    /// Requests to put a file on the server again.
    pub media_retry: MediaRetry,
    /// Calls.
    pub call: CallShape,
    /// Groups.
    pub groups: GroupShape,
    /// People.
    pub people: PeopleShape,
}

/// `<iq type="set" xmlns=…><element/></iq>`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deletion {
    /// The namespace.
    pub xmlns: String,
    /// The element in it.
    pub element: String,
}

/// `<notification type=…><element>text</element></notification>`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notice {
    /// The notification's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The element with the text.
    pub element: String,
}

/// `<receipt to=… type="server-error">`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaRetry {
    /// Who is asked.
    pub to: MediaRetryTo,
}

/// Who is asked to put a file on the server again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaRetryTo {
    /// The login's own address, as the gatekeeper's clients write it.
    Own,
    /// The chat the message is in.
    #[default]
    Chat,
    /// The gatekeeper's server.
    Server,
}
