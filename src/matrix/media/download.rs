//! Having a file from the homeserver, or from where the homeserver sends us.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{
    Method, Response,
    header::{CONTENT_TYPE, LOCATION},
};
use tokio::time::timeout;

use super::{ByteStream, DownloadError, mxc::Mxc};
use crate::matrix::{
    Client, MatrixError,
    request::{Identity, Pauses},
};

/// How often one is sent elsewhere for a file.
const REDIRECTS: usize = 3;
/// How much of an error's body is read, in bytes.
const ERROR_BODY: u64 = 64 * 1024;

/// A file that has begun to come.
pub struct Download {
    /// Its size in bytes, if it is announced. The stream fails if it is another.
    pub size: Option<u64>,
    /// Its MIME type, as its uploader says.
    pub mime_type: Option<String>,
    /// The file. The stream fails with a [`DownloadError`] inside if the file does not come whole.
    pub bytes: ByteStream,
}

impl Client {
    /// Has a file of at most `limit` bytes, as the bot. `stall` is how long nothing at all may come, before the beginning or in
    /// between: a homeserver has a file of another homeserver sent to itself first, and goes on with that when nobody waits.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn download(
        &self,
        uri: &str,
        limit: u64,
        stall: Duration,
    ) -> Result<Download, DownloadError> {
        let mxc = Mxc::parse(uri).ok_or(DownloadError::Address)?;
        let response = self.find(&mxc, stall).await?;
        let size = response.content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(DownloadError::TooLarge { limit });
        }
        let mime_type = response.headers().get(CONTENT_TYPE);
        Ok(Download {
            size,
            mime_type: mime_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            bytes: bytes(response, size, limit, stall),
        })
    }

    /// The answer that has the file, by whichever endpoint the homeserver has.
    async fn find(&self, mxc: &Mxc, stall: Duration) -> Result<Response, DownloadError> {
        let legacy_download = &self.0.media.legacy_download;
        if !legacy_download.load(Ordering::Relaxed) {
            match self.patiently(mxc, false, stall).await {
                Err(Failure::NoEndpoint) => {}
                Err(Failure::Final(error) | Failure::Passing(error, _)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        match self.patiently(mxc, true, stall).await {
            Ok(response) => {
                legacy_download.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(Failure::NoEndpoint) => Err(DownloadError::NotFound),
            Err(Failure::Final(error) | Failure::Passing(error, _)) => Err(error),
        }
    }

    async fn patiently(
        &self,
        mxc: &Mxc,
        legacy: bool,
        stall: Duration,
    ) -> Result<Response, Failure> {
        let mut pauses = Pauses::few();
        loop {
            let failure = match self.ask(mxc, legacy, stall).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Failure::Passing(_, cause) = &failure else {
                return Err(failure);
            };
            let Some(pause) = pauses.after(cause) else {
                return Err(failure);
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self, mxc: &Mxc, legacy: bool, stall: Duration) -> Result<Response, Failure> {
        let parts: &[&str] = if legacy {
            &["_matrix", "media", "v3", "download"]
        } else {
            &["_matrix", "client", "v1", "media", "download"]
        };
        let path = [parts, &[&mxc.server, &mxc.id]].concat();
        let mut request = self.request(Method::GET, &path, Identity::Device(self.bot_id()))?;
        if legacy {
            request = request.query(&[("allow_redirect", "true")]);
        }
        let request = request.build().map_err(MatrixError::from)?;
        let Ok(answer) = timeout(stall, self.send(request)).await else {
            return Err(Failure::Final(DownloadError::stalled(stall)));
        };
        if let Err(error) = &answer {
            self.watch(Some(error));
        }
        let response = answer?;
        if response.status().is_redirection() {
            return Ok(self.follow(response, stall).await?);
        }
        if response.status().is_success() {
            self.watch(None);
            return Ok(response);
        }
        let error = refusal(response, stall).await;
        self.watch(Some(&error));
        if error.is_unknown_endpoint() {
            Err(Failure::NoEndpoint)
        } else {
            Err(error.into())
        }
    }

    /// Goes where the homeserver says.
    async fn follow(
        &self,
        mut response: Response,
        stall: Duration,
    ) -> Result<Response, DownloadError> {
        for _ in 0..REDIRECTS {
            let location = response.headers().get(LOCATION);
            let url = location
                .and_then(|value| response.url().join(value.to_str().ok()?).ok())
                .ok_or_else(|| DownloadError::Refused("it is nowhere to be had".to_owned()))?;
            response = timeout(stall, self.0.media.outside.get(url))
                .await
                .map_err(|_| DownloadError::stalled(stall))??;
            if response.status().is_success() {
                return Ok(response);
            }
            if !response.status().is_redirection() {
                return Err(refusal(response, stall).await.into());
            }
        }
        Err(DownloadError::Refused(
            "one is sent from server to server for it".to_owned(),
        ))
    }
}

/// How one try ended.
enum Failure {
    /// The homeserver has no such endpoint.
    NoEndpoint,
    /// Trying again at once does not help.
    Final(DownloadError),
    /// It may pass; what the homeserver said.
    Passing(DownloadError, MatrixError),
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::Final(error)
    }
}

impl From<MatrixError> for Failure {
    fn from(error: MatrixError) -> Self {
        // The homeserver has waited for the upload already.
        if !error.is_transient() || error.errcode() == Some("M_NOT_YET_UPLOADED") {
            return Self::Final(error.into());
        }
        let told = match &error {
            MatrixError::Unreachable(reason) => DownloadError::Unreachable(reason.clone()),
            other => DownloadError::Unreachable(other.to_string()),
        };
        Self::Passing(told, error)
    }
}

/// What an answer with an error status says.
async fn refusal(response: Response, stall: Duration) -> MatrixError {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = bytes(response, None, ERROR_BODY, stall)
        .try_fold(Vec::new(), async |mut whole, part| {
            whole.extend_from_slice(&part);
            Ok(whole)
        })
        .await
        .unwrap_or_default();
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    MatrixError::from_answer(&answer)
}

/// The body of an answer: `size` bytes if that is announced, never more than `limit`, without long pauses.
fn bytes(response: Response, size: Option<u64>, limit: u64, stall: Duration) -> ByteStream {
    stream::try_unfold(
        (response, 0_u64),
        move |(mut response, before)| async move {
            let chunk = timeout(stall, response.chunk())
                .await
                .map_err(|_| DownloadError::stalled(stall))?
                .map_err(|error| DownloadError::from(MatrixError::from(error)))?;
            let Some(chunk) = chunk else {
                if size.is_some_and(|size| size != before) {
                    return Err(DownloadError::Unreachable(
                        "it did not come whole".to_owned(),
                    ));
                }
                return Ok(None);
            };
            let seen = before + chunk.len() as u64;
            if seen > limit {
                return Err(DownloadError::TooLarge { limit });
            }
            Ok(Some((chunk, (response, seen))))
        },
    )
    .map_err(std::io::Error::from)
    .boxed()
}
