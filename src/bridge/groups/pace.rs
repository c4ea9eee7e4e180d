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

    #[tokio::test]
    async fn turns_come_at_the_pace_and_after_messages() {
        let pace = Pace::new(20, CancellationToken::new());
        let start = Instant::now();
        for _ in 0..5 {
            assert!(pace.turn().await);
        }
        assert!(start.elapsed() >= Duration::from_millis(200));
        let busy = pace.messages();
        let turn = pace.turn();
        tokio::pin!(turn);
        tokio::select! {
            biased;
            _ = &mut turn => panic!("a member came before a message"),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        drop(busy);
        assert!(turn.await);
    }

    #[tokio::test]
    async fn members_come_though_messages_never_end() {
        let pace = Pace::new(1000, CancellationToken::new());
        let (_always, start) = (pace.messages(), Instant::now());
        assert!(pace.turn().await);
        assert!(start.elapsed() >= GIVES_WAY);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_turn_once_the_bridge_stops() {
        let cancel = CancellationToken::new();
        let pace = Pace::new(1, cancel.clone());
        assert!(pace.turn().await);
        cancel.cancel();
        assert!(!pace.turn().await);
    }
}
