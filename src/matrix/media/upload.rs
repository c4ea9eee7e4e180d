//! Giving a file to the homeserver: an address first, then the file under it, so that a try that was cut short is finished by the
//! next instead of done twice.
//!
//! <https://spec.matrix.org/v1.16/client-server-api/#content-repository>

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt as _;
use reqwest::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use ruma::api::client::media::create_mxc_uri;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::{ByteStream, UploadError, mxc::Mxc, progress::Metered};
use crate::matrix::{
    Client, Intent, MatrixError,
    request::{Identity, LONGEST_PAUSE, Pauses},
};

/// A file to be given to the homeserver.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The address made for it by [`Intent::create_media`], if one was; the same account has to upload it.
    pub uri: Option<&'a str>,
    /// Its MIME type; one that cannot be said is left out.
    pub mime_type: &'a str,
    /// Its name.
    pub file_name: Option<&'a str>,
    /// Its size in bytes, exactly.
    pub size: u64,
    /// How long the homeserver may take nothing of it, or may not answer when it has all.
    pub stall: Duration,
}

impl Client {
    /// The largest file the homeserver takes, in bytes, asked anew; `None` if it has no limit or does not say.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn upload_limit(&self) -> Result<Option<u64>, MatrixError> {
        let identity = Identity::Device(self.bot_id());
        let paths = [
            ["_matrix", "client", "v1", "media", "config"].as_slice(),
            ["_matrix", "media", "v3", "config"].as_slice(),
        ];
        let mut limit = None;
        for path in paths {
            match self.json(path, identity).await {
                Ok(config) => {
                    limit = config["m.upload.size"].as_u64();
                    break;
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => {}
            }
        }
        *self.0.media.limit() = Some(limit.unwrap_or(u64::MAX));
        Ok(limit)
    }

    /// A homeserver may just cut the connection when a file is too large, which looks as if it were worth trying again.
    async fn refuse_too_large(&self, size: u64) -> Result<(), UploadError> {
        let known = *self.0.media.limit();
        if known.is_some_and(|limit| size <= limit) {
            return Ok(());
        }
        match self.upload_limit().await? {
            Some(limit) if size > limit => Err(UploadError::TooLarge { limit: Some(limit) }),
            _ => Ok(()),
        }
    }
}

impl Intent {
    /// Makes the address of a file that is uploaded later (homeservers give such addresses up after a day or so). `None` where the
    /// homeserver cannot do that, or makes no more for this account now: then [`Intent::upload`] goes without.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn create_media(&self) -> Result<Option<String>, MatrixError> {
        let media = &self.client.0.media;
        if media.no_create.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.call(create_mxc_uri::v1::Request::default()).await {
            Ok(answer) => Ok(Some(address(answer.content_uri.as_str())?)),
            Err(error) if error.is_unknown_endpoint() => {
                media.no_create.store(true, Ordering::Relaxed);
                Ok(None)
            }
            // Too many addresses wait for their files, and only time ends that.
            Err(error) if error.retry_after().is_some_and(|wait| wait > LONGEST_PAUSE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads a file; its address. `body` opens it from its beginning, once for each try. That it was uploaded under its address
    /// before is success.
    ///
    /// # Errors
    /// Why not. What the body said is told apart from what the homeserver said, and nothing is then at the address.
    pub async fn upload(
        &self,
        file: Upload<'_>,
        body: impl Fn() -> ByteStream + Send,
    ) -> Result<String, UploadError> {
        self.client.refuse_too_large(file.size).await?;
        let mut pauses = Pauses::few();
        loop {
            let error = match self.upload_once(&file, body()).await {
                Err(UploadError::Matrix(error)) => error,
                other => return other,
            };
            let Some(pause) = pauses.after(&error) else {
                return Err(error.into());
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn upload_once(
        &self,
        file: &Upload<'_>,
        source: ByteStream,
    ) -> Result<String, UploadError> {
        let (mut metered, progress) = Metered::new(source, file.size);
        if file.size == 0 {
            // Of a body without bytes nothing is ever asked for, not even whether it is all right.
            while let Some(piece) = metered.next().await {
                piece.map_err(UploadError::Source)?;
            }
        }
        let request = self.upload_request(file, reqwest::Body::wrap_stream(metered))?;
        let transfer = self.client.transfer(request);
        tokio::pin!(transfer);
        let answer = loop {
            tokio::select! {
                answer = &mut transfer => break answer,
                () = sleep_until(progress.at() + file.stall) => {}
            }
            if progress.at() + file.stall > Instant::now() {
                continue;
            }
            return Err(if progress.is_reading() {
                UploadError::Source(std::io::ErrorKind::TimedOut.into())
            } else {
                UploadError::Stalled(file.stall)
            });
        };
        if let (Err(_), Some(failure)) = (&answer, progress.failure()) {
            return Err(UploadError::Source(failure));
        }
        self.client.watch(answer.as_ref().err());
        let body = match answer {
            Ok(answer) => answer.into_body(),
            Err(error) => return self.explain(file, error),
        };
        match file.uri {
            Some(uri) => Ok(uri.to_owned()),
            None => Ok(address(&content_uri(&body)?)?),
        }
    }

    fn upload_request(
        &self,
        file: &Upload<'_>,
        body: reqwest::Body,
    ) -> Result<reqwest::Request, MatrixError> {
        let upload = ["_matrix", "media", "v3", "upload"];
        let identity = Identity::Device(&self.user);
        let request = match file.uri {
            None => self.client.request(Method::POST, &upload, identity)?,
            Some(uri) => {
                let mxc = Mxc::parse(uri).ok_or_else(|| no_address(uri))?;
                let path = [upload.as_slice(), &[&mxc.server, &mxc.id]].concat();
                self.client.request(Method::PUT, &path, identity)?
            }
        };
        let request = match file.file_name {
            Some(name) if !name.is_empty() => request.query(&[("filename", name)]),
            _ => request,
        };
        let mime_type = HeaderValue::from_str(file.mime_type)
            .ok()
            .filter(|value| !value.is_empty())
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let request = request
            .header(CONTENT_TYPE, mime_type)
            .header(CONTENT_LENGTH, file.size)
            .body(body)
            .build()?;
        Ok(request)
    }

    fn explain(&self, file: &Upload<'_>, error: MatrixError) -> Result<String, UploadError> {
        let code = error.errcode().unwrap_or_default();
        if code == "M_TOO_LARGE" || error.status() == Some(413) {
            let limit = *self.client.0.media.limit();
            let limit = limit.filter(|limit| *limit < file.size);
            return Err(UploadError::TooLarge { limit });
        }
        match file.uri {
            Some(uri) if code == "M_CANNOT_OVERWRITE_MEDIA" => Ok(uri.to_owned()),
            _ => Err(error.into()),
        }
    }
}

fn content_uri(body: &[u8]) -> Result<String, MatrixError> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| MatrixError::Unreadable(error.to_string()))?;
    let uri = body["content_uri"].as_str();
    uri.map(str::to_owned)
        .ok_or_else(|| MatrixError::Unreadable("it names no content_uri".to_owned()))
}

/// An address the homeserver named, if it is one.
fn address(uri: &str) -> Result<String, MatrixError> {
    match Mxc::parse(uri) {
        Some(_) => Ok(uri.to_owned()),
        None => Err(MatrixError::Unreadable(format!(
            "{uri:?} is no address of a file"
        ))),
    }
}

fn no_address(uri: &str) -> MatrixError {
    MatrixError::Request(format!("{uri:?} is no address of a file"))
}
