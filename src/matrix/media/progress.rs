//! A body that is sent as it is read: how far it is, whether its source failed, and whether all of it was there.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::Instant;

use super::ByteStream;

/// The most that is handed over at once, so that progress shows on slow lines too.
const PIECE: usize = 64 * 1024;

/// How a body is doing.
pub(super) struct Progress(Mutex<State>);

struct State {
    /// When something was last read or handed over.
    at: Instant,
    /// Whether it is the source that is waited for.
    reading: bool,
    failure: Option<io::Error>,
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something was last read or handed over.
    pub(super) fn at(&self) -> Instant {
        self.state().at
    }

    /// Whether it is the source that is waited for, and not who takes the body.
    pub(super) fn is_reading(&self) -> bool {
        self.state().reading
    }

    /// Why the body could not be read to its end.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.state().failure.take()
    }
}

/// A body of exactly `left` more bytes.
///
/// The last piece is handed over only after the source has ended well: a source that finds at its end that something is wrong
/// must not have been sent whole.
pub(super) struct Metered {
    source: ByteStream,
    left: u64,
    /// What was read and not yet handed over.
    held: Bytes,
    ended: bool,
    progress: Arc<Progress>,
}

impl Metered {
    pub(super) fn new(source: ByteStream, size: u64) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress(Mutex::new(State {
            at: Instant::now(),
            reading: false,
            failure: None,
        })));
        let metered = Self {
            source,
            left: size,
            held: Bytes::new(),
            ended: false,
            progress: progress.clone(),
        };
        (metered, progress)
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<io::Result<Bytes>>> {
        self.ended = true;
        self.held = Bytes::new();
        let kind = error.kind();
        self.progress.state().failure = Some(error);
        // Who sends it need only know that it is over.
        Poll::Ready(Some(Err(kind.into())))
    }

    fn hand_over(&mut self, piece: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        self.progress.state().at = Instant::now();
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Stream for Metered {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.held.len() > PIECE {
                let piece = this.held.split_to(PIECE);
                return this.hand_over(piece);
            }
            if this.ended {
                let last = std::mem::take(&mut this.held);
                return if last.is_empty() {
                    Poll::Ready(None)
                } else {
                    this.hand_over(last)
                };
            }
            let next = this.source.as_mut().poll_next(cx);
            {
                let mut state = this.progress.state();
                state.reading = next.is_pending();
                if next.is_ready() {
                    state.at = Instant::now();
                }
            }
            match next {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return this.fail(error),
                Poll::Ready(Some(Ok(bytes))) => {
                    let Some(left) = this.left.checked_sub(bytes.len() as u64) else {
                        let more = "there are more bytes than announced";
                        return this.fail(io::Error::new(io::ErrorKind::InvalidData, more));
                    };
                    this.left = left;
                    if bytes.is_empty() {
                        continue;
                    }
                    let before = std::mem::replace(&mut this.held, bytes);
                    if !before.is_empty() {
                        return this.hand_over(before);
                    }
                }
                Poll::Ready(None) if this.left > 0 => {
                    let fewer = "there are fewer bytes than announced";
                    return this.fail(io::Error::new(io::ErrorKind::UnexpectedEof, fewer));
                }
                Poll::Ready(None) => this.ended = true,
            }
        }
    }
}
