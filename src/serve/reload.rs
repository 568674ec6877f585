//! Reload of the configuration on its own thread. A file that cannot be read to its end, as on an
//! unresponsive network file system, blocks neither probes nor the shutdown.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::error::ReloadError;
use super::runtime::Runtime;

/// Maximum time for which a requester waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum requesters that wait for the same reload; further ones must try again.
const MAX_WAITING: usize = 64;

/// Channel for the result, to the requester of a reload. Its receiver may be gone.
pub(super) type Asker = oneshot::Sender<Result<(), ReloadError>>;

/// Result of reading the configuration.
type Read = Result<Runtime, ReloadError>;

/// Reloads. Only one runs at a time, because a thread that hangs cannot be stopped.
#[derive(Default)]
pub(super) struct Reloads {
    /// The running reload: at most one.
    reading: JoinSet<Read>,
    /// Deadline of the running reload; `None` if no reload runs, or if the deadline has passed.
    due: Option<Duration>,
    /// Requesters of the running reload.
    asked: Vec<Asker>,
    /// Requesters since its start. They need another reload, because the files may have changed.
    asked_since: Vec<Asker>,
}

impl Reloads {
    /// Adds a requester.
    pub(super) fn ask(&mut self, asker: Asker) {
        if !self.reading.is_empty() && self.due.is_none() {
            return refuse(asker, ReloadError::Overdue);
        }
        // Requesters that no longer wait do not count.
        self.asked_since.retain(|asker| !asker.is_closed());
        if self.asked_since.len() >= MAX_WAITING {
            return refuse(asker, ReloadError::TooMany);
        }
        self.asked_since.push(asker);
    }

    /// Returns true if a reload must start now.
    pub(super) fn is_wanted(&self) -> bool {
        self.reading.is_empty() && !self.asked_since.is_empty()
    }

    /// Returns true if no reload runs.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_empty()
    }

    /// Starts a reload for all requesters.
    pub(super) fn begin(&mut self, now: Duration, read: impl FnOnce() -> Read + Send + 'static) {
        self.asked = std::mem::take(&mut self.asked_since);
        self.due = Some(now + PATIENCE);
        self.reading.spawn_blocking(read);
    }

    /// Returns the deadline of the running reload.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due
    }

    /// If the deadline has passed, sends an error to all requesters and returns it. The reload
    /// continues, and its configuration is applied whenever it ends.
    pub(super) fn give_up(&mut self, now: Duration) -> Option<ReloadError> {
        self.due.take_if(|due| *due <= now)?;
        let error = ReloadError::Overdue;
        let mut all = std::mem::take(&mut self.asked);
        all.append(&mut self.asked_since);
        answer_all(all, &Err(error.clone()));
        Some(error)
    }

    /// Waits for the end of the reload. Returns `None` immediately if none runs.
    pub(super) async fn ended(&mut self) -> Option<Read> {
        let done = self.reading.join_next().await?;
        Some(done.unwrap_or_else(|error| Err(ReloadError::Failed(error.into()))))
    }

    /// Sends the result of the reload to its requesters.
    pub(super) fn finish(&mut self, result: &Result<(), ReloadError>) {
        self.due = None;
        answer_all(std::mem::take(&mut self.asked), result);
    }
}

fn refuse(asker: Asker, reason: ReloadError) {
    // A reload by SIGHUP has no requester that reports the error, so it is logged.
    tracing::warn!("configuration not reloaded: {reason}");
    answer_all(vec![asker], &Err(reason));
}

fn answer_all(askers: Vec<Asker>, result: &Result<(), ReloadError>) {
    for asker in askers {
        // The requester may be gone.
        let _ = asker.send(result.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn ask(reloads: &mut Reloads) -> oneshot::Receiver<Result<(), ReloadError>> {
        let (asker, answer) = oneshot::channel();
        reloads.ask(asker);
        answer
    }

    /// Returns a reload that ends, with an error, when the sender is dropped.
    fn hanging() -> (
        mpsc::Sender<()>,
        impl FnOnce() -> Read + Send + 'static + use<>,
    ) {
        let (release, wait) = mpsc::channel();
        (release, move || {
            let _ = wait.recv();
            Err(ReloadError::Failed("it is broken".into()))
        })
    }

    #[tokio::test]
    async fn request_during_a_reload_triggers_the_next_reload() {
        let mut reloads = Reloads::default();
        let mut first = ask(&mut reloads);
        assert!(reloads.is_wanted());
        let (release, read) = hanging();
        reloads.begin(Duration::ZERO, read);
        let mut second = ask(&mut reloads);
        assert!(!reloads.is_wanted());
        assert_eq!(reloads.give_up(PATIENCE / 2), None);
        drop(release);
        assert!(reloads.ended().await.is_some());
        reloads.finish(&Ok(()));
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert!(second.try_recv().is_err());
        assert!(reloads.is_wanted());
    }

    #[tokio::test]
    async fn hanging_reload_is_reported_and_no_second_one_starts() {
        let mut reloads = Reloads::default();
        let mut first = ask(&mut reloads);
        let (release, read) = hanging();
        reloads.begin(Duration::ZERO, read);
        let mut second = ask(&mut reloads);
        assert_eq!(reloads.next_due(), Some(PATIENCE));
        let reported = reloads.give_up(PATIENCE).unwrap();
        assert!(
            reported.to_string().contains("within 30 s: check the disk"),
            "{reported}"
        );
        for answer in [&mut first, &mut second, &mut ask(&mut reloads)] {
            assert_eq!(answer.try_recv(), Ok(Err(reported.clone())));
        }
        assert!(!reloads.is_wanted());
        assert_eq!(
            (reloads.next_due(), reloads.give_up(PATIENCE)),
            (None, None)
        );
        // The reload ends after the deadline, and the next one starts.
        drop(release);
        assert!(reloads.ended().await.unwrap().is_err());
        reloads.finish(&Ok(()));
        let _third = ask(&mut reloads);
        assert!(reloads.is_wanted());
    }

    #[tokio::test]
    async fn reload_is_refused_if_too_many_requests_wait() {
        let mut reloads = Reloads::default();
        for _ in 0..10 * MAX_WAITING {
            // A requester that no longer waits does not count.
            drop(ask(&mut reloads));
        }
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| ask(&mut reloads)).collect();
        assert!(waiting.iter_mut().all(|answer| answer.try_recv().is_err()));
        let reported = ask(&mut reloads).try_recv().unwrap().unwrap_err();
        assert!(reported.to_string().contains("try again"), "{reported}");
    }
}
