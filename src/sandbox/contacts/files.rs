//! A phone's files: kept in a folder by their hash, encrypted on their way to the media server and decrypted on their way back.
//! No file is in memory as a whole.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use serde::Deserialize;
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
};

use super::{
    content::{Composed, Content, File, Remote},
    crypt::{CryptError, FileDecryptor, FileEncryptor, Hashes},
    media::{MediaSource, MediaToSend},
};
use crate::{
    domain::MediaKind,
    network::interop::wire::Jid,
    sandbox::{flavour::Flavour, office::Office},
};

const CHUNK: usize = 64 * 1024;
/// How long one upload or download may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Why a file cannot be had or sent.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such message, or it has no file, or it does not say where the file is.
    #[error("there is no file, or the message does not say where it is")]
    Missing,
    /// The media server answers with a status other than success.
    #[error("the media server answers with status {0}")]
    Status(u16),
    /// The media server cannot be reached, or stops in the middle.
    #[error("the media server cannot be reached: {0}")]
    Unreachable(String),
    /// What came is not what the message says.
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// The file's size is another than the message says.
    #[error("the file has {came} bytes and the message says {said}")]
    Size {
        /// What came.
        came: u64,
        /// What was said.
        said: u64,
    },
    /// The phone's disk failed.
    #[error("the phone's disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// Why a file that is given to a phone is not taken.
#[derive(Debug, thiserror::Error)]
pub(in crate::sandbox) enum TakeError {
    /// It is larger than allowed.
    #[error("the file is too large")]
    TooLarge,
    /// Its source or the disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file that was given to a phone. It is gone from the disk when this is dropped.
pub(in crate::sandbox) struct TakenFile(PathBuf);

impl TakenFile {
    pub(in crate::sandbox) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TakenFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "a file that was given to a phone cannot be deleted");
        }
    }
}

/// A phone's folder and its way to the media server.
pub(super) struct Files {
    office: Arc<Office>,
    folder: PathBuf,
    /// The media server's address, without a slash at its end.
    server: String,
}

#[derive(Deserialize)]
struct Uploaded {
    direct_path: String,
}

impl Files {
    pub(super) fn new(
        office: Arc<Office>,
        data_dir: &Path,
        http: std::net::SocketAddr,
        owner: &Jid,
        flavour: Flavour,
    ) -> Self {
        Self {
            office,
            folder: data_dir.join("phones").join(owner.to_string()),
            server: format!("http://{http}/{}/media", flavour.path()),
        }
    }

    /// A new path for a file that is not complete yet.
    async fn unfinished(&self) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder).await?;
        let number: u128 = rand::random();
        Ok(self.folder.join(format!("{number:032x}.new")))
    }

    fn kept(&self, sha256: &[u8; 32]) -> PathBuf {
        self.folder.join(crate::sandbox::hex(sha256))
    }

    /// Takes a file as it comes, at most `limit` bytes.
    pub(super) async fn take(
        &self,
        mut chunks: impl Stream<Item = io::Result<Bytes>> + Unpin,
        limit: u64,
    ) -> Result<TakenFile, TakeError> {
        let path = self.unfinished().await?;
        let mut file = fs::File::create_new(&path).await?;
        let taken = TakenFile(path);
        let mut length = 0;
        while let Some(chunk) = chunks.try_next().await? {
            length += chunk.len() as u64;
            if length > limit {
                return Err(TakeError::TooLarge);
            }
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        Ok(taken)
    }

    /// Keeps a file and uploads it: what a message says of it.
    pub(super) async fn send(&self, media: MediaToSend) -> Result<(File, String), FileError> {
        let unfinished = self.unfinished().await?;
        let sent = self.keep_and_upload(&unfinished, &media).await;
        if sent.is_err() {
            // It may not even have been made.
            let _ = fs::remove_file(&unfinished).await;
        }
        let (mut remote, size) = sent?;
        if self.office.faults.spoils_hash() {
            remote.sha256[0] ^= 1;
        }
        let file = File {
            kind: media.kind,
            mime_type: media.mime_type,
            name: media.file_name,
            size,
            width: media.width,
            height: media.height,
            seconds: media.seconds,
            waveform: media.waveform,
            thumbnail: media.thumbnail,
            view_once: media.view_once,
            remote: Some(remote),
        };
        Ok((file, media.caption))
    }

    async fn keep_and_upload(
        &self,
        unfinished: &Path,
        media: &MediaToSend,
    ) -> Result<(Remote, u64), FileError> {
        match &media.source {
            MediaSource::Bytes(bytes) => fs::write(unfinished, bytes).await?,
            MediaSource::Path(path) => {
                fs::copy(path, unfinished).await?;
            }
        }
        let key: [u8; 32] = rand::random();
        let (path, hashes) = self.upload(unfinished, &key, media.kind).await?;
        fs::rename(unfinished, self.kept(&hashes.sha256)).await?;
        let remote = Remote {
            path,
            key,
            sha256: hashes.sha256,
            encrypted_sha256: hashes.encrypted_sha256,
        };
        Ok((remote, hashes.size))
    }

    /// Uploads a file that was sent before; the path it has now.
    pub(super) async fn send_again(&self, file: &File) -> Result<String, FileError> {
        let remote = file.remote.as_ref().ok_or(FileError::Missing)?;
        let kept = self.kept(&remote.sha256);
        if !fs::try_exists(&kept).await? {
            return Err(FileError::Missing);
        }
        let (path, _) = self.upload(&kept, &remote.key, file.kind).await?;
        Ok(path)
    }

    async fn upload(
        &self,
        from: &Path,
        key: &[u8; 32],
        kind: MediaKind,
    ) -> Result<(String, Hashes), FileError> {
        let source = fs::File::open(from).await?;
        let (told, hashes) = tokio::sync::oneshot::channel();
        let body = ciphertext(source, FileEncryptor::new(key, kind), told);
        let answer = self
            .office
            .http
            .post(format!("{}/upload", self.server))
            .timeout(PATIENCE)
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await
            .map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(FileError::Status(answer.status().as_u16()));
        }
        let uploaded: Uploaded = answer.json().await.map_err(unreachable)?;
        let hashes = hashes.await.map_err(|_| FileError::Missing)?;
        Ok((uploaded.direct_path, hashes))
    }

    /// A file of a message, fetched if the phone does not have it yet.
    pub(super) async fn open(&self, file: &File) -> Result<PathBuf, FileError> {
        let remote = file.remote.as_ref().ok_or(FileError::Missing)?;
        let kept = self.kept(&remote.sha256);
        if fs::try_exists(&kept).await? {
            return Ok(kept);
        }
        let unfinished = self.unfinished().await?;
        let fetched = self.fetch(file, remote, &unfinished).await;
        if fetched.is_err() {
            // It may not even have been made.
            let _ = fs::remove_file(&unfinished).await;
        }
        fetched?;
        fs::rename(&unfinished, &kept).await?;
        Ok(kept)
    }

    /// A message with the file of another.
    pub(super) async fn send_back(
        &self,
        file: &File,
        caption: String,
    ) -> Result<Composed, FileError> {
        let path = self.open(file).await?;
        let media = MediaToSend {
            file_name: file.name.clone(),
            caption,
            width: file.width,
            height: file.height,
            seconds: file.seconds,
            waveform: file.waveform.clone(),
            thumbnail: file.thumbnail.clone(),
            ..MediaToSend::path(file.kind, file.mime_type.as_str(), path)
        };
        let (file, text) = self.send(media).await?;
        Ok(Composed {
            text,
            ..Composed::of(Content::File(file))
        })
    }

    async fn fetch(&self, file: &File, remote: &Remote, to: &Path) -> Result<(), FileError> {
        let mut answer = self
            .office
            .http
            .get(format!("{}{}", self.server, remote.path))
            .timeout(PATIENCE)
            .send()
            .await
            .map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(FileError::Status(answer.status().as_u16()));
        }
        let mut decryptor = FileDecryptor::new(&remote.key, file.kind);
        let mut out = fs::File::create_new(to).await?;
        let mut came = 0;
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            let opened = decryptor.update(&chunk);
            came += opened.len() as u64;
            if came > file.size {
                // It might never end.
                break;
            }
            out.write_all(&opened).await?;
        }
        let size = |came| FileError::Size {
            came,
            said: file.size,
        };
        if came > file.size {
            return Err(size(came));
        }
        let last = decryptor.finish(&remote.sha256, &remote.encrypted_sha256)?;
        came += last.len() as u64;
        out.write_all(&last).await?;
        out.flush().await?;
        if came == file.size {
            Ok(())
        } else {
            Err(size(came))
        }
    }
}

fn unreachable(error: reqwest::Error) -> FileError {
    // The address is in the message, the path is not for others.
    FileError::Unreachable(error.without_url().to_string())
}

/// A file's ciphertext as it is read; the hashes are told at its end.
fn ciphertext(
    source: fs::File,
    encryptor: FileEncryptor,
    told: tokio::sync::oneshot::Sender<Hashes>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(Some((source, encryptor, told)), |state| async move {
        let Some((mut source, mut encryptor, told)) = state else {
            return Ok(None);
        };
        let mut chunk = vec![0; CHUNK];
        let read = source.read(&mut chunk).await?;
        if read == 0 {
            let (end, hashes) = encryptor.finish();
            // Who uploads has given up.
            let _ = told.send(hashes);
            return Ok(Some((Bytes::from(end), None)));
        }
        let sealed = encryptor.update(&chunk[..read]);
        Ok(Some((Bytes::from(sealed), Some((source, encryptor, told)))))
    })
}
