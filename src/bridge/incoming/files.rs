//! Files on their way into Matrix: fetched as ciphertext onto the disk, checked, and uploaded as they are decrypted.
//!
//! Files of encrypted rooms are uploaded as ciphertext, and so are the small pictures that belong to them.

use bytes::Bytes;
use futures_util::StreamExt as _;
use ruma::RoomId;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        changes::Change,
        context::{Bridge, BridgeError},
        outgoing::blocking,
        routes::PortalRoute,
    },
    uploads::{ToUpload, at_homeserver},
};
use crate::{
    config::ViewOnce,
    domain::{MatrixMedia, MediaDetails, MediaKind, MessageRef, RemoteMedia},
    imaging,
    matrix::ByteStream,
    network::{MediaError, Network},
    store::RemoteMessageRow,
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
    /// Whether the room it is for is encrypted.
    pub(super) encrypted: bool,
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
        if let Some(known) = self.known_upload(&key).await?.filter(|known| known.done) {
            let file = at_homeserver(known, file.size);
            return Ok(self.uploaded(row, &received, file, None).await?.into());
        }
        let kind = received.details.kind;
        match network
            .fetch(kind, file, conversation.max_media_bytes)
            .await
        {
            Ok(fetched) => {
                self.end_trouble(&key);
                let to_upload = ToUpload {
                    details: received.details,
                    size: fetched.size,
                    bytes: &|| fetched.bytes(),
                    encrypted: received.encrypted,
                };
                match self.upload(&key, to_upload).await? {
                    Ok(file) => {
                        let picture = match kind {
                            MediaKind::Image | MediaKind::Sticker if fetched.size <= LOOKED_AT => {
                                whole(fetched.bytes()).await
                            }
                            _ => None,
                        };
                        Ok(self.uploaded(row, &received, file, picture).await?.into())
                    }
                    Err(why) => Ok(MediaAtMatrix::Lost(why).into()),
                }
            }
            Err(error) => self.not_had(route, network, row, file, error).await,
        }
    }

    /// Whether the files of a room are encrypted, as its events are. One that becomes encrypted while a file is brought to it
    /// shows that file as it was brought.
    pub(super) async fn encrypts_files(&self, room: &RoomId) -> Result<bool, BridgeError> {
        match self.client.cipher() {
            Some(cipher) => Ok(cipher.is_encrypted(&self.bot(), room).await?),
            None => Ok(false),
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
        received: &Received<'_>,
        file: MatrixMedia,
        picture: Option<Vec<u8>>,
    ) -> Result<MediaAtMatrix, BridgeError> {
        let details = received.details;
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
        let (thumbnail, blurhash) = match small {
            Some(small) => {
                let sides = (small.width, small.height);
                let encrypted = received.encrypted;
                let thumbnail = self
                    .upload_picture(row, "thumbnail", (small.jpeg, sides), encrypted)
                    .await?;
                (thumbnail, Some(small.blurhash))
            }
            None => (None, None),
        };
        Ok(MediaAtMatrix::Uploaded {
            uri: file.uri,
            encryption: file.encryption,
            size: file.size.unwrap_or_default(),
            thumbnail,
            blurhash,
        })
    }

    /// Uploads a small JPEG that belongs to a message.
    pub(super) async fn upload_picture(
        &self,
        row: &RemoteMessageRow,
        what: &str,
        (jpeg, (width, height)): (Vec<u8>, (u32, u32)),
        encrypted: bool,
    ) -> Result<Option<Thumbnail>, BridgeError> {
        // Another try may have another picture to make it of, and what is another picture is another upload.
        let key = self.upload_key(row, &format!("{what}/{:x}", Sha256::digest(&jpeg)));
        let size = jpeg.len() as u64;
        let details = MediaDetails::new(MediaKind::Image, "image/jpeg");
        let jpeg = Bytes::from(jpeg);
        let file = ToUpload {
            details: &details,
            size,
            bytes: &|| futures_util::stream::iter([Ok(jpeg.clone())]).boxed(),
            encrypted,
        };
        let sent = self.upload(&key, file).await?;
        Ok(sent.ok().map(|file| Thumbnail {
            uri: file.uri,
            encryption: file.encryption,
            mime_type: details.mime_type.clone(),
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
}

async fn whole(mut stream: ByteStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.ok()?);
    }
    Some(bytes)
}
