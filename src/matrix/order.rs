//! The homeserver's order, kept where its delivery does not: transactions wait while an earlier one may be missing.
//!
//! Synapse delivers out of order around an outage: an event that it wrote while it took the bridge for away can stay behind
//! one that it delivers at once, for minutes. `/sync` gives the room's order, so a transaction that may have overtaken another
//! waits until [`repair`](super::repair) has asked: the first after the start, the first after one that was answered with an error,
//! and one whose number does not follow the number before. Numbers are shared by the application services of a homeserver, so
//! where those gaps turn out to mean nothing, they are looked at once a minute.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::clock::Clock;

/// How long a transaction is held at most; a homeserver that does not answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after an outage every gap counts.
const WATCHFUL_MS: i64 = 10 * 60 * 1000;
/// How often a gap counts otherwise.
const SELDOM_MS: i64 = 60 * 1000;

/// Where transactions wait for the repair; shared by both.
pub struct Order {
    /// The number of the last repair that was asked for; the start asks for the first.
    asked: watch::Sender<u64>,
    /// The number up to which they are done, or not waited for any more.
    done: watch::Sender<u64>,
    seen: Mutex<Seen>,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

/// What is remembered of the transactions.
struct Seen {
    /// The highest number.
    number: Option<u64>,
    /// When the bridge last was away, as far as the homeserver can have noticed.
    outage: i64,
    /// When a gap was last looked at.
    looked: i64,
}

impl Order {
    /// Nothing was delivered yet, and the first repair is due.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let seen = Seen {
            number: None,
            outage: clock.now_ms(),
            looked: i64::MIN,
        };
        Self {
            asked: watch::Sender::new(1),
            done: watch::Sender::new(0),
            seen: Mutex::new(seen),
            patience: PATIENCE,
            clock,
        }
    }

    /// Returns when a transaction may be taken: nothing that came before it is missing as far as can be known.
    pub(super) async fn admit(&self, txn_id: &str) {
        if self.overtakes(txn_id) {
            self.asked.send_modify(|number| *number += 1);
        }
        let wanted = *self.asked.borrow();
        let mut done = self.done.subscribe();
        let caught_up = done.wait_for(|done| *done >= wanted);
        if tokio::time::timeout(self.patience, caught_up)
            .await
            .is_err()
        {
            tracing::warn!(
                "the homeserver could not be asked whether an earlier transaction is missing; a transaction is taken without"
            );
            self.repaired(wanted);
        }
    }

    /// The homeserver was away, or a transaction was answered with an error: what comes next may have overtaken something.
    pub(super) fn outage(&self) {
        self.seen().outage = self.clock.now_ms();
        self.asked.send_modify(|number| *number += 1);
    }

    /// The repair that is asked for, to be told to [`repaired`](Self::repaired) by who began one after reading it.
    pub(super) fn asked(&self) -> u64 {
        *self.asked.borrow()
    }

    /// Returns when a repair is asked for that is not done.
    pub(super) async fn wanted(&self) {
        let mut asked = self.asked.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = asked.wait_for(|asked| *asked > *self.done.borrow()).await;
    }

    /// Everything that was written before `number` was asked for is in the inbox.
    pub(super) fn repaired(&self, number: u64) {
        self.done.send_modify(|done| *done = (*done).max(number));
    }

    /// Whether a transaction's number leaves out some, and that counts now.
    fn overtakes(&self, txn_id: &str) -> bool {
        let Ok(number) = txn_id.parse::<u64>() else {
            return false;
        };
        let now = self.clock.now_ms();
        let mut seen = self.seen();
        let before = seen.number;
        seen.number = before.max(Some(number));
        let gap = before.is_some_and(|before| number > before.saturating_add(1));
        let counts = now - seen.outage < WATCHFUL_MS || now.saturating_sub(seen.looked) > SELDOM_MS;
        if gap && counts {
            seen.looked = now;
        }
        gap && counts
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::ManualClock;

    fn order() -> (Order, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(1_000_000));
        (Order::new(clock.clone()), clock)
    }

    /// Whether a transaction is let through at once; one that is not stays admitted to nothing.
    fn passes(order: &Order, txn_id: &str) -> bool {
        order.admit(txn_id).now_or_never().is_some()
    }

    #[tokio::test]
    async fn the_first_waits_for_the_first_repair() {
        let (order, _) = order();
        assert!(!passes(&order, "1"));
        order.repaired(order.asked());
        assert!(passes(&order, "1"));
        assert!(passes(&order, "2"));
    }

    #[tokio::test]
    async fn one_that_leaves_out_a_number_waits_for_a_repair_of_its_own() {
        let (order, _) = order();
        order.repaired(order.asked());
        assert!(passes(&order, "7"));
        assert!(!passes(&order, "9"));
        order.wanted().now_or_never().expect("a repair is wanted");
        order.repaired(order.asked());
        assert!(order.wanted().now_or_never().is_none());
        assert!(passes(&order, "9"));
        // The one that was overtaken, delivered after all.
        assert!(passes(&order, "8"));
        assert!(passes(&order, "10"));
    }

    #[tokio::test]
    async fn a_repair_that_began_before_does_not_count() {
        let (order, _) = order();
        let begun = order.asked();
        order.outage();
        order.repaired(begun);
        assert!(!passes(&order, "1"));
    }

    #[tokio::test]
    async fn long_after_an_outage_gaps_count_once_a_minute() {
        let (order, clock) = order();
        order.repaired(order.asked());
        assert!(passes(&order, "1"));
        clock.advance(WATCHFUL_MS + 1);
        assert!(!passes(&order, "3"));
        order.repaired(order.asked());
        assert!(passes(&order, "5"));
        clock.advance(SELDOM_MS + 1);
        assert!(!passes(&order, "7"));
    }

    #[tokio::test]
    async fn a_homeserver_that_does_not_answer_is_not_waited_for_for_ever() {
        let (mut order, _) = order();
        order.patience = Duration::from_millis(1);
        order.admit("1").await;
        assert!(passes(&order, "2"));
    }

    #[tokio::test]
    async fn ids_that_are_no_numbers_say_nothing() {
        let (order, _) = order();
        order.repaired(order.asked());
        assert!(passes(&order, "b1946ac9"));
        assert!(passes(&order, "591785b7"));
    }
}
