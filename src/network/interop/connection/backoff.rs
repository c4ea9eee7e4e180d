//! How long to wait before the next try.

use std::time::Duration;

use rand::RngExt;

/// The longest wait after a failure that may pass.
const LONGEST: Duration = Duration::from_mins(5);
/// The wait after a failure that somebody has to mend: now and then somebody has.
const HOPELESS: Duration = Duration::from_hours(1);
/// How often the gatekeeper has to refuse a login until it is believed.
const REFUSALS: u32 = 3;
/// A connection that held this long proves that what made the earlier ones fail has passed.
pub(super) const STABLE: Duration = Duration::from_secs(30);

/// How bad a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The gatekeeper asked to reconnect: at once, unless it asks again and again.
    Advised,
    /// The connection broke or could not be made.
    Passing,
    /// The gatekeeper is overloaded, or somebody else has the connection: hurrying makes it worse.
    Lasting,
    /// The gatekeeper refuses the login. It may be because it could not fetch the Partner's keys just now; said again and again
    /// it is meant.
    Doubtful,
    /// It will not work without somebody's doing.
    Hopeless,
}

/// Exponential waits with jitter.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    refusals: u32,
}

impl Backoff {
    /// The gatekeeper took the login.
    pub(super) fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Decides a doubtful failure by how often it came.
    pub(super) fn judge(&mut self, severity: Severity) -> Severity {
        if severity != Severity::Doubtful {
            return severity;
        }
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals < REFUSALS {
            Severity::Lasting
        } else {
            Severity::Hopeless
        }
    }

    /// The gatekeeper took the login, so it is there; but a connection that breaks again and again is not made too often.
    pub(super) fn ease(&mut self) {
        self.failures = self.failures.min(2);
    }

    /// The last connection was good.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: half to the whole of a span that doubles each time, so that logins which lost their
    /// connections together do not come back together.
    pub(super) fn next(&mut self, severity: Severity) -> Duration {
        let first = match severity {
            Severity::Advised if self.failures == 0 => {
                self.failures = 1;
                return Duration::ZERO;
            }
            Severity::Advised | Severity::Passing => Duration::from_millis(500),
            Severity::Lasting => Duration::from_secs(20),
            Severity::Doubtful | Severity::Hopeless => return HOPELESS,
        };
        let span = first
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        span.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(Severity::Passing) <= Duration::from_millis(500));
        for _ in 0..30 {
            backoff.next(Severity::Passing);
        }
        let longest = backoff.next(Severity::Passing);
        assert!(longest >= LONGEST / 2 && longest <= LONGEST);
        backoff.reset();
        assert!(backoff.next(Severity::Passing) <= Duration::from_millis(500));
    }

    #[test]
    fn a_gatekeeper_that_is_there_is_tried_again_soon() {
        let mut backoff = Backoff::default();
        for _ in 0..30 {
            backoff.next(Severity::Passing);
        }
        backoff.ease();
        assert!(backoff.next(Severity::Passing) <= Duration::from_secs(2));
    }

    #[test]
    fn a_refusal_is_believed_when_it_is_repeated() {
        let mut backoff = Backoff::default();
        let mut judge = |_| backoff.judge(Severity::Doubtful);
        let judged: Vec<_> = (0..3).map(&mut judge).collect();
        assert_eq!(
            judged,
            [Severity::Lasting, Severity::Lasting, Severity::Hopeless]
        );
        backoff.accepted();
        assert_eq!(backoff.judge(Severity::Doubtful), Severity::Lasting);
    }

    #[test]
    fn advice_is_followed_at_once_but_only_once() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Severity::Advised), Duration::ZERO);
        assert!(backoff.next(Severity::Advised) >= Duration::from_millis(500));
    }

    #[test]
    fn a_replaced_connection_waits_longer_than_a_broken_one() {
        assert!(Backoff::default().next(Severity::Lasting) >= Duration::from_secs(10));
    }
}
