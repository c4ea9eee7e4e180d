//! Who a client is: the Noise handshake from the server's side, and what the client presents at its end.

use waproto::{
    buffa::Message as _,
    whatsapp::{ClientPayload as Proto, client_payload::Product as ProtoProduct},
};

use crate::{
    network::interop::wire::{
        Jid,
        noise::{Responder, Transport},
        payload::{ClientPayload, Product},
    },
    sandbox::{
        directory::Kind,
        error::LineError,
        flavour::Flavour,
        line::{FrameReader, FrameWriter},
        office::Office,
        token::TokenError,
    },
};

/// The code of `<failure>` that says that a login is not enlisted, or not any more.
pub(in crate::sandbox) const UNKNOWN_LOGIN: u16 = 404;
/// The keys or the token are not the account's.
const NOT_ACCEPTED: u16 = 401;
/// What was presented cannot be read.
const BAD_PAYLOAD: u16 = 415;
/// The gatekeeper cannot tell now.
const UNAVAILABLE: u16 = 503;

/// A client that was let in.
pub(super) struct Client {
    pub(super) jid: Jid,
    pub(super) flavour: Flavour,
    /// What a Partner user said about read receipts.
    pub(super) read_receipts: Option<bool>,
}

/// The handshake; the transport is there even if the client is not let in, so that it can be told.
pub(super) async fn handshake(
    office: &Office,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<(Transport, Result<Client, u16>), LineError> {
    reader.intro().await?;
    let hello = reader.frame().await?;
    let certificates = &office.certificates;
    let (responder, answer) = Responder::read_client_hello(
        &hello,
        certificates.server_private(),
        rand::random(),
        certificates.chain(),
    )?;
    writer.put(&answer)?;
    writer.flush().await?;
    let finish = reader.frame().await?;
    let (client_static, payload, transport) = responder.read_client_finish(&finish)?;
    let client = admit(office, &client_static, &payload).await;
    Ok((transport, client))
}

async fn admit(office: &Office, client_static: &[u8; 32], payload: &[u8]) -> Result<Client, u16> {
    let proto = Proto::decode_from_slice(payload).map_err(|_| BAD_PAYLOAD)?;
    let (jid, flavour, read_receipts) = match proto.product {
        None | Some(ProtoProduct::WHATSAPP) => phone(&proto, Flavour::WhatsApp)?,
        Some(ProtoProduct::MESSENGER) => phone(&proto, Flavour::Messenger)?,
        Some(ProtoProduct::INTEROP | ProtoProduct::INTEROP_MSGR) => {
            partner(office, payload).await?
        }
        _ => return Err(BAD_PAYLOAD),
    };
    if matches!(jid, Jid::Interop { .. })
        && !office.plays(&jid)
        && let Some(code) = office.faults.refusal()
    {
        return Err(code);
    }
    let directory = office.directory();
    let account = directory.accounts.get(&jid).ok_or(UNKNOWN_LOGIN)?;
    if account.flavour != flavour || account.noise_public != *client_static {
        return Err(NOT_ACCEPTED);
    }
    Ok(Client {
        jid,
        flavour,
        read_receipts,
    })
}

type Presented = (Jid, Flavour, Option<bool>);

fn phone(proto: &Proto, flavour: Flavour) -> Result<Presented, u16> {
    let number = proto.username.ok_or(BAD_PAYLOAD)?;
    Ok((
        Jid::user(number.to_string(), flavour.user_server()),
        flavour,
        None,
    ))
}

async fn partner(office: &Office, payload: &[u8]) -> Result<Presented, u16> {
    let payload = ClientPayload::parse(payload).map_err(|_| BAD_PAYLOAD)?;
    let flavour = Flavour::of_product(payload.product);
    let token = std::str::from_utf8(&payload.token).map_err(|_| BAD_PAYLOAD)?;
    let subject = office
        .verifier
        .verify(token, flavour, office.now())
        .await
        .map_err(|error| match error {
            TokenError::KeySet => UNAVAILABLE,
            _ => NOT_ACCEPTED,
        })?;
    let jid = Jid::interop(subject.integrator, payload.account_id);
    let directory = office.directory();
    let account = directory.accounts.get(&jid).ok_or(UNKNOWN_LOGIN)?;
    match &account.kind {
        Kind::Partner { visible_id, .. } if *visible_id == subject.visible_id => {}
        _ => return Err(NOT_ACCEPTED),
    }
    Ok((jid, flavour, Some(payload.enable_read_receipts)))
}

/// What a phone presents: its number and its product, no interop data.
pub(in crate::sandbox) fn phone_payload(number: u64, flavour: Flavour) -> Vec<u8> {
    let product = match flavour {
        Flavour::WhatsApp => Product::WhatsApp,
        Flavour::Messenger => Product::Messenger,
    };
    Proto {
        username: Some(number),
        passive: Some(false),
        device: Some(0),
        product: Some(product.into()),
        pull: Some(true),
        ..Proto::default()
    }
    .encode_to_vec()
}
