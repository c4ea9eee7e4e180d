//! The crypto machine of the bot's device: opened from the store, opened anew when it is ahead of its store, and its requests to the
//! homeserver.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;
use matrix_sdk_crypto::{
    OlmError, OlmMachine,
    store::CryptoStoreError,
    types::requests::{AnyIncomingResponse, AnyOutgoingRequest, OutgoingRequest, ToDeviceRequest},
};
use ruma_crypto::{
    OwnedDeviceId, OwnedUserId, TransactionId,
    api::{
        IncomingResponse, OutgoingRequest as Endpoint, SupportedVersions,
        auth_scheme::{AuthScheme, SendAccessToken},
        client::{
            keys::{claim_keys, get_keys, upload_keys, upload_signatures},
            to_device::send_event_to_device,
        },
        path_builder::PathBuilder,
    },
};

use super::{Inner, MachineStore, MachineStoreError};
use crate::{
    clock::Clock,
    matrix::{Client, MatrixError},
    store::{Database, StoreError},
};

/// Why encryption could not go on for now.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// The homeserver failed or refused.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The crypto machine's store failed.
    #[error(transparent)]
    Machine(#[from] MachineStoreError),
    /// The homeserver gives the bot no device.
    #[error("the homeserver gives the bot no device: {0}")]
    NoDevice(String),
    /// The recovery key of the configuration does not restore the bot's identity.
    #[error(
        "encryption.recovery_key does not restore the bot's identity ({0}): correct it, or leave it out and the bot gets a new identity"
    )]
    RecoveryKey(String),
    /// The crypto machine failed.
    #[error("{0}")]
    Crypto(String),
}

impl EncryptionError {
    /// Whether the same may work later without anybody's doing.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Matrix(error) => error.is_transient(),
            Self::Store(_) | Self::Machine(_) => true,
            Self::NoDevice(_) | Self::RecoveryKey(_) | Self::Crypto(_) => false,
        }
    }

    /// Why the homeserver does not take the device, if it is that.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Matrix(error) if !error.is_transient() => Some(error.to_string()),
            Self::NoDevice(_) => Some(self.to_string()),
            _ => None,
        }
    }
}

impl From<CryptoStoreError> for EncryptionError {
    fn from(error: CryptoStoreError) -> Self {
        Self::Crypto(error.to_string())
    }
}

impl From<OlmError> for EncryptionError {
    fn from(error: OlmError) -> Self {
        Self::Crypto(error.to_string())
    }
}

impl From<EncryptionError> for MatrixError {
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::Matrix(error) => error,
            other => Self::Encryption(other.to_string()),
        }
    }
}

/// A machine and what it remembers.
pub(super) struct Machine {
    pub(super) olm: OlmMachine,
    pub(super) store: MachineStore,
}

impl Machine {
    /// The machine of a user's device, made if there is none yet. Nothing is sent.
    pub(super) async fn open(
        db: &Database,
        (user, device): (OwnedUserId, OwnedDeviceId),
        clock: Arc<dyn Clock>,
        share_keys: bool,
    ) -> Result<Self, EncryptionError> {
        let store = MachineStore::new(db.clone(), (user.clone(), device.clone()), clock);
        let olm = OlmMachine::with_store(&user, &device, store.clone(), None).await?;
        // The only other device that could be asked is one of the bot's own, and there is none.
        olm.set_room_key_requests_enabled(false);
        olm.set_room_key_forwarding_enabled(share_keys);
        Ok(Self { olm, store })
    }
}

/// Every endpoint of the client API the machine's requests are for.
pub(super) trait Request:
    Endpoint<
        Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
        PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
    > + Send
{
}
impl<R> Request for R where
    R: Endpoint<
            Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
            PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
        > + Send
{
}

/// Makes a request of the machine as the bot's device. The library speaks another version of the Matrix types than the rest of the
/// bridge, so requests and answers cross as HTTP.
pub(super) async fn call<R: Request>(
    client: &Client,
    request: R,
) -> Result<R::IncomingResponse, MatrixError> {
    let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());
    let request: http::Request<Vec<u8>> = request
        // Address and token are the client's.
        .try_into_http_request(
            "http://homeserver",
            SendAccessToken::Appservice("unused"),
            Cow::Owned(versions),
        )
        .map_err(|error| MatrixError::Request(error.to_string()))?;
    let answer = client.bot().carry(request).await?;
    R::IncomingResponse::try_from_http_response(answer)
        .map_err(|error| MatrixError::Unreadable(error.to_string()))
}

impl Inner {
    /// Sends one of the machine's requests and gives it the answer.
    pub(super) async fn send(&self, request: &OutgoingRequest) -> Result<(), EncryptionError> {
        let client = &self.client;
        let id: &TransactionId = request.request_id();
        match request.request() {
            AnyOutgoingRequest::KeysUpload(upload) => {
                let mut copy = upload_keys::v3::Request::new();
                copy.device_keys.clone_from(&upload.device_keys);
                copy.one_time_keys.clone_from(&upload.one_time_keys);
                copy.fallback_keys.clone_from(&upload.fallback_keys);
                {
                    let answer = call(client, copy).await?;
                    self.answered(id, AnyIncomingResponse::from(&answer)).await
                }
            }
            AnyOutgoingRequest::KeysQuery(query) => {
                let mut copy = get_keys::v3::Request::new();
                copy.device_keys.clone_from(&query.device_keys);
                copy.timeout = query.timeout;
                {
                    let answer = call(client, copy).await?;
                    self.answered(id, AnyIncomingResponse::from(&answer)).await
                }
            }
            AnyOutgoingRequest::KeysClaim(claim) => self.claim(id, claim).await,
            AnyOutgoingRequest::ToDeviceRequest(messages) => self.send_to_devices(messages).await,
            AnyOutgoingRequest::SignatureUpload(signatures) => {
                let copy = upload_signatures::v3::Request::new(signatures.signed_keys.clone());
                {
                    let answer = call(client, copy).await?;
                    self.answered(id, AnyIncomingResponse::from(&answer)).await
                }
            }
            // Verification in rooms is not offered, so nothing of it is ever sent.
            AnyOutgoingRequest::RoomMessage(_) => Ok(()),
        }
    }

    /// Takes keys of devices there is no session with.
    pub(super) async fn claim(
        &self,
        id: &TransactionId,
        claim: &claim_keys::v3::Request,
    ) -> Result<(), EncryptionError> {
        let mut copy = claim_keys::v3::Request::new(claim.one_time_keys.clone());
        copy.timeout = claim.timeout;
        {
            let answer = call(&self.client, copy).await?;
            self.answered(id, AnyIncomingResponse::from(&answer)).await
        }
    }

    /// Sends a message to devices.
    pub(super) async fn send_to_devices(
        &self,
        request: &ToDeviceRequest,
    ) -> Result<(), EncryptionError> {
        let copy = send_event_to_device::v3::Request::new_raw(
            request.event_type.clone(),
            request.txn_id.clone(),
            request.messages.clone(),
        );
        let answer = call(&self.client, copy).await?;
        self.answered(&request.txn_id, AnyIncomingResponse::from(&answer))
            .await
    }

    /// Gives the machine an answer, at a time when it may store what it learns.
    pub(super) fn answered<'a>(
        &'a self,
        id: &'a TransactionId,
        answer: AnyIncomingResponse<'a>,
    ) -> BoxFuture<'a, Result<(), EncryptionError>> {
        Box::pin(async move {
            let machine = self.machine.read().await;
            Ok(machine.olm.mark_request_as_sent(id, answer).await?)
        })
    }
}
