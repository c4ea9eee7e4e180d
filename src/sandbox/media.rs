//! The media server: ciphertext the contacts uploaded, for the Partners to fetch, and what the Partners host, for the contacts.
//!
//! ```text
//! POST {gatekeeper}/media/upload                                          a phone's ciphertext; {"direct_path": "/v/t62.7118-24/…"}
//! GET  {gatekeeper}/media/v/t62.7118-24/{name}?ccb=…&oh={token}             the same, for who knows the path
//! GET  {gatekeeper}/media/interop/{gatekeeper}/download/{integrator}/{reference}/  passed on from {the Partner's address}/{reference}
//! ```

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
};
use tokio_util::sync::CancellationToken;

use super::{enlistment::flavour_of, faults::MediaFault, flavour::Flavour, hex, office::Office};

/// The largest file that is taken, in bytes: more than a Partner takes.
const MAX_FILE: u64 = 256 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// What paths begin with.
const PREFIX: &str = "/v/t62.7118-24/";
const SUFFIX: &str = "_n.enc";
/// How long what is written may take to leave.
const FLUSH: Duration = Duration::from_millis(100);
/// How long a Partner may take to give a file.
const PATIENCE: Duration = Duration::from_mins(10);

/// The folder of what was uploaded.
pub(super) struct MediaStore {
    folder: PathBuf,
}

/// What a file is found by: a name, and a token that shows that one was told the path.
struct Place {
    name: String,
    token: String,
}

impl Place {
    fn new() -> Self {
        let random = |bytes: [u8; 16]| hex(&bytes);
        Self {
            name: random(rand::random()),
            token: random(rand::random()),
        }
    }

    /// As a file's name; `None` for what no path is made of.
    fn file(&self, flavour: Flavour) -> Option<String> {
        let digits = |text: &str| {
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let (name, token) = (&self.name, &self.token);
        (digits(name) && digits(token)).then(|| format!("{}-{name}-{token}", flavour.path()))
    }

    fn path(&self) -> String {
        let Self { name, token } = self;
        format!("{PREFIX}{name}{SUFFIX}?ccb=11-4&oh={token}&_nc_sid=5e03e0")
    }

    /// The place a path names, as [`path`](Self::path) writes it.
    fn read(path: &str) -> Option<Self> {
        let (name, query) = path.strip_prefix(PREFIX)?.split_once(SUFFIX)?;
        let mut fields = query.trim_start_matches('?').split('&');
        let token = fields.find_map(|field| field.strip_prefix("oh="))?;
        Some(Self {
            name: name.to_owned(),
            token: token.to_owned(),
        })
    }
}

impl MediaStore {
    /// Files in a folder, which is made when the first is stored.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Deletes all files.
    pub(super) async fn forget(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes the file of a path, if there is one.
    pub(super) async fn forget_one(&self, flavour: Flavour, path: &str) -> io::Result<()> {
        let Some(file) = Place::read(path).and_then(|place| place.file(flavour)) else {
            return Ok(());
        };
        match fs::remove_file(self.folder.join(file)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn store(&self, flavour: Flavour, body: Body) -> Result<Place, StatusCode> {
        let failed = |error: io::Error| {
            tracing::error!(%error, "an uploaded file cannot be stored");
            StatusCode::INTERNAL_SERVER_ERROR
        };
        fs::create_dir_all(&self.folder).await.map_err(failed)?;
        let place = Place::new();
        let file = place.file(flavour).expect("a new place has a file's name");
        let unfinished = self.folder.join(format!("{file}.new"));
        let written = write(&unfinished, body).await;
        if written.is_err() {
            // It may not even have been made.
            let _ = fs::remove_file(&unfinished).await;
        }
        written?;
        let stored = fs::rename(&unfinished, self.folder.join(file)).await;
        stored.map_err(failed)?;
        Ok(place)
    }
}

async fn write(to: &std::path::Path, body: Body) -> Result<(), StatusCode> {
    let disk = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let mut file = fs::File::create_new(to).await.map_err(disk)?;
    let mut chunks = body.into_data_stream();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        length += chunk.len() as u64;
        if length > MAX_FILE {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)
}

/// `POST …/media/upload`.
pub(super) async fn upload(
    State(office): State<Arc<Office>>,
    Path(gatekeeper): Path<String>,
    body: Body,
) -> Result<Json<Value>, StatusCode> {
    let flavour = flavour_of(&gatekeeper).ok_or(StatusCode::NOT_FOUND)?;
    let place = office.media.store(flavour, body).await?;
    Ok(Json(json!({"direct_path": place.path()})))
}

/// The token in a path.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    oh: String,
}

/// `GET …/media/v/…`, with what is to go wrong.
pub(super) async fn download(
    State(office): State<Arc<Office>>,
    Path((gatekeeper, rest)): Path<(String, String)>,
    Query(token): Query<Token>,
) -> Result<Response, StatusCode> {
    let flavour = flavour_of(&gatekeeper).ok_or(StatusCode::NOT_FOUND)?;
    let prefix = PREFIX.strip_prefix("/v/").unwrap_or(PREFIX);
    let name = rest
        .strip_prefix(prefix)
        .and_then(|name| name.strip_suffix(SUFFIX))
        .ok_or(StatusCode::NOT_FOUND)?;
    let place = Place {
        name: name.to_owned(),
        token: token.oh,
    };
    let file = place.file(flavour).ok_or(StatusCode::FORBIDDEN)?;
    let fault = office.faults.download();
    if let Some(MediaFault::Status(status)) = fault {
        return Err(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let file = match fs::File::open(office.media.folder.join(file)).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(StatusCode::NOT_FOUND),
        Err(_) => return Err(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let metadata = file.metadata().await;
    let length = metadata
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .len();
    let announced = match fault {
        Some(MediaFault::Truncate) => length / 2,
        Some(MediaFault::Oversize(more)) => length + more,
        _ => length,
    };
    let reading = Reading {
        file,
        sent: 0,
        length,
        fault,
        end: office.cancel.clone(),
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, announced.to_string()),
    ];
    Ok((headers, Body::from_stream(reading.pieces())).into_response())
}

/// A file on its way, and what is to go wrong with it.
struct Reading {
    file: fs::File,
    sent: u64,
    length: u64,
    fault: Option<MediaFault>,
    end: CancellationToken,
}

impl Reading {
    fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, |mut reading| async move {
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, reading)))
        })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let half = self.length / 2;
        let (most, fault) = match self.fault {
            Some(MediaFault::Oversize(more)) if self.sent >= self.length => {
                return Ok(self.surplus(self.length + more));
            }
            Some(fault @ (MediaFault::Cut | MediaFault::Truncate | MediaFault::Stall)) => {
                (half.saturating_sub(self.sent), Some(fault))
            }
            other => (u64::MAX, other),
        };
        if most == 0 {
            return match fault {
                Some(MediaFault::Truncate) => Ok(None),
                Some(MediaFault::Stall) => {
                    self.end.cancelled().await;
                    Ok(None)
                }
                _ => {
                    // What was sent is to come before the connection ends.
                    tokio::time::sleep(FLUSH).await;
                    Err(io::Error::from(ErrorKind::ConnectionAborted))
                }
            };
        }
        if let Some(MediaFault::Slow(pause)) = fault {
            tokio::time::sleep(pause).await;
        }
        let mut piece = vec![0; CHUNK.min(usize::try_from(most).unwrap_or(CHUNK))];
        let read = self.file.read(&mut piece).await?;
        piece.truncate(read);
        let middle = half.checked_sub(self.sent).map(usize::try_from);
        if let (Some(MediaFault::Corrupt), Some(Ok(at))) = (fault, middle)
            && let Some(byte) = piece.get_mut(at)
        {
            *byte ^= 0x55;
        }
        self.sent += read as u64;
        if read > 0 {
            return Ok(Some(Bytes::from(piece)));
        }
        match fault {
            Some(MediaFault::Oversize(more)) => Ok(self.surplus(self.length + more)),
            _ => Ok(None),
        }
    }

    /// Bytes that are not the file's, up to a length.
    fn surplus(&mut self, to: u64) -> Option<Bytes> {
        let left = usize::try_from(to.saturating_sub(self.sent)).unwrap_or(CHUNK);
        let piece = vec![0; CHUNK.min(left)];
        self.sent += piece.len() as u64;
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }
}

/// `GET …/media/interop/{gatekeeper}/download/{integrator}/{reference}/`: what a Partner hosts.
pub(super) async fn hosted(
    State(office): State<Arc<Office>>,
    Path((gatekeeper, named, integrator, reference)): Path<(String, String, u16, String)>,
) -> Result<Response, StatusCode> {
    let flavour = flavour_of(&gatekeeper).filter(|_| gatekeeper == named);
    flavour.ok_or(StatusCode::NOT_FOUND)?;
    let plain = reference
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let known = office.verifier.integrators().iter();
    let partner = known
        .filter(|_| plain)
        .find(|known| known.id == integrator)
        .ok_or(StatusCode::NOT_FOUND)?;
    let asked = office
        .http
        .get(format!("{}/{reference}", partner.origin()))
        .timeout(PATIENCE);
    let answer = asked.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    if !answer.status().is_success() {
        let gone = matches!(answer.status().as_u16(), 404 | 410);
        return Err(if gone {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::BAD_GATEWAY
        });
    }
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    Ok((headers, Body::from_stream(answer.bytes_stream())).into_response())
}
