//! A file of the login's own: encrypted as it comes, and hosted for the gatekeeper to fetch.

use futures_util::StreamExt as _;

use super::CHUNK;
use crate::{
    domain::{MediaKey, MediaKind, RemoteMedia},
    network::{
        ByteStream, MediaError,
        interop::{context::Context, wire::media::Encryptor},
    },
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Encrypts and hosts a file of at most `limit` bytes.
pub(in crate::network::interop) async fn host(
    context: &Context,
    kind: MediaKind,
    mut file: ByteStream,
    limit: u64,
) -> Result<RemoteMedia, MediaError> {
    let limits = &context.profile.limits;
    let limit = limit.min(limits.max_media_bytes);
    let kept = i64::from(limits.hosted_media_days) * DAY_MS;
    let key = MediaKey(rand::random());
    let mut encryptor = Encryptor::new(&key, kind);
    let mut hosting = context
        .media
        .hosted
        .create(context.now().plus_millis(kept))
        .await
        .map_err(MediaError::Disk)?;
    let mut size = 0u64;
    while let Some(chunk) = file.next().await {
        let chunk = chunk.map_err(MediaError::Source)?;
        size = size.saturating_add(chunk.len() as u64);
        if size > limit {
            return Err(MediaError::TooLarge { limit });
        }
        for piece in chunk.chunks(CHUNK) {
            hosting
                .write(&encryptor.update(piece))
                .await
                .map_err(MediaError::Disk)?;
        }
    }
    let (rest, sealed) = encryptor.finish();
    hosting.write(&rest).await.map_err(MediaError::Disk)?;
    let reference = hosting.finish().await.map_err(MediaError::Disk)?;
    Ok(RemoteMedia {
        path: format!("{}{reference}/", context.profile.media_path_prefix),
        key,
        sha256: sealed.sha256,
        encrypted_sha256: sealed.encrypted_sha256,
        size: sealed.size,
    })
}
