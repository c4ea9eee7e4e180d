//! A login towards the gatekeeper: its keys made, its enlistment, and what it presents at each connect.

use rand::RngExt;
use std::time::Duration;

use super::{
    connection::Ended,
    context::Context,
    enlistment::{self, EnlistError, EnlistmentKeys},
    outbound,
    profile::ChatTransport,
    transport::{self, Credentials, Endpoint, StanzaReader, StanzaWriter},
    wire::{Jid, noise, payload::ClientPayload},
};
use crate::{
    domain::{LoginId, RemoteUserId},
    network::NetworkError,
    signal,
    store::{Lane, LoginRow, LoginSecrets, LoginState, SignedPreKeyRow, StoreError, StoreTxn},
};

/// How long a connection may take to be made, the handshake included.
const DIAL_LIMIT: Duration = Duration::from_secs(20);

/// How many signed prekeys are kept.
const SIGNED_PREKEYS_KEPT: i64 = 3;

/// Stores a new login of a Matrix user, with all its keys, before anybody hears of it.
///
/// # Errors
/// That another Matrix user is seen under the same identifier, also if only large and small letters differ, which a gatekeeper
/// need not tell apart; or the store's.
pub(super) async fn create(
    context: &Context,
    mxid: &str,
    visible_id: String,
) -> Result<LoginRow, NetworkError> {
    let identity = signal::generate_identity(context.now());
    let row = LoginRow {
        // 53 bits, so that the number survives JSON.
        id: LoginId(rand::rng().random_range(1..1 << 53)),
        gatekeeper: context.gatekeeper.clone(),
        mxid: mxid.to_owned(),
        visible_id,
        remote_login: None,
        state: LoginState::Enlisting,
        secrets: LoginSecrets {
            noise_private: rand::random::<[u8; 32]>().to_vec(),
            identity_pair: identity.identity_pair,
            registration_id: identity.registration_id,
        },
        next_prekey_id: signal::FIRST_KEY_ID,
        signed_prekey_id: identity.signed_prekey.id,
    };
    let (stored, signed) = (row.clone(), identity.signed_prekey);
    let taken = context
        .db
        .step(Lane::login(row.id), move |txn| {
            let (row, signed) = (stored.clone(), signed.clone());
            Box::pin(async move {
                let taken = txn.logins().await?.iter().any(|other| {
                    other.gatekeeper == row.gatekeeper
                        && other.visible_id.eq_ignore_ascii_case(&row.visible_id)
                });
                if !taken {
                    txn.insert_login(&row).await?;
                    txn.put_signed_prekey(row.id, &signed, SIGNED_PREKEYS_KEPT)
                        .await?;
                }
                Ok(taken)
            })
        })
        .await?;
    if taken {
        return Err(NetworkError::Refused(format!(
            "another Matrix user is seen as {:?} there already: visible_id of the gatekeeper in the configuration has to tell users apart, as {{mxid}} does",
            row.visible_id
        )));
    }
    Ok(row)
}

/// Enlists a login with the keys it has and stores what the gatekeeper calls it. Repeating it after an interruption is the same
/// enlistment: the keys are the same. If the gatekeeper calls it something else than before, it is somebody new to everybody: see
/// [`renamed`].
pub(super) async fn enlist(context: &Context, row: LoginRow) -> Result<LoginRow, NetworkError> {
    let keys = enlistment_keys(context, &row).await?;
    let token = token(context, &row)?;
    let remote = enlistment::enlist(&context.http, &context.profile, &keys, &token)
        .await
        .map_err(|error| network_error(&error))?;
    let id = row.id;
    let assigned = remote.clone();
    context
        .db
        .step(Lane::login(id), move |txn| {
            let assigned = assigned.clone();
            Box::pin(async move {
                let before = txn.login(id).await?.and_then(|row| row.remote_login);
                if let Some(before) = before.filter(|before| *before != assigned) {
                    renamed(txn, id, &before).await?;
                }
                txn.set_login_state(id, LoginState::Active, Some(&assigned))
                    .await
            })
        })
        .await?;
    tracing::info!(login = id.0, "enlisted at the gatekeeper");
    Ok(LoginRow {
        state: LoginState::Active,
        remote_login: Some(remote),
        ..row
    })
}

/// Nobody has a session with the login's new address, so every session has to be made anew before anything is sent over it. The groups
/// are those of the old address: its sender keys are of no use any more, and whoever wants the login in them has to take it in again.
async fn renamed(txn: &mut dyn StoreTxn, login: LoginId, before: &str) -> Result<(), StoreError> {
    tracing::warn!(%login, "the gatekeeper gave the login another identifier: sessions are made anew");
    signal::archive_all_sessions(txn, login).await?;
    let (Some(row), Ok(old), Ok(address)) = (
        txn.login(login).await?,
        RemoteUserId::parse(before),
        before.parse::<Jid>(),
    ) else {
        return Ok(());
    };
    txn.delete_own_sender_keys(login, outbound::address(&address).as_str())
        .await?;
    for chat in txn.groups_with(&row.gatekeeper, &old).await? {
        txn.set_group_role(&row.gatekeeper, &chat, &old, None)
            .await?;
    }
    Ok(())
}

fn network_error(error: &EnlistError) -> NetworkError {
    if error.is_transient() {
        NetworkError::Unreachable(error.to_string())
    } else {
        NetworkError::Refused(error.to_string())
    }
}

async fn enlistment_keys(
    context: &Context,
    row: &LoginRow,
) -> Result<EnlistmentKeys, NetworkError> {
    let (id, signed_id) = (row.id, row.signed_prekey_id);
    let signed: Option<SignedPreKeyRow> = context
        .db
        .read(move |txn| Box::pin(txn.signed_prekey(id, signed_id)))
        .await?;
    let corrupt = |reason: String| {
        NetworkError::Store(StoreError::Corrupt {
            table: "login",
            reason,
        })
    };
    let signed = signed.ok_or_else(|| corrupt("its signed prekey is missing".to_owned()))?;
    let signed =
        signal::public_signed_prekey(&signed).map_err(|error| corrupt(error.to_string()))?;
    let device = signal::Device::of(row).map_err(|error| corrupt(error.to_string()))?;
    Ok(EnlistmentKeys {
        noise_public: noise::public_key(&noise_private(row)?),
        registration_id: device.registration_id(),
        identity: device.identity(),
        signed_prekey_id: signed.id,
        signed_prekey: signed.value,
        signed_prekey_signature: signed.signature,
    })
}

fn noise_private(row: &LoginRow) -> Result<[u8; 32], NetworkError> {
    row.secrets
        .noise_private
        .as_slice()
        .try_into()
        .map_err(|_| {
            NetworkError::Store(StoreError::Corrupt {
                table: "login",
                reason: "its Noise key has not 32 bytes".to_owned(),
            })
        })
}

/// The Partner's word for the login, made afresh each time.
fn token(context: &Context, row: &LoginRow) -> Result<String, NetworkError> {
    context
        .signing
        .token(&context.profile, &row.visible_id, context.now())
        .map_err(|error| {
            NetworkError::Refused(format!("the login's token cannot be made: {error}"))
        })
}

/// Connects a login.
pub(super) async fn connect(
    context: &Context,
    row: &LoginRow,
) -> Result<(StanzaReader, StanzaWriter), Ended> {
    let remote = row.remote_login.as_deref().unwrap_or_default();
    let Ok(Jid::Interop { user, .. }) = remote.parse() else {
        return Err(NetworkError::Refused(
            "the gatekeeper assigned an identifier that is none: log out and in again".to_owned(),
        )
        .into());
    };
    let profile = &context.profile;
    let payload = ClientPayload {
        username: None,
        passive: false,
        pull: true,
        device: 0,
        user_agent: Some(profile.user_agent.clone()),
        product: profile.product,
        account_id: user,
        token: token(context, row)?.into_bytes(),
        enable_read_receipts: profile.features.receipts,
    }
    .encode();
    let credentials = Credentials {
        noise_private: &noise_private(row)?,
        ephemeral: rand::random(),
        root_key: &context.profile.root_key,
        payload: &payload,
        dialect: profile.dialect(),
    };
    let address = context.profile.chat.address.clone();
    let endpoint = match context.profile.chat.transport {
        ChatTransport::Tcp => Endpoint::Tcp(address),
        ChatTransport::WebSocket => Endpoint::WebSocket(address),
    };
    Ok(transport::dial(&endpoint, &credentials, DIAL_LIMIT, context.now()).await?)
}
