//! Files on their way into Matrix: fetched as ciphertext onto the disk, checked, and uploaded as they are decrypted.
//!
//! The homeserver's address of a file is kept before its bytes are sent, so that a file whose upload was interrupted is uploaded
//! to the same place, and one that is there already is not uploaded again.

use futures_util::StreamExt as _;

use super::super::{
    changes::Change,
    context::{Bridge, BridgeError},
    outgoing::blocking,
    routes::PortalRoute,
};
use crate::{
    config::ViewOnce,
    domain::{MediaDetails, MediaKind, MessageRef, RemoteMedia},
    imaging,
    matrix::{ByteStream, Upload, UploadError},
    network::{MediaError, Network},
    store::{Lane, RemoteMessageRow},
    translate::{MediaAtMatrix, Thumbnail},
};

/// Pictures without a small one in their message get one made if they are no larger than this.
const LOOKED_AT: u64 = 2 * 1024 * 1024;
/// The longest side of a small picture that is made here.
const THUMBNAIL: u32 = 400;
/// A file as a message has it.
pub(super) struct Received<'a> {
    pub(super) details: &'a MediaDetails,
    pub(super) file: Option<&'a RemoteMedia>,
}

/// What became of a file.
pub(super) struct Obtained {
    pub(super) media: MediaAtMatrix,
    /// That it is asked for again.
    pub(super) change: Option<Change>,
    /// Whether the message has to be kept for when it comes.
    pub(super) keep: bool,
}

impl From<MediaAtMatrix> for Obtained {
    fn from(media: MediaAtMatrix) -> Self {
        Self {
            media,
            change: None,
            keep: false,
        }
    }
}

impl Bridge {
    /// Brings a message's file to the homeserver.
    pub(super) async fn obtain(
        &self,
        route: &PortalRoute,
        network: &dyn Network,
        row: &RemoteMessageRow,
        received: Received<'_>,
    ) -> Result<Obtained, BridgeError> {
        let conversation = &self.settings.conversation;
        if received.details.view_once && conversation.view_once == ViewOnce::Hide {
            return Ok(MediaAtMatrix::Withheld.into());
        }
        let Some(file) = received.file else {
            let why = "the message does not say where it is".to_owned();
            return Ok(MediaAtMatrix::Lost(why).into());
        };
        let key = self.upload_key(row, "file");
        if let Some((uri, true)) = self.known_upload(&key).await? {
            let uploaded = self.uploaded(row, received.details, uri, file.size, None);
            return Ok(uploaded.await?.into());
        }
        let kind = received.details.kind;
        match network
            .fetch(kind, file, conversation.max_media_bytes)
            .await
        {
            Ok(fetched) => {
                self.end_trouble(&key);
                let bytes = || fetched.bytes();
                let sent = self.upload(&key, received.details, fetched.size, &bytes);
                match sent.await? {
                    Ok(uri) => {
                        let picture = match kind {
                            MediaKind::Image | MediaKind::Sticker if fetched.size <= LOOKED_AT => {
                                whole(fetched.bytes()).await
                            }
                            _ => None,
                        };
                        let size = fetched.size;
                        let uploaded = self.uploaded(row, received.details, uri, size, picture);
                        Ok(uploaded.await?.into())
                    }
                    Err(why) => Ok(MediaAtMatrix::Lost(why).into()),
                }
            }
            Err(error) => self.not_had(route, network, row, file, error).await,
        }
    }

    /// A file that cannot be had: tried again, asked for again, or given up.
    async fn not_had(
        &self,
        route: &PortalRoute,
        network: &dyn Network,
        row: &RemoteMessageRow,
        file: &RemoteMedia,
        error: MediaError,
    ) -> Result<Obtained, BridgeError> {
        let message = &row.message;
        tracing::info!(message = %message.stanza_id, %error, "a file cannot be had");
        let key = self.upload_key(row, "file");
        if error.is_transient() && self.is_worth_waiting(&key) {
            return Err(BridgeError::Media(error.to_string()));
        }
        self.end_trouble(&key);
        let may_come = error.is_transient() || matches!(error, MediaError::Gone);
        let (login, id) = (route.login, network.media_request_id(&message.stanza_id));
        let asked = self
            .db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move {
                    match id {
                        Some(id) => txn.outbox_knows(login, &id).await,
                        None => Ok(true),
                    }
                })
            })
            .await?;
        // It was put on the server anew for us and still is not there.
        if !may_come || asked {
            return Ok(MediaAtMatrix::Lost(error.to_string()).into());
        }
        Ok(Obtained {
            media: MediaAtMatrix::AskedAgain,
            change: Some(Change::AskForMedia {
                login: route.login,
                chat: message.chat.clone(),
                message: MessageRef {
                    id: message.stanza_id.clone(),
                    sender: Some(message.sender.clone()),
                },
                key: file.key.clone(),
            }),
            keep: true,
        })
    }

    /// The file with a small picture of it.
    async fn uploaded(
        &self,
        row: &RemoteMessageRow,
        details: &MediaDetails,
        uri: String,
        size: u64,
        picture: Option<Vec<u8>>,
    ) -> Result<MediaAtMatrix, BridgeError> {
        let visual = matches!(
            details.kind,
            MediaKind::Image | MediaKind::Video | MediaKind::Gif | MediaKind::Sticker
        );
        let source = picture.or_else(|| details.preview.clone());
        let small = match source.filter(|_| visual) {
            Some(bytes) => blocking(move || imaging::thumbnail(&bytes, THUMBNAIL))
                .await
                .flatten(),
            None => None,
        };
        let Some(small) = small else {
            return Ok(MediaAtMatrix::Uploaded {
                uri,
                size,
                thumbnail: None,
                blurhash: None,
            });
        };
        let blurhash = Some(small.blurhash);
        let (width, height) = (small.width, small.height);
        let thumbnail = self
            .upload_picture(row, "thumbnail", small.jpeg, (width, height))
            .await?;
        Ok(MediaAtMatrix::Uploaded {
            uri,
            size,
            thumbnail,
            blurhash,
        })
    }

    /// Uploads a small JPEG that belongs to a message.
    pub(super) async fn upload_picture(
        &self,
        row: &RemoteMessageRow,
        what: &str,
        jpeg: Vec<u8>,
        (width, height): (u32, u32),
    ) -> Result<Option<Thumbnail>, BridgeError> {
        let size = jpeg.len() as u64;
        let details = MediaDetails::new(MediaKind::Image, "image/jpeg");
        let jpeg = bytes::Bytes::from(jpeg);
        let bytes = || futures_util::stream::iter([Ok(jpeg.clone())]).boxed();
        let key = self.upload_key(row, what);
        Ok(self
            .upload(&key, &details, size, &bytes)
            .await?
            .ok()
            .map(|uri| Thumbnail {
                uri,
                mime_type: "image/jpeg".to_owned(),
                size,
                width,
                height,
            }))
    }

    fn upload_key(&self, row: &RemoteMessageRow, what: &str) -> String {
        let message = &row.message;
        self.effect_id(&[
            "upload",
            &message.login.to_string(),
            message.chat.as_str(),
            message.sender.as_str(),
            message.stanza_id.as_str(),
            &row.revision.to_string(),
            what,
        ])
    }

    pub(in crate::bridge) async fn known_upload(
        &self,
        key: &str,
    ) -> Result<Option<(String, bool)>, BridgeError> {
        let key = key.to_owned();
        let row = self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.upload(&key).await })
            })
            .await?;
        Ok(row.map(|row| (row.uri, row.done)))
    }

    /// Uploads a file; its address, or why it cannot be uploaded.
    pub(in crate::bridge) async fn upload(
        &self,
        key: &str,
        details: &MediaDetails,
        size: u64,
        bytes: &(dyn Fn() -> ByteStream + Send + Sync),
    ) -> Result<Result<String, String>, BridgeError> {
        let mut place = match self.known_upload(key).await? {
            Some((uri, true)) => return Ok(Ok(uri)),
            Some((uri, false)) => Some(uri),
            None => None,
        };
        if place.is_none() {
            place = match self.bot().create_media().await {
                Ok(place) => place,
                Err(error) if error.is_transient() => return Err(error.into()),
                // The upload itself will tell what is wrong.
                Err(_) => None,
            };
            if let Some(uri) = &place {
                self.keep_upload(key, uri, false).await?;
                fail::fail_point!("upload.after_create");
            }
        }
        let mut file = Upload {
            uri: place.as_deref(),
            mime_type: details.mime_type.split(';').next().unwrap_or_default(),
            file_name: details.file_name.as_deref(),
            size,
            stall: self.settings.conversation.patience,
        };
        let mut sent = self.bot().upload(file, bytes).await;
        if let Err(UploadError::Matrix(error)) = &sent
            && file.uri.is_some()
            && !error.is_transient()
        {
            // The homeserver may have given up the address meanwhile; it gives another with the file.
            file.uri = None;
            sent = self.bot().upload(file, bytes).await;
        }
        match sent {
            Ok(uri) => {
                self.keep_upload(key, &uri, true).await?;
                fail::fail_point!("upload.after_done");
                Ok(Ok(uri))
            }
            Err(UploadError::Matrix(error)) if error.is_transient() => Err(error.into()),
            Err(error) if error.is_transient() => Err(BridgeError::Media(error.to_string())),
            Err(UploadError::Source(error)) => {
                // The address was given out for a file that is not what it should be: it stays empty.
                Ok(Err(format!("what came is not what was sent ({error})")))
            }
            Err(error) => Ok(Err(format!("this homeserver does not take it ({error})"))),
        }
    }

    async fn keep_upload(&self, key: &str, uri: &str, done: bool) -> Result<(), BridgeError> {
        let (key, uri, now) = (key.to_owned(), uri.to_owned(), self.now());
        self.db
            .step(Lane::room(&key.clone()), move |txn| {
                let (key, uri) = (key.clone(), uri.clone());
                Box::pin(async move {
                    txn.put_upload(&key, &uri, now).await?;
                    if done {
                        txn.finish_upload(&key).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

async fn whole(mut stream: ByteStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.ok()?);
    }
    Some(bytes)
}
