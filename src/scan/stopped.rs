//! Attempts during which this process did not run: it was stopped (`SIGSTOP`), or its machine was
//! paused. Time limits pass meanwhile, although the other side may have been in time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Once};
use std::time::{Duration, Instant};

/// Interval at which a thread notes that the process runs.
const STEP: Duration = Duration::from_millis(500);
/// Time after the last note that means that the process did not run. On a busy machine, the thread
/// is late too.
const MAX_SILENCE: Duration = Duration::from_secs(2);
/// Maximum attempts, so that a process that is stopped again and again comes to an end.
const MAX_ATTEMPTS: usize = 3;

/// Runs an attempt. Repeats it while the process did not run for a part of it, if `is_in_doubt` is
/// true for its result.
pub(super) async fn repeat_if_stopped<T, F: Future<Output = T>>(
    attempt: impl Fn() -> F,
    is_in_doubt: impl Fn(&T) -> bool,
) -> T {
    repeat_while_rising(stops, attempt, is_in_doubt).await
}

/// Runs an attempt. Repeats it while `stops` has a higher value after it than before.
async fn repeat_while_rising<T, F: Future<Output = T>>(
    stops: impl Fn() -> u64,
    attempt: impl Fn() -> F,
    is_in_doubt: impl Fn(&T) -> bool,
) -> T {
    let mut attempts = 1;
    loop {
        let before = stops();
        let result = attempt().await;
        if attempts >= MAX_ATTEMPTS || !is_in_doubt(&result) || stops() <= before {
            return result;
        }
        tracing::debug!("attempt repeated: this process was stopped meanwhile");
        attempts += 1;
    }
}

/// Returns how often the process was stopped since the first call. One thread serves all attempts,
/// because ten thousand of them with a timer each would cost more than a probe.
fn stops() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    static NOTES: Notes = Notes {
        seen: AtomicU64::new(0),
        stops: AtomicU64::new(0),
    };
    static THREAD: Once = Once::new();
    let now = || u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX);
    THREAD.call_once(|| {
        NOTES.note(now());
        let notes = move || {
            loop {
                std::thread::sleep(STEP);
                NOTES.note(now());
            }
        };
        let thread = std::thread::Builder::new().name("stops".into());
        if let Err(error) = thread.spawn(notes) {
            tracing::debug!("no thread to notice that this process is stopped: {error}");
        }
    });
    NOTES.stops(now())
}

/// Notes that the process runs. Times are milliseconds since a start.
struct Notes {
    /// Time of the last note.
    seen: AtomicU64,
    /// Number of notes that were too late.
    stops: AtomicU64,
}

impl Notes {
    fn note(&self, now: u64) {
        if self.is_late(now) {
            self.stops.fetch_add(1, Ordering::Release);
        }
        self.seen.store(now, Ordering::Release);
    }

    /// Returns the number of stops, including one after which the thread has noted nothing yet.
    fn stops(&self, now: u64) -> u64 {
        let is_late = self.is_late(now);
        self.stops.load(Ordering::Acquire) + u64::from(is_late)
    }

    fn is_late(&self, now: u64) -> bool {
        let silence = now.saturating_sub(self.seen.load(Ordering::Acquire));
        u128::from(silence) > MAX_SILENCE.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn stop_is_counted_once_before_and_after_the_late_note() {
        let notes = Notes {
            seen: AtomicU64::new(0),
            stops: AtomicU64::new(0),
        };
        for now in [500, 1000, 2900] {
            notes.note(now);
        }
        assert_eq!(notes.stops(4900), 0);
        // The process continues at 60 s, and an attempt ends before the next note.
        assert_eq!(notes.stops(60_000), 1);
        notes.note(60_010);
        assert_eq!(notes.stops(60_020), 1);
        notes.note(60_510);
        assert_eq!(notes.stops(60_600), 1);
    }

    /// Runs attempts of which the first `stopped` are interrupted. Returns the last result, which is
    /// the number of attempts.
    async fn attempts(stopped: u64, is_in_doubt: bool) -> usize {
        let (stops, count) = (Cell::new(0), Cell::new(0));
        let attempt = || async {
            count.set(count.get() + 1);
            stops.set(stopped.min(stops.get() + 1));
            count.get()
        };
        repeat_while_rising(|| stops.get(), attempt, |_| is_in_doubt).await
    }

    #[tokio::test]
    async fn attempt_of_a_stopped_process_is_repeated() {
        assert_eq!(attempts(0, true).await, 1);
        assert_eq!(attempts(1, true).await, 2);
        assert_eq!(attempts(9, true).await, MAX_ATTEMPTS);
        assert_eq!(attempts(9, false).await, 1);
    }
}
