//! The HTTP client of the homeserver: requests as ruma types, as any of the bridge's accounts, tried again where that may help.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ruma::{
    DeviceId, OwnedServerName, OwnedUserId, RoomVersionId, ServerName, TransactionId, UserId,
    api::{
        AppserviceUserIdentity, IncomingResponseExt as _, OutgoingRequest,
        OutgoingRequestAppserviceExt as _, SupportedVersions,
        auth_scheme::{AuthScheme, SendAccessToken},
        client::{
            appservice::request_ping,
            discovery::{get_capabilities, get_supported_versions},
        },
        path_builder::PathBuilder,
    },
    device_id,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, OnceCell};

use super::{Intent, MatrixError};
use crate::config::{AppserviceConfig, HomeserverConfig};

/// How long one try of an ordinary request may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The pauses between tries. Who called tries again later, with more patience.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// A feature that Synapse alone reports.
const SYNAPSE_FEATURE: &str = "io.element.e2ee_forced.public";
/// The longest pause the homeserver may ask for before the caller is told instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A homeserver, seen by its application service; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: String,
    as_token: SecretString,
    appservice_id: String,
    bot: OwnedUserId,
    server: OwnedServerName,
    http: reqwest::Client,
    versions: SupportedVersions,
    default_room_version: OnceCell<RoomVersionId>,
    down: AtomicBool,
    recovered: Notify,
}

/// As whom a request is made.
#[derive(Clone, Copy)]
pub(super) enum Identity<'a> {
    /// The application service.
    Appservice,
    /// A user whose device need not exist yet.
    User(&'a UserId),
    /// A user with its device.
    Device(&'a UserId),
}

/// How often a request is tried.
#[derive(Clone, Copy)]
pub(super) enum Tries {
    /// Once, with this much time.
    Once(Duration),
    /// A few times: the request has the same effect however often it arrives.
    Few,
}

/// What every request of the client API is that a homeserver's application service may make.
pub(super) trait Endpoint:
    OutgoingRequest<
        Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
        PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
    > + Send
{
}
impl<R> Endpoint for R where
    R: OutgoingRequest<
            Authentication: for<'a> AuthScheme<Input<'a> = SendAccessToken<'a>>,
            PathBuilder: for<'a> PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
        > + Send
{
}

impl Client {
    /// A client of the configured homeserver. Nothing is sent yet.
    ///
    /// # Errors
    /// That a name of the configuration is none.
    pub fn new(
        homeserver: &HomeserverConfig,
        appservice: &AppserviceConfig,
        http: reqwest::Client,
    ) -> Result<Self, MatrixError> {
        let request = |error: ruma::IdParseError| MatrixError::Request(error.to_string());
        let server = ServerName::parse(&homeserver.domain).map_err(request)?;
        let bot =
            UserId::parse(format!("@{}:{server}", appservice.bot_localpart)).map_err(request)?;
        // What every homeserver with room version 10 has: the stable paths of `/v3` and `/v1`.
        let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &BTreeMap::new());
        Ok(Self(Arc::new(Inner {
            base: homeserver.address.as_str().trim_end_matches('/').to_owned(),
            as_token: appservice.as_token.clone(),
            appservice_id: appservice.id.clone(),
            bot,
            server,
            http,
            versions,
            default_room_version: OnceCell::new(),
            down: AtomicBool::new(false),
            recovered: Notify::new(),
        })))
    }

    /// The one device of each of the bridge's accounts. Homeservers key the transaction ids of sends by it.
    #[must_use]
    pub fn device() -> &'static DeviceId {
        device_id!("DRAWBRIDGE")
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
        let answer: get_supported_versions::Response = self.exchange(request).await?;
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

    /// Makes a request and reads its answer.
    pub(super) async fn call<R: Endpoint>(
        &self,
        request: R,
        identity: Identity<'_>,
        tries: Tries,
    ) -> Result<R::IncomingResponse, MatrixError> {
        let mut who = AppserviceUserIdentity::default();
        match identity {
            Identity::Appservice => {}
            Identity::User(user) => who.user_id = Some(user),
            Identity::Device(user) => {
                who.user_id = Some(user);
                who.device_id = Some(Self::device());
            }
        }
        let request: http::Request<Vec<u8>> = request
            .try_into_http_request_with_identity(
                &self.0.base,
                SendAccessToken::Appservice(self.0.as_token.expose_secret()),
                who,
                Cow::Borrowed(&self.0.versions),
            )
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        let mut request = reqwest::Request::try_from(request)?;
        let pauses = match tries {
            Tries::Once(time) => {
                *request.timeout_mut() = Some(time);
                &[][..]
            }
            Tries::Few => {
                *request.timeout_mut() = Some(TIMEOUT);
                &PAUSES[..]
            }
        };
        let mut pauses = pauses.iter();
        loop {
            let copy = request.try_clone().expect("the body is in memory");
            let error = match self.exchange(copy).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_transient()) else {
                return Err(error);
            };
            let pause = error.retry_after().unwrap_or(*pause);
            if pause > LONGEST_PAUSE {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn exchange<T: ruma::api::IncomingResponse>(
        &self,
        request: reqwest::Request,
    ) -> Result<T, MatrixError> {
        let result = self.transfer(request).await;
        self.watch(result.as_ref().err());
        let (parts, body) = result?.into_parts();
        T::try_from_http_response(http::Response::from_parts(parts, body.as_ref()))
            .map_err(|error| MatrixError::Unreadable(error.to_string()))
    }

    async fn transfer(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<bytes::Bytes>, MatrixError> {
        let answer = self.0.http.execute(request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut whole = http::Response::new(answer.bytes().await?);
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        if status.is_client_error() || status.is_server_error() {
            return Err(MatrixError::from_answer(&whole));
        }
        Ok(whole)
    }

    /// Notices the beginning and the end of outages.
    fn watch(&self, error: Option<&MatrixError>) {
        if error.is_some_and(MatrixError::is_outage) {
            if !self.0.down.swap(true, Ordering::AcqRel) {
                tracing::warn!("the homeserver has become unreachable");
            }
        } else if self.0.down.swap(false, Ordering::AcqRel) {
            tracing::info!("the homeserver is back");
            self.0.recovered.notify_one();
        }
    }
}
