//! The pace at which members of large groups come into rooms: one for all rooms together, and messages go before.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a member lets messages pass; on a bridge that is never quiet they come all the same.
const GIVES_WAY: Duration = Duration::from_secs(2);

/// Whose turn it is.
pub(in crate::bridge) struct Pace {
    /// When the next may come; those who wait get it in the order they came.
    next: Mutex<Instant>,
    interval: Duration,
    /// How many chats carry messages just now.
    busy: Arc<watch::Sender<usize>>,
    cancel: CancellationToken,
}

/// Held while a chat carries messages.
pub(in crate::bridge) struct Busy(Arc<watch::Sender<usize>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|chats| *chats = chats.saturating_sub(1));
    }
}

impl Pace {
    pub(super) fn new(per_second: u32, cancel: CancellationToken) -> Self {
        Self {
            next: Mutex::new(Instant::now()),
            interval: Duration::from_secs(1) / per_second.max(1),
            busy: Arc::new(watch::Sender::new(0)),
            cancel,
        }
    }

    /// Lets members wait while messages are carried.
    pub(in crate::bridge) fn messages(&self) -> Busy {
        self.busy.send_modify(|chats| *chats += 1);
        Busy(self.busy.clone())
    }

    /// Waits for a turn; `false` if the bridge stops.
    pub(super) async fn turn(&self) -> bool {
        let waiting = async {
            let mut next = self.next.lock().await;
            sleep_until(*next).await;
            let mut busy = self.busy.subscribe();
            // Whether they were carried or not in that time, it is this one's turn now.
            let _ = timeout(GIVES_WAY, busy.wait_for(|chats| *chats == 0)).await;
            *next = Instant::now() + self.interval;
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            () = waiting => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_the_pace_and_after_messages() {
        let pace = Pace::new(5, CancellationToken::new());
        let start = Instant::now();
        for _ in 0..11 {
            assert!(pace.turn().await);
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        let (busy, start) = (pace.messages(), Instant::now());
        let done = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            drop(busy);
        };
        let (came, ()) = tokio::join!(pace.turn(), done);
        assert!(came);
        assert_eq!(start.elapsed(), Duration::from_millis(900));
        let (_always, start) = (pace.messages(), Instant::now());
        assert!(pace.turn().await);
        assert_eq!(start.elapsed(), Duration::from_millis(200) + GIVES_WAY);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_turn_once_the_bridge_stops() {
        let cancel = CancellationToken::new();
        let pace = Pace::new(1, cancel.clone());
        assert!(pace.turn().await);
        cancel.cancel();
        let start = Instant::now();
        assert!(!pace.turn().await);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
