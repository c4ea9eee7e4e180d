//! Uploads that happen once: a file's address at the homeserver, and what it is encrypted with, are kept before its bytes are sent,
//! so that a file whose upload was interrupted is uploaded to the same place as the same bytes, and one that is there already is not
//! uploaded again.

use std::time::Duration;

use futures_util::TryStreamExt as _;

use super::super::context::{Bridge, BridgeError};
use crate::{
    domain::{AttachmentKey, AttachmentSecret, MatrixMedia, MediaDetails},
    matrix::{
        ByteStream, Upload, UploadError,
        attachment::{FileCipher, new_secret},
    },
    store::{Lane, UploadRow},
};

/// A file to be brought to the homeserver.
#[derive(Clone, Copy)]
pub(in crate::bridge) struct ToUpload<'a> {
    pub(in crate::bridge) details: &'a MediaDetails,
    /// Its size in bytes, exactly.
    pub(in crate::bridge) size: u64,
    /// Opens it from its beginning: the same bytes each time for the same key.
    pub(in crate::bridge) bytes: &'a (dyn Fn() -> ByteStream + Send + Sync),
    /// Whether the homeserver is to get it as ciphertext.
    pub(in crate::bridge) encrypted: bool,
}

impl ToUpload<'_> {
    /// What the homeserver is told of it: of ciphertext nothing but its size.
    fn described<'a>(
        &'a self,
        uri: Option<&'a str>,
        is_ciphertext: bool,
        stall: Duration,
    ) -> Upload<'a> {
        let details = self.details;
        let essence = details.mime_type.split(';').next().unwrap_or_default();
        Upload {
            uri,
            mime_type: if is_ciphertext {
                "application/octet-stream"
            } else {
                essence
            },
            file_name: details.file_name.as_deref().filter(|_| !is_ciphertext),
            size: self.size,
            stall,
        }
    }
}

/// A file that was uploaded before.
pub(super) fn at_homeserver(row: UploadRow, size: u64) -> MatrixMedia {
    let UploadRow {
        uri,
        secret,
        sha256,
        ..
    } = row;
    MatrixMedia {
        uri,
        size: Some(size),
        encryption: secret
            .zip(sha256)
            .map(|(secret, sha256)| secret.into_key(sha256)),
    }
}

impl Bridge {
    pub(in crate::bridge) async fn known_upload(
        &self,
        key: &str,
    ) -> Result<Option<UploadRow>, BridgeError> {
        let key = key.to_owned();
        Ok(self
            .db
            .read(move |txn| {
                let key = key.clone();
                Box::pin(async move { txn.upload(&key).await })
            })
            .await?)
    }

    /// Uploads a file; where it is, or why it cannot be uploaded.
    pub(in crate::bridge) async fn upload(
        &self,
        key: &str,
        file: ToUpload<'_>,
    ) -> Result<Result<MatrixMedia, String>, BridgeError> {
        let begun = match self.known_upload(key).await? {
            Some(row) if row.done => return Ok(Ok(at_homeserver(row, file.size))),
            // At an address that was made for the plain file that file may be.
            Some(row) if file.encrypted && row.secret.is_none() => None,
            begun => begun,
        };
        let (place, secret) = match begun {
            Some(row) => (Some(row.uri), row.secret),
            None => self.begin_upload(key, file.encrypted).await?,
        };
        let cipher = secret.map(FileCipher::new);
        let bytes = || match &cipher {
            Some(cipher) => cipher.encrypt((file.bytes)()),
            None => (file.bytes)(),
        };
        let patience = self.settings.conversation.patience;
        let mut upload = file.described(place.as_deref(), cipher.is_some(), patience);
        let mut sent = self.bot().upload(upload, bytes).await;
        if let Err(UploadError::Matrix(error)) = &sent
            && upload.uri.is_some()
            && !error.is_transient()
        {
            // The homeserver may have given up the address meanwhile; it gives another with the file.
            upload.uri = None;
            sent = self.bot().upload(upload, bytes).await;
        }
        let sent = match (sent, &cipher) {
            (Ok(uri), Some(cipher)) => key_to(cipher, bytes).await.map(|key| (uri, Some(key))),
            (sent, _) => sent.map(|uri| (uri, None)),
        };
        match sent {
            Ok((uri, encryption)) => {
                fail::fail_point!("upload.after_sent");
                self.finish_upload(key, &uri, encryption.clone()).await?;
                fail::fail_point!("upload.after_done");
                Ok(Ok(MatrixMedia {
                    uri,
                    size: Some(file.size),
                    encryption,
                }))
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

    /// Makes an address for a file and chooses what it is encrypted with. Where there are no addresses without files each try has its
    /// own, so that nothing need be the same.
    async fn begin_upload(
        &self,
        key: &str,
        encrypted: bool,
    ) -> Result<(Option<String>, Option<AttachmentSecret>), BridgeError> {
        let secret = encrypted.then(new_secret);
        let place = match self.bot().create_media().await {
            Ok(place) => place,
            Err(error) if error.is_transient() => return Err(error.into()),
            // The upload itself will tell what is wrong.
            Err(_) => None,
        };
        if let Some(uri) = &place {
            let (key, uri, now) = (key.to_owned(), uri.clone(), self.now());
            let kept = secret.clone();
            self.db
                .step(Lane::room(&key.clone()), move |txn| {
                    let (key, uri, secret) = (key.clone(), uri.clone(), kept.clone());
                    Box::pin(async move { txn.put_upload(&key, &uri, secret.as_ref(), now).await })
                })
                .await?;
            fail::fail_point!("upload.after_create");
        }
        Ok((place, secret))
    }

    async fn finish_upload(
        &self,
        key: &str,
        uri: &str,
        encryption: Option<AttachmentKey>,
    ) -> Result<(), BridgeError> {
        let (key, uri, now) = (key.to_owned(), uri.to_owned(), self.now());
        self.db
            .step(Lane::room(&key.clone()), move |txn| {
                let (key, uri, encryption) = (key.clone(), uri.clone(), encryption.clone());
                Box::pin(async move {
                    let secret = encryption.as_ref().map(|encryption| AttachmentSecret {
                        key: encryption.key,
                        iv: encryption.iv,
                    });
                    let sha256 = encryption.as_ref().map(|encryption| &encryption.sha256);
                    txn.put_upload(&key, &uri, secret.as_ref(), now).await?;
                    txn.finish_upload(&key, sha256).await
                })
            })
            .await?;
        Ok(())
    }
}

/// The key to a file that is at the homeserver. What was there already from a try before need not have been read again to its end.
async fn key_to(
    cipher: &FileCipher,
    bytes: impl Fn() -> ByteStream,
) -> Result<AttachmentKey, UploadError> {
    if let Some(key) = cipher.key() {
        return Ok(key);
    }
    let read = bytes().try_for_each(|_| async { Ok(()) });
    read.await.map_err(UploadError::Source)?;
    cipher
        .key()
        .ok_or_else(|| UploadError::Source(std::io::ErrorKind::UnexpectedEof.into()))
}
