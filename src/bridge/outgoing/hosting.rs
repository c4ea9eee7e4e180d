//! Files on their way to the gatekeeper: read from the homeserver, encrypted and hosted as they come, never whole in memory.

use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::super::context::{Bridge, BridgeError, lock};
use crate::{
    domain::{MatrixMedia, MediaDetails, MediaKind, OutgoingContent, Unbridgeable},
    imaging,
    matrix::{ByteStream, DownloadError, attachment},
    network::{MediaError, Network},
};

/// Pictures up to this size are looked at, to make the small picture that travels inside the message.
const LOOKED_AT: u64 = 4 * 1024 * 1024;
/// For how long a file that cannot be read now is tried again while the room's later messages wait.
const PATIENCE_MS: i64 = 5 * 60 * 1000;

/// A file that is to be hosted.
pub(super) struct ToHost {
    pub(super) details: MediaDetails,
    pub(super) source: MatrixMedia,
    pub(super) thumbnail: Option<MatrixMedia>,
    pub(super) caption: Option<String>,
    pub(super) limit: u64,
    /// Its event.
    pub(super) event_id: String,
}

/// Why a file of the homeserver's cannot be had or hosted: whether another try may help.
pub(in crate::bridge) enum Trouble {
    Passing(String),
    Lasting(String),
}

impl Bridge {
    /// Hosts a file; the message that names it, or why it cannot be sent.
    pub(super) async fn host(
        &self,
        network: &dyn Network,
        gatekeeper: &str,
        file: ToHost,
    ) -> Result<Result<OutgoingContent, Unbridgeable>, BridgeError> {
        let event_id = file.event_id.clone();
        let tried = self.try_host(network, file).await;
        if !matches!(tried, Err(Trouble::Passing(_))) {
            self.end_trouble(&event_id);
        }
        match tried {
            Ok(content) => Ok(Ok(content)),
            Err(Trouble::Passing(why)) if self.is_worth_waiting(&event_id) => {
                Err(BridgeError::Media(why))
            }
            Err(Trouble::Passing(why) | Trouble::Lasting(why)) => Ok(Err(Unbridgeable {
                reason: "media_unavailable",
                notice: Some(format!(
                    "Not sent to {gatekeeper}: the file could not be carried, {why}."
                )),
            })),
        }
    }

    /// Whether a file that cannot be carried now is to be tried again; counted from its first failure in this process, so that an
    /// outage of something else does not use up its time.
    pub(in crate::bridge) fn is_worth_waiting(&self, file: &str) -> bool {
        let now = self.now().0;
        let mut troubled = lock(&self.troubled);
        let since = *troubled.entry(file.to_owned()).or_insert(now);
        let worth = now - since < PATIENCE_MS;
        if !worth {
            troubled.remove(file);
        }
        worth
    }

    /// A file is carried, or never will be.
    pub(in crate::bridge) fn end_trouble(&self, file: &str) {
        lock(&self.troubled).remove(file);
    }

    async fn try_host(
        &self,
        network: &dyn Network,
        file: ToHost,
    ) -> Result<OutgoingContent, Trouble> {
        let ToHost {
            mut details,
            source,
            thumbnail,
            caption,
            limit,
            ..
        } = file;
        let limit = limit.min(self.settings.conversation.max_media_bytes);
        let small = match &thumbnail {
            Some(thumbnail) => self.small(thumbnail, true).await,
            None => None,
        };
        let whole = match details.kind {
            MediaKind::Image => self.small(&source, false).await,
            MediaKind::Sticker => self.small(&source, true).await,
            _ => None,
        };
        if let Some(look) = whole.as_deref().and_then(imaging::look) {
            details.width = Some(look.width);
            details.height = Some(look.height);
        }
        details.preview = preview(small, whole.as_ref()).await;
        let stream: ByteStream = match whole {
            Some(bytes) if details.kind == MediaKind::Sticker => {
                let sticker = blocking(move || imaging::sticker(&bytes)).await.flatten();
                let sticker = sticker.ok_or_else(|| {
                    Trouble::Lasting("it is no picture a sticker can be made of".to_owned())
                })?;
                "image/webp".clone_into(&mut details.mime_type);
                if let Some(look) = imaging::look(&sticker) {
                    details.width = Some(look.width);
                    details.height = Some(look.height);
                }
                futures_util::stream::iter([Ok(sticker.into())]).boxed()
            }
            Some(bytes) => futures_util::stream::iter([Ok(bytes.into())]).boxed(),
            None if details.kind == MediaKind::Sticker => {
                return Err(self.why_unread(&source).await);
            }
            None => self.read(&source, limit).await?,
        };
        let file =
            network
                .host(details.kind, stream, limit)
                .await
                .map_err(|error| match error {
                    MediaError::Source(source) => trouble_of(&source),
                    error if error.is_transient() => Trouble::Passing(error.to_string()),
                    error => Trouble::Lasting(error.to_string()),
                })?;
        fail::fail_point!("host.after_store");
        Ok(OutgoingContent::Media {
            details,
            file,
            caption,
        })
    }

    /// A file of the homeserver's, decrypted if it has to be.
    async fn read(&self, media: &MatrixMedia, limit: u64) -> Result<ByteStream, DownloadError> {
        let patience = self.settings.conversation.patience;
        let download = self.client.download(&media.uri, limit, patience).await?;
        Ok(match &media.encryption {
            Some(key) => attachment::decrypt(download.bytes, key),
            None => download.bytes,
        })
    }

    /// Why a small file cannot be had whole.
    async fn why_unread(&self, media: &MatrixMedia) -> Trouble {
        let mut stream = match self.read(media, LOOKED_AT).await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        while let Some(chunk) = stream.next().await {
            if let Err(error) = chunk {
                return trouble_of(&error);
            }
        }
        Trouble::Passing("the sticker could not be read".to_owned())
    }

    /// A small file whole; `None` if it is not small or cannot be had, which the transfer itself will tell. One whose size is not
    /// told is tried if it can be expected to be small.
    async fn small(&self, media: &MatrixMedia, expected: bool) -> Option<Vec<u8>> {
        let tried = media.size.map_or(expected, |size| size <= LOOKED_AT);
        if !tried {
            return None;
        }
        let mut stream = self.read(media, LOOKED_AT).await.ok()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.ok()?);
        }
        Some(bytes)
    }
}

impl From<DownloadError> for Trouble {
    fn from(error: DownloadError) -> Self {
        if error.is_transient() {
            Self::Passing(error.to_string())
        } else {
            Self::Lasting(error.to_string())
        }
    }
}

/// Whether another try may help where the file's source failed.
pub(in crate::bridge) fn trouble_of(error: &std::io::Error) -> Trouble {
    match DownloadError::inside(error) {
        Some(error) if !error.is_transient() => Trouble::Lasting(error.to_string()),
        Some(error) => Trouble::Passing(error.to_string()),
        None => Trouble::Passing(error.to_string()),
    }
}

async fn preview(small: Option<Vec<u8>>, whole: Option<&Vec<u8>>) -> Option<Vec<u8>> {
    let picture = small.or_else(|| whole.cloned())?;
    blocking(move || imaging::preview(&picture)).await.flatten()
}

/// Decoding a picture takes its time and up to 64 MB of memory, so one is looked at at a time.
static LOOKING: Semaphore = Semaphore::const_new(1);

/// Looks at a picture where that blocks nobody.
pub(in crate::bridge) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let _alone = LOOKING.acquire().await.ok()?;
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "a picture could not be looked at");
            None
        }
    }
}
