//! Attempts during which this process did not run: it was stopped (`SIGSTOP`), or its machine was
//! paused. Time limits pass meanwhile, although the other side may have been in time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Interval at which an attempt checks that the process runs.
const STEP: Duration = Duration::from_millis(500);
/// Maximum time by which a timer is late on a busy machine. A later one means that the process did not
/// run.
const MAX_LATENESS: Duration = Duration::from_millis(1500);
/// Maximum attempts, so that a process that is stopped again and again comes to an end.
const MAX_ATTEMPTS: usize = 3;

/// Runs an attempt. Repeats it while the process did not run for a part of it, if `is_in_doubt` is
/// true for its result.
pub(super) async fn repeat_if_stopped<T, F: Future<Output = T>>(
    attempt: impl Fn() -> F,
    is_in_doubt: impl Fn(&T) -> bool,
) -> T {
    let mut attempts = 1;
    loop {
        let (result, was_stopped) = watched(attempt()).await;
        if !was_stopped || attempts >= MAX_ATTEMPTS || !is_in_doubt(&result) {
            return result;
        }
        tracing::debug!("attempt repeated: this process was stopped meanwhile");
        attempts += 1;
    }
}

/// Runs an attempt. Returns its result, and true if the process did not run for a part of it.
async fn watched<T>(attempt: impl Future<Output = T>) -> (T, bool) {
    tokio::pin!(attempt);
    let mut was_stopped = false;
    let mut seen = Instant::now();
    loop {
        let result = tokio::select! {
            biased;
            result = &mut attempt => Some(result),
            () = sleep_until(seen + STEP) => None,
        };
        let now = Instant::now();
        was_stopped |= now.saturating_duration_since(seen) > STEP + MAX_LATENESS;
        seen = now;
        if let Some(result) = result {
            return (result, was_stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Runs attempts of which the first `stopped` are interrupted for a minute, and each takes
    /// `needed` otherwise. Returns the last result, and the number of attempts.
    async fn attempts(stopped: usize, needed: Duration) -> (bool, usize) {
        let count = Cell::new(0);
        let attempt = || async {
            count.set(count.get() + 1);
            if count.get() <= stopped {
                // Timers do not fire meanwhile, as in a process that is stopped.
                advance(Duration::from_secs(60)).await;
            }
            timeout(LIMIT, sleep_until(Instant::now() + needed))
                .await
                .is_ok()
                && count.get() > stopped
        };
        let result = repeat_if_stopped(attempt, |is_ok| !is_ok).await;
        (result, count.get())
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_of_a_stopped_process_is_repeated() {
        let fast = Duration::from_secs(3);
        assert_eq!(attempts(0, fast).await, (true, 1));
        assert_eq!(attempts(1, fast).await, (true, 2));
        assert_eq!(attempts(9, fast).await, (false, MAX_ATTEMPTS));
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_of_a_running_process_is_a_result() {
        let slow = Duration::from_secs(30);
        assert_eq!(attempts(0, slow).await, (false, 1));
    }
}
