//! The pace at which members of large groups come into rooms: one for all rooms together, and messages go before.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a member lets messages pass; on a bridge that is never quiet they come all the same.
const GIVES_WAY: Duration = Duration::from_secs(2);

/// How many have their turns at the same time: a slow homeserver gets no more to do than it has done.
const TOGETHER: usize = 4;

/// Whose turn it is.
pub(in crate::bridge) struct Pace {
    /// When the next may come; those who wait get it in the order they came.
    next: Mutex<Instant>,
    interval: Duration,
    room: Arc<Semaphore>,
    /// How many chats carry messages just now.
    busy: Arc<watch::Sender<usize>>,
    cancel: CancellationToken,
}

/// Held while a chat carries messages.
pub(in crate::bridge) struct Busy(Arc<watch::Sender<usize>>);

/// Held by whoever has their turn, until they are done.
pub(super) struct Turn(
    #[expect(dead_code, reason = "its end is what counts")] OwnedSemaphorePermit,
);

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
            room: Arc::new(Semaphore::new(TOGETHER)),
            busy: Arc::new(watch::Sender::new(0)),
            cancel,
        }
    }

    /// Lets members wait while messages are carried.
    pub(in crate::bridge) fn messages(&self) -> Busy {
        self.busy.send_modify(|chats| *chats += 1);
        Busy(self.busy.clone())
    }

    /// Waits for a turn; `None` if the bridge stops.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let waiting = async {
            let permit = self.room.clone().acquire_owned().await.ok()?;
            let mut next = self.next.lock().await;
            sleep_until(*next).await;
            let mut busy = self.busy.subscribe();
            // Whether they were carried or not in that time, it is this one's turn now.
            let _ = timeout(GIVES_WAY, busy.wait_for(|chats| *chats == 0)).await;
            *next = Instant::now() + self.interval;
            Some(Turn(permit))
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            turn = waiting => turn,
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
            assert!(pace.turn().await.is_some());
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
        assert!(turn.await.is_some());
    }

    #[tokio::test]
    async fn members_come_though_messages_never_end() {
        let pace = Pace::new(1000, CancellationToken::new());
        let (_always, start) = (pace.messages(), Instant::now());
        assert!(pace.turn().await.is_some());
        assert!(start.elapsed() >= GIVES_WAY);
    }

    #[tokio::test]
    async fn no_more_have_their_turns_than_are_done_with_theirs() {
        let pace = Pace::new(1000, CancellationToken::new());
        let mut turns = Vec::new();
        for _ in 0..TOGETHER {
            turns.push(pace.turn().await);
        }
        let early = timeout(Duration::from_millis(100), pace.turn()).await;
        assert!(early.is_err());
        turns.pop();
        assert!(pace.turn().await.is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_turn_once_the_bridge_stops() {
        let cancel = CancellationToken::new();
        let pace = Pace::new(1, cancel.clone());
        assert!(pace.turn().await.is_some());
        cancel.cancel();
        assert!(pace.turn().await.is_none());
    }
}
