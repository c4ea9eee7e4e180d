//! A gatekeeper's media server that gives what a test wants it to, and what the bridge hosts.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::Response,
    routing::get,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::{io::AsyncSeekExt as _, net::TcpListener, task::JoinHandle};
use tokio_util::codec::{BytesCodec, FramedRead};

/// What the server does when it is asked for a file.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// What the bridge hosts under this path.
    Hosted,
    /// This, its length said first.
    Bytes(Vec<u8>),
    /// This, its length not said.
    Chunked(Vec<u8>),
    /// Zeros without end.
    Endless,
    /// Half of this, then the connection breaks.
    CutOff(Vec<u8>),
    /// Nothing, not even a status.
    Silence,
    /// A status, a few bytes, then nothing.
    Stall,
    /// A byte now and then.
    Drip,
    /// A status alone.
    Status(u16),
    /// Another address.
    Redirect(u16, String),
}

struct Shared {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    hosted: PathBuf,
}

/// The server.
pub(super) struct MediaServer {
    /// Its address, as in a profile.
    pub(super) base: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl MediaServer {
    /// A server that finds what the bridge hosts in a folder.
    pub(super) async fn start(hosted: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/media", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answer: Mutex::new(Answer::Hosted),
            requests: AtomicUsize::new(0),
            hosted,
        });
        let router = Router::new()
            .route("/{*path}", get(give))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            shared,
            serving,
        }
    }

    /// What it does from now on.
    pub(super) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Is there no more.
    pub(super) fn stop(&self) {
        self.serving.abort();
    }
}

fn streamed(
    chunks: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
) -> Response {
    Response::new(Body::from_stream(chunks))
}

async fn give(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let few = || stream::iter([Ok(Bytes::from_static(&[0; 26]))]);
    let answer = shared.answer.lock().unwrap().clone();
    match answer {
        Answer::Hosted => hosted(&shared, &path).await,
        Answer::Bytes(bytes) => Response::new(Body::from(bytes)),
        Answer::Chunked(bytes) => streamed(stream::iter([Ok(Bytes::from(bytes))])),
        Answer::Endless => streamed(stream::repeat_with(|| {
            Ok(Bytes::from_static(&[0; 16 * 1024]))
        })),
        Answer::CutOff(bytes) => {
            let length = bytes.len();
            let half = Bytes::from(bytes).slice(..length / 2);
            let mut response = streamed(stream::iter([
                Ok(half),
                Err(std::io::ErrorKind::BrokenPipe.into()),
            ]));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, length.into());
            response
        }
        Answer::Silence => std::future::pending().await,
        Answer::Stall => streamed(few().chain(stream::pending())),
        Answer::Drip => streamed(stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(Bytes::from_static(&[0])), ()))
        })),
        Answer::Status(status) => status_of(status, None),
        Answer::Redirect(status, address) => status_of(status, Some(address)),
    }
}

fn status_of(status: u16, location: Option<String>) -> Response {
    let mut response = Response::new(Body::from("not a file"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(location) = location {
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, location.parse().unwrap());
    }
    response
}

/// The file of `media/interop/whatsapp/download/{integrator_id}/{storage_reference}/`, behind its expiry.
async fn hosted(shared: &Shared, path: &str) -> Response {
    let reference = path
        .strip_prefix("media/interop/whatsapp/download/1/")
        .and_then(|rest| rest.strip_suffix('/'));
    let Some(reference) = reference else {
        return status_of(404, None);
    };
    let mut file = tokio::fs::File::open(shared.hosted.join(reference))
        .await
        .unwrap();
    file.seek(std::io::SeekFrom::Start(8)).await.unwrap();
    let chunks = FramedRead::new(file, BytesCodec::new());
    streamed(chunks.map(|chunk| chunk.map(bytes::BytesMut::freeze)))
}
