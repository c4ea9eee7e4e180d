//! The homeserver, seen by its application service: whose accounts there are, and what it says about itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, atomic::AtomicBool},
    time::Duration,
};

use ruma::{
    DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, RoomVersionId, ServerName,
    TransactionId, UserId,
    api::{
        SupportedVersions,
        client::{
            appservice::request_ping,
            discovery::{get_capabilities, get_supported_versions},
        },
    },
    device_id,
};
use secrecy::SecretString;
use tokio::sync::{Notify, OnceCell};
use url::Url;

use super::{
    Intent, MatrixError, RoomCipher,
    media::MediaServer,
    request::{self, Identity, TIMEOUT, Tries},
};
use crate::config::{AppserviceConfig, HomeserverConfig};

/// A feature that Synapse alone reports.
const SYNAPSE_FEATURE: &str = "io.element.e2ee_forced.public";

/// What a token gives access to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The bridge's own accounts, each with its device.
    Bridge,
    /// Everybody's account at the homeserver; they have devices of their own.
    Everybody,
    /// One account alone, which is not named.
    One,
}

/// A homeserver, seen by its application service; cheap to clone.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) base: String,
    pub(super) token: SecretString,
    pub(super) access: Access,
    /// The key that marks what is sent, if it is sent as somebody who is no account of the bridge.
    pub(super) mark: Option<String>,
    appservice_id: String,
    bot: OwnedUserId,
    server: OwnedServerName,
    pub(super) http: reqwest::Client,
    pub(super) versions: SupportedVersions,
    pub(super) media: MediaServer,
    default_room_version: OnceCell<RoomVersionId>,
    /// Shared with the clients that act as users.
    pub(super) cipher: Arc<OnceLock<Arc<dyn RoomCipher>>>,
    bot_device: OnceLock<OwnedDeviceId>,
    /// The token of the bot's device, where it has to have one of its own.
    bot_token: RwLock<Option<SecretString>>,
    pub(super) down: AtomicBool,
    pub(super) recovered: Notify,
}

impl Client {
    /// A client of the configured homeserver. Nothing is sent yet. `http` is to follow no redirects by itself: one could lead
    /// elsewhere than it should.
    ///
    /// # Errors
    /// That a name of the configuration is none.
    pub fn new(
        homeserver: &HomeserverConfig,
        appservice: &AppserviceConfig,
        http: reqwest::Client,
    ) -> Result<Self, MatrixError> {
        let unusable = |error: ruma::IdParseError| MatrixError::Request(error.to_string());
        let server = ServerName::parse(&homeserver.domain).map_err(unusable)?;
        let bot =
            UserId::parse(format!("@{}:{server}", appservice.bot_localpart)).map_err(unusable)?;
        // What every homeserver with room version 10 has: the stable paths of `/v3` and `/v1`.
        let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());
        Ok(Self(Arc::new(Inner {
            base: homeserver.address.as_str().trim_end_matches('/').to_owned(),
            token: appservice.as_token.clone(),
            access: Access::Bridge,
            mark: None,
            appservice_id: appservice.id.clone(),
            bot,
            server,
            http,
            versions,
            media: MediaServer::new(&homeserver.address)?,
            default_room_version: OnceCell::new(),
            cipher: Arc::default(),
            bot_device: OnceLock::new(),
            bot_token: RwLock::default(),
            down: AtomicBool::new(false),
            recovered: Notify::new(),
        })))
    }

    /// The one device of an account of the bridge. Homeservers key the transaction ids of sends by it.
    #[must_use]
    pub fn device_of(&self, user: &UserId) -> &DeviceId {
        if user == self.0.bot {
            self.bot_device()
        } else {
            device_id!("DRAWBRIDGE")
        }
    }

    /// The bot's device.
    #[must_use]
    pub fn bot_device(&self) -> &DeviceId {
        let device = self.0.bot_device.get();
        device.map_or(device_id!("DRAWBRIDGE"), |device| device)
    }

    /// Says which device of the bot has its keys; before anything is sent. Only the first counts.
    pub fn set_bot_device(&self, device: &str) {
        // A second one would not have the keys.
        let _ = self.0.bot_device.set(device.into());
    }

    /// Gives the bot's device a token of its own, with which its requests are made from then on, or takes that back.
    pub fn set_bot_token(&self, token: Option<SecretString>) {
        *self
            .0
            .bot_token
            .write()
            .unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The token a request is made with, and whether it is that of the account's device.
    pub(super) fn token(&self, identity: Identity<'_>) -> (SecretString, bool) {
        let bots = self.0.access == Access::Bridge
            && matches!(identity, Identity::Device(user) if user == self.0.bot);
        if bots {
            let token = self.0.bot_token.read();
            if let Some(token) = &*token.unwrap_or_else(PoisonError::into_inner) {
                return (token.clone(), true);
            }
        }
        (self.0.token.clone(), false)
    }

    /// The same homeserver, or the one at `address`, with another token; `mark` is the key that marks what is sent.
    pub(super) fn with_token(
        &self,
        token: SecretString,
        access: Access,
        mark: &str,
        address: Option<&Url>,
    ) -> Result<Self, MatrixError> {
        let inner = &self.0;
        let base = match address {
            Some(address) => address.as_str().trim_end_matches('/').to_owned(),
            None => inner.base.clone(),
        };
        let url = Url::parse(&base).map_err(|error| MatrixError::Request(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            media: MediaServer::new(&url)?,
            base,
            token,
            access,
            mark: Some(mark.to_owned()),
            appservice_id: inner.appservice_id.clone(),
            bot: inner.bot.clone(),
            server: inner.server.clone(),
            http: inner.http.clone(),
            versions: inner.versions.clone(),
            default_room_version: OnceCell::new(),
            cipher: inner.cipher.clone(),
            bot_device: inner.bot_device.clone(),
            bot_token: RwLock::default(),
            down: AtomicBool::new(false),
            recovered: Notify::new(),
        })))
    }

    /// The bot's account.
    #[must_use]
    pub fn bot(&self) -> Intent {
        Intent::new(self.clone(), self.0.bot.clone())
    }

    /// The bot's user id.
    #[must_use]
    pub fn bot_id(&self) -> &UserId {
        &self.0.bot
    }

    /// The account of a ghost.
    #[must_use]
    pub fn ghost(&self, user: &UserId) -> Intent {
        Intent::new(self.clone(), user.to_owned())
    }

    /// The homeserver's name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.0.server
    }

    /// The versions of the client API the homeserver speaks.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn versions(&self) -> Result<Vec<String>, MatrixError> {
        let request = self
            .0
            .http
            .get(format!("{}/_matrix/client/versions", self.0.base))
            .timeout(TIMEOUT)
            .build()?;
        let answer: get_supported_versions::Response =
            request::read(self.exchange(request).await?)?;
        Ok(answer.versions)
    }

    /// What the homeserver is (`Synapse`, `continuwuity`), if it can be told.
    pub async fn software(&self) -> Option<String> {
        let get = async |path: &str| {
            let url = format!("{}{path}", self.0.base);
            let answer = self.0.http.get(url).timeout(TIMEOUT).send().await.ok()?;
            let answer = answer.error_for_status().ok()?;
            answer.json::<serde_json::Value>().await.ok()
        };
        if let Some(body) = get("/_matrix/federation/v1/version").await
            && let Some(name) = body["server"]["name"].as_str()
        {
            return Some(name.to_owned());
        }
        // That is for other homeservers and may not be served here; but only Synapse has this feature.
        let body = get("/_matrix/client/versions").await?;
        body["unstable_features"]
            .get(SYNAPSE_FEATURE)
            .map(|_| "Synapse".to_owned())
    }

    /// Has the homeserver call the bridge's own ping endpoint; how long that took. It also ends a homeserver's waiting after
    /// deliveries have failed.
    ///
    /// # Errors
    /// What kept the homeserver from reaching the bridge (`M_CONNECTION_FAILED` and the like), or the bridge from asking.
    pub async fn ping(&self) -> Result<Duration, MatrixError> {
        let mut request = request_ping::v1::Request::new(self.0.appservice_id.clone());
        request.transaction_id = Some(TransactionId::new());
        let answer = self
            .call(request, Identity::Appservice, Tries::Once(TIMEOUT))
            .await?;
        Ok(answer.duration)
    }

    /// The version of rooms for which none is asked.
    pub(super) async fn default_room_version(&self) -> Result<RoomVersionId, MatrixError> {
        let fetch = async || {
            let request = get_capabilities::v3::Request::new();
            let answer = self
                .call(request, Identity::Device(&self.0.bot), Tries::Few)
                .await;
            match answer {
                Ok(answer) => Ok(answer.capabilities.room_versions.default),
                Err(error) if error.is_transient() => Err(error),
                // A homeserver without capabilities is older than version 12.
                Err(_) => Ok(RoomVersionId::V11),
            }
        };
        self.0
            .default_room_version
            .get_or_try_init(fetch)
            .await
            .cloned()
    }

    /// Waits until the homeserver has come back from an outage.
    pub(super) async fn recovered(&self) {
        self.0.recovered.notified().await;
    }
}
