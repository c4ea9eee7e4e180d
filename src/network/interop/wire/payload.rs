//! `ClientPayload`: what a client presents at the end of the Noise handshake.
//!
//! `username=1 passive=3 userAgent=5 connectType=12 connectReason=13 device=18 product=20 pull=33
//! interopData=38{accountId=1 token=2 enableReadReceipts=3}`

use serde::{Deserialize, Serialize};
use waproto::{
    buffa::{Enumeration, Message as _, MessageField},
    whatsapp::{
        ClientPayload as Proto,
        client_payload::{
            ConnectReason, ConnectType, InteropData, Product as ProtoProduct,
            UserAgent as ProtoAgent, user_agent,
        },
    },
};

/// Why bytes are no payload a Partner's user could present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// They are not the protobuf they should be.
    #[error("the payload is malformed")]
    Malformed,
    /// The product is missing or unknown.
    #[error("the payload's product is missing or unknown")]
    Product,
    /// There is no interop data.
    #[error("the payload has no interop data")]
    NoInterop,
}

/// Which of the gatekeeper's products a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Product {
    /// `WhatsApp`'s own client.
    #[serde(rename = "whatsapp")]
    WhatsApp,
    /// Messenger's own client.
    #[serde(rename = "messenger")]
    Messenger,
    /// A Partner's user at `WhatsApp`.
    #[serde(rename = "interop")]
    Interop,
    /// A Partner's user at Messenger.
    #[serde(rename = "interop_msgr")]
    InteropMessenger,
}

impl From<Product> for ProtoProduct {
    fn from(product: Product) -> Self {
        match product {
            Product::WhatsApp => Self::WHATSAPP,
            Product::Messenger => Self::MESSENGER,
            Product::Interop => Self::INTEROP,
            Product::InteropMessenger => Self::INTEROP_MSGR,
        }
    }
}

/// What the client says it is. Everything is optional, and what a Partner is to say is not public.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserAgent {
    /// The platform by its name in the protobuf schema: `ANDROID`, `WEB`, `MACOS`, ….
    pub platform: Option<String>,
    /// The version, up to five numbers.
    pub app_version: Vec<u32>,
    /// The mobile country code, three digits.
    pub mcc: Option<String>,
    /// The mobile network code, three digits.
    pub mnc: Option<String>,
    /// The operating system's version.
    pub os_version: Option<String>,
    /// The device's manufacturer.
    pub manufacturer: Option<String>,
    /// The device's name.
    pub device: Option<String>,
    /// The operating system's build.
    pub os_build_number: Option<String>,
    /// The language, two letters of ISO 639-1.
    pub language: Option<String>,
    /// The country, two letters of ISO 3166-1.
    pub country: Option<String>,
}

/// Whether a platform has a number in the schema.
#[must_use]
pub fn is_platform(name: &str) -> bool {
    user_agent::Platform::from_proto_name(name).is_some()
}

/// What a client presents.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientPayload {
    /// The account as a number, if it is said here too.
    pub username: Option<u64>,
    /// Whether the client wants no messages yet.
    pub passive: bool,
    /// Whether the client asks for its mailbox.
    pub pull: bool,
    /// The client's device number; a Partner's user has only 0.
    pub device: u32,
    /// What the client says it is.
    pub user_agent: Option<UserAgent>,
    /// Which product the client is.
    pub product: Product,
    /// The number after the dash of `1-10853634039893@interop`.
    pub account_id: u64,
    /// The Partner's JWT for the user.
    pub token: Vec<u8>,
    /// Whether the user sends and wants read receipts.
    pub enable_read_receipts: bool,
}

impl std::fmt::Debug for ClientPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientPayload")
            .field("product", &self.product)
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}

impl ClientPayload {
    /// The protobuf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Proto {
            username: self.username,
            passive: Some(self.passive),
            user_agent: self.user_agent.as_ref().map(agent).into(),
            connect_type: Some(ConnectType::WIFI_UNKNOWN),
            connect_reason: Some(ConnectReason::USER_ACTIVATED),
            device: Some(self.device),
            product: Some(self.product.into()),
            pull: Some(self.pull),
            interop_data: MessageField::some(InteropData {
                account_id: Some(self.account_id),
                token: Some(self.token.clone()),
                enable_read_receipts: Some(self.enable_read_receipts),
            }),
            ..Proto::default()
        }
        .encode_to_vec()
    }

    /// Reads the protobuf.
    ///
    /// # Errors
    /// Says what a Partner's user cannot present.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        let proto = Proto::decode_from_slice(bytes).map_err(|_| PayloadError::Malformed)?;
        let product = match proto.product {
            Some(ProtoProduct::WHATSAPP) => Product::WhatsApp,
            Some(ProtoProduct::MESSENGER) => Product::Messenger,
            Some(ProtoProduct::INTEROP) => Product::Interop,
            Some(ProtoProduct::INTEROP_MSGR) => Product::InteropMessenger,
            _ => return Err(PayloadError::Product),
        };
        let interop = proto
            .interop_data
            .into_option()
            .ok_or(PayloadError::NoInterop)?;
        Ok(Self {
            username: proto.username,
            passive: proto.passive.unwrap_or(false),
            pull: proto.pull.unwrap_or(false),
            device: proto.device.unwrap_or(0),
            user_agent: proto.user_agent.into_option().map(read_agent),
            product,
            account_id: interop.account_id.unwrap_or(0),
            token: interop.token.unwrap_or_default(),
            enable_read_receipts: interop.enable_read_receipts.unwrap_or(false),
        })
    }
}

fn agent(agent: &UserAgent) -> ProtoAgent {
    let number = |index| agent.app_version.get(index).copied();
    let version = user_agent::AppVersion {
        primary: number(0),
        secondary: number(1),
        tertiary: number(2),
        quaternary: number(3),
        quinary: number(4),
    };
    ProtoAgent {
        platform: agent
            .platform
            .as_deref()
            .and_then(user_agent::Platform::from_proto_name),
        app_version: (!agent.app_version.is_empty()).then_some(version).into(),
        mcc: agent.mcc.clone(),
        mnc: agent.mnc.clone(),
        os_version: agent.os_version.clone(),
        manufacturer: agent.manufacturer.clone(),
        device: agent.device.clone(),
        os_build_number: agent.os_build_number.clone(),
        locale_language_iso6391: agent.language.clone(),
        locale_country_iso31661_alpha2: agent.country.clone(),
        ..ProtoAgent::default()
    }
}

fn read_agent(agent: ProtoAgent) -> UserAgent {
    let version = agent.app_version.into_option().unwrap_or_default();
    UserAgent {
        platform: agent.platform.map(|p| p.proto_name().to_owned()),
        app_version: [
            version.primary,
            version.secondary,
            version.tertiary,
            version.quaternary,
            version.quinary,
        ]
        .into_iter()
        .map_while(|number| number)
        .collect(),
        mcc: agent.mcc,
        mnc: agent.mnc,
        os_version: agent.os_version,
        manufacturer: agent.manufacturer,
        device: agent.device,
        os_build_number: agent.os_build_number,
        language: agent.locale_language_iso6391,
        country: agent.locale_country_iso31661_alpha2,
    }
}
