//! Rate limit for requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Maximum interval between two requests. A longer one is a mistake in the configuration.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(86_400);

/// Token bucket: one token is added every `interval`, up to `burst`, and each request takes one.
pub(super) struct RateLimit {
    interval: Duration,
    /// Time by which a request may precede its regular time.
    slack: Duration,
    /// Time at which the bucket is full again.
    full_at: Mutex<Instant>,
}

impl RateLimit {
    /// Creates a full bucket. `burst` is at least 1, and `interval` at most [`MAX_INTERVAL`].
    pub(super) fn new(interval: Duration, burst: u32, now: Instant) -> Self {
        Self {
            interval,
            slack: interval.saturating_mul(burst.saturating_sub(1)),
            full_at: Mutex::new(now),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time until a token is available.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*full_at).max(now);
        let wait = begin.duration_since(now).saturating_sub(self.slack);
        if wait.is_zero() {
            *full_at = begin + self.interval;
            return Ok(());
        }
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_allows_a_burst_then_one_request_per_interval() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let rate = RateLimit::new(second, 3, start);
        let at = |seconds: u32| rate.take(start + second * seconds);
        let (yes, not_yet) = (Ok(()), Err(second));
        assert_eq!([at(0), at(0), at(0), at(0)], [yes, yes, yes, not_yet]);
        assert_eq!([at(1), at(1)], [yes, not_yet]);
        assert_eq!([at(9), at(9), at(9), at(9)], [yes, yes, yes, not_yet]);
        let almost = start + second * 10 - second / 4;
        assert_eq!(rate.take(almost), Err(second / 4));
    }
}
