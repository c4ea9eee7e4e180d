//! How a request is made: as which account, how often, and how long one waits in between.

use std::{borrow::Cow, slice, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use ruma::{
    DeviceId, UserId,
    api::{
        AppserviceUserIdentity, IncomingResponse, IncomingResponseExt as _, OutgoingRequest,
        OutgoingRequestAppserviceExt as _, SupportedVersions,
        auth_scheme::{AuthScheme, SendAccessToken},
        path_builder::PathBuilder,
    },
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::{Client, MatrixError, client::Access};

/// How long one try of an ordinary request may take.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);
/// The pauses between tries. Who called tries again later, with more patience.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// The longest pause the homeserver may ask for before the caller is told instead.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);

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
    /// Makes a request and reads its answer.
    pub(super) async fn call<R: Endpoint>(
        &self,
        request: R,
        identity: Identity<'_>,
        tries: Tries,
    ) -> Result<R::IncomingResponse, MatrixError> {
        let mut who = AppserviceUserIdentity::default();
        let (token, _) = self.token(identity);
        if let Some((user, device)) = self.named(identity) {
            who.user_id = Some(user);
            who.device_id = device;
        }
        let request: http::Request<Vec<u8>> = request
            .try_into_http_request_with_identity(
                &self.0.base,
                SendAccessToken::Appservice(token.expose_secret()),
                who,
                Cow::Borrowed(&self.0.versions),
            )
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        read(self.answer(request.try_into()?, tries).await?)
    }

    /// Which account and which of its devices a request has to name; none where the token is that account's own.
    fn named<'a>(&'a self, identity: Identity<'a>) -> Option<(&'a UserId, Option<&'a DeviceId>)> {
        let (user, device) = match identity {
            Identity::Appservice => return None,
            Identity::User(user) => (user, None),
            Identity::Device(user) => (user, Some(self.device_of(user))),
        };
        match self.0.access {
            Access::Bridge if self.token(identity).1 => None,
            Access::Bridge => Some((user, device)),
            Access::Everybody => Some((user, None)),
            Access::One => None,
        }
    }

    /// Makes a request whose body is in memory, and again where that may help.
    pub(super) async fn answer(
        &self,
        mut request: reqwest::Request,
        tries: Tries,
    ) -> Result<http::Response<Bytes>, MatrixError> {
        let mut pauses = match tries {
            Tries::Once(time) => {
                *request.timeout_mut() = Some(time);
                Pauses::none()
            }
            Tries::Few => {
                *request.timeout_mut() = Some(TIMEOUT);
                Pauses::few()
            }
        };
        loop {
            let copy = request.try_clone().expect("the body is in memory");
            let error = match self.exchange(copy).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = pauses.after(&error) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// A request of a path, given in parts, which are escaped.
    pub(super) fn request(
        &self,
        method: Method,
        path: &[&str],
        identity: Identity<'_>,
    ) -> Result<RequestBuilder, MatrixError> {
        let mut url =
            Url::parse(&self.0.base).map_err(|error| MatrixError::Request(error.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| MatrixError::Request("the homeserver's address has no path".to_owned()))?
            .pop_if_empty()
            .extend(path);
        self.name_in(&mut url, identity);
        let request = self.0.http.request(method, url);
        let (token, _) = self.token(identity);
        Ok(request.bearer_auth(token.expose_secret()))
    }

    /// Makes a request that was put together elsewhere: its method, path, query and body count, address and token are the client's.
    pub(super) async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
        identity: Identity<'_>,
    ) -> Result<http::Response<Bytes>, MatrixError> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut url = Url::parse(&format!("{}{path}", self.0.base))
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        self.name_in(&mut url, identity);
        let (token, _) = self.token(identity);
        let request = self.0.http.request(parts.method, url);
        let request = request
            .bearer_auth(token.expose_secret())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .build()?;
        self.answer(request, Tries::Few).await
    }

    /// Names the account a request is made as, where the token is not that account's own.
    fn name_in(&self, url: &mut Url, identity: Identity<'_>) {
        if let Some((user, device)) = self.named(identity) {
            let mut query = url.query_pairs_mut();
            query.append_pair("user_id", user.as_str());
            if let Some(device) = device {
                query.append_pair("device_id", device.as_str());
            }
        }
    }

    /// The JSON at a path.
    pub(super) async fn json(
        &self,
        path: &[&str],
        identity: Identity<'_>,
    ) -> Result<Value, MatrixError> {
        let request = self.request(Method::GET, path, identity)?.build()?;
        let answer = self.answer(request, Tries::Few).await?;
        serde_json::from_slice(answer.body())
            .map_err(|error| MatrixError::Unreadable(error.to_string()))
    }

    /// Puts JSON at a path.
    pub(super) async fn put_json(
        &self,
        path: &[&str],
        identity: Identity<'_>,
        body: &Value,
    ) -> Result<(), MatrixError> {
        let request = self.request(Method::PUT, path, identity)?;
        let request = request.json(body).build()?;
        self.answer(request, Tries::Few).await.map(drop)
    }

    /// Sends a request once, whose answer is read as it comes.
    pub(super) async fn send(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, MatrixError> {
        Ok(self.0.http.execute(request).await?)
    }

    /// Makes a request once; an answer with an error status is an error. Outages are noticed.
    pub(super) async fn exchange(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<Bytes>, MatrixError> {
        let result = self.transfer(request).await;
        self.watch(result.as_ref().err());
        result
    }

    /// The same, but nothing is concluded from how it ends.
    pub(super) async fn transfer(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<Bytes>, MatrixError> {
        let answer = self.send(request).await?;
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
    pub(super) fn watch(&self, error: Option<&MatrixError>) {
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

/// Reads an answer.
pub(super) fn read<T: IncomingResponse>(answer: http::Response<Bytes>) -> Result<T, MatrixError> {
    let (parts, body) = answer.into_parts();
    T::try_from_http_response(http::Response::from_parts(parts, body.as_ref()))
        .map_err(|error| MatrixError::Unreadable(error.to_string()))
}

/// The pauses that are left before further tries.
pub(super) struct Pauses(slice::Iter<'static, Duration>);

impl Pauses {
    pub(super) fn few() -> Self {
        Self(PAUSES.iter())
    }

    fn none() -> Self {
        Self([].iter())
    }

    /// How long to wait after an error before the next try; `None` if there is to be none.
    pub(super) fn after(&mut self, error: &MatrixError) -> Option<Duration> {
        if !error.is_transient() {
            return None;
        }
        let pause = *self.0.next()?;
        Some(error.retry_after().unwrap_or(pause)).filter(|pause| *pause <= LONGEST_PAUSE)
    }
}
