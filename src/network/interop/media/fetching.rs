//! A received file: its ciphertext fetched from the gatekeeper onto the disk, and checked.

use std::{sync::Arc, time::Duration};

use reqwest::{Response, StatusCode};
use tokio::{fs, io::AsyncWriteExt as _, time::Instant};
use url::Url;

use super::{BLOCK, CHUNK, corrupt, reading::Ciphertext};
use crate::{
    domain::{MediaKind, RemoteMedia},
    network::{
        FetchedFile, MediaError,
        interop::{context::Context, wire::media::Checker},
    },
};

/// By how much a file may be longer than its sender says, in bytes: not everybody counts exactly.
const SLACK: u64 = 1024 * 1024;

/// A server that gives less than this in the time it may give nothing is too slow.
const SLOWEST: u64 = 128 * 1024;

/// Bytes of the MAC behind the ciphertext.
const MAC: u64 = 10;

/// The longest path that is taken.
const LONGEST_PATH: usize = 2048;

const TOO_SLOW: &str = "it is too slow";

/// Fetches and checks a file of at most `limit` bytes.
pub(in crate::network::interop) async fn fetch(
    context: &Context,
    kind: MediaKind,
    file: &RemoteMedia,
    limit: u64,
) -> Result<FetchedFile, MediaError> {
    let url = address(&context.profile.media_url, &file.path)
        .ok_or(MediaError::Corrupt("its address is malformed"))?;
    if file.size > limit {
        return Err(MediaError::TooLarge { limit });
    }
    let cap = Cap {
        limit,
        most: encrypted_size(limit),
        announced: match file.size {
            // It may not be said at all.
            0 => u64::MAX,
            size => encrypted_size(size).saturating_add(SLACK),
        },
    };
    let patience = context.media.patience;
    let response = request(context, url, patience).await?;
    if let Some(length) = response.content_length() {
        cap.check(length)?;
    }
    let (work, disk) = context
        .media
        .work
        .create()
        .await
        .map_err(MediaError::Disk)?;
    let checker = Checker::new(&file.key, kind);
    let checker = receive(response, disk, checker, &cap, patience).await?;
    let ciphertext = Ciphertext {
        work: Arc::new(work),
        length: checker.finish(&file.encrypted_sha256).map_err(corrupt)?,
        key: file.key.clone(),
        kind,
        sha256: file.sha256,
    };
    Ok(FetchedFile {
        size: ciphertext.size().await?,
        open: Arc::new(move || ciphertext.clone().bytes()),
    })
}

/// How long a file may be.
struct Cap {
    limit: u64,
    /// The ciphertext of a file as large as is taken.
    most: u64,
    /// The ciphertext of a file as large as its sender says.
    announced: u64,
}

impl Cap {
    fn check(&self, length: u64) -> Result<(), MediaError> {
        if length > self.most {
            return Err(MediaError::TooLarge { limit: self.limit });
        }
        if length > self.announced {
            return Err(MediaError::Corrupt("it is longer than was said"));
        }
        Ok(())
    }
}

/// The length of a ciphertext with its padding and MAC.
fn encrypted_size(size: u64) -> u64 {
    let block = BLOCK as u64;
    (size / block)
        .saturating_add(1)
        .saturating_mul(block)
        .saturating_add(MAC)
}

/// Where a path of a message leads: below the profile's address, whatever is in it.
fn address(base: &Url, path: &str) -> Option<Url> {
    let plain = path.split(['?', '#']).next().unwrap_or_default();
    let climbs = plain.split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    let text =
        path.len() <= LONGEST_PATH && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if !text || climbs || !path.starts_with('/') || path.starts_with("//") || path.contains('#') {
        return None;
    }
    let base = base.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{base}{path}")).ok()?;
    url.as_str().starts_with(&format!("{base}/")).then_some(url)
}

async fn request(context: &Context, url: Url, patience: Duration) -> Result<Response, MediaError> {
    let asked = context.http.get(url.clone()).send();
    let response = tokio::time::timeout(patience, asked)
        .await
        .map_err(|_| MediaError::Unreachable(TOO_SLOW.to_owned()))?
        .map_err(|error| unreachable(&error))?;
    if *response.url() != url {
        return Err(MediaError::Refused("it leads elsewhere".to_owned()));
    }
    match response.status() {
        StatusCode::OK => Ok(response),
        // A link that has expired is forbidden, not unknown.
        StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::FORBIDDEN
        | StatusCode::UNAUTHORIZED => Err(MediaError::Gone),
        status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
            Err(MediaError::Unreachable(format!("it answers {status}")))
        }
        status if status.is_server_error() => {
            Err(MediaError::Unreachable(format!("it answers {status}")))
        }
        status => Err(MediaError::Refused(format!("it answers {status}"))),
    }
}

fn unreachable(error: &reqwest::Error) -> MediaError {
    let what = if error.is_connect() {
        "it cannot be connected to"
    } else if error.is_timeout() {
        TOO_SLOW
    } else {
        "the connection broke"
    };
    MediaError::Unreachable(what.to_owned())
}

/// Writes what comes to the disk. In every stretch of `patience` a little has to come, so that nobody holds the file open for ever.
async fn receive(
    mut response: Response,
    mut disk: fs::File,
    mut checker: Checker,
    cap: &Cap,
    patience: Duration,
) -> Result<Checker, MediaError> {
    let (mut length, mut mark) = (0u64, SLOWEST);
    let mut deadline = Instant::now() + patience;
    loop {
        let chunk = tokio::time::timeout_at(deadline, response.chunk())
            .await
            .map_err(|_| MediaError::Unreachable(TOO_SLOW.to_owned()))?
            .map_err(|error| unreachable(&error))?;
        let Some(chunk) = chunk else { break };
        length = length.saturating_add(chunk.len() as u64);
        cap.check(length)?;
        for piece in chunk.chunks(CHUNK) {
            checker.update(piece);
        }
        disk.write_all(&chunk).await.map_err(MediaError::Disk)?;
        if length >= mark {
            mark = length + SLOWEST;
            deadline = Instant::now() + patience;
        }
    }
    disk.flush().await.map_err(MediaError::Disk)?;
    Ok(checker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_nowhere_but_below_the_profiles_address() {
        let base = Url::parse("https://mmg.example.net/media").unwrap();
        let good = "/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01_A&oe=6&x=//..";
        assert_eq!(
            address(&base, good).unwrap().as_str(),
            "https://mmg.example.net/media/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01_A&oe=6&x=//.."
        );
        let bare = Url::parse("https://mmg.example.net").unwrap();
        assert_eq!(
            address(&bare, "/v/t1").unwrap().as_str(),
            "https://mmg.example.net/v/t1"
        );
        for bad in [
            "",
            "v/t1",
            "https://elsewhere.example/v/t1",
            "//elsewhere.example/v/t1",
            "@elsewhere.example/v",
            ".elsewhere.example/v",
            ":99/v",
            "/../admin",
            "/v/../../admin",
            "/v/%2e%2E/%2e./admin",
            "/v/..",
            "/v/./t1",
            "/v\\..\\..\\admin",
            "/v/t1\r\nX: y",
            "/v/t 1",
            "/v/t1#x",
            "/v/\u{fc}",
            &format!("/{}", "v".repeat(LONGEST_PATH)),
        ] {
            assert_eq!(address(&base, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_ciphertext_is_a_block_and_a_mac_longer_at_most() {
        assert_eq!(encrypted_size(0), 26);
        assert_eq!(encrypted_size(15), 26);
        assert_eq!(encrypted_size(16), 42);
        assert_eq!(encrypted_size(u64::MAX), u64::MAX);
    }
}
