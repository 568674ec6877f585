//! Detection of changed files of targets.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use certvigil_probe::io::on_own_thread;

use crate::source::TargetStamps;

use super::monitor::Command;
use super::snapshot::Current;

/// Interval at which the files are compared with their last reading.
const INTERVAL: Duration = Duration::from_secs(2);

/// Sends a command when the files of targets have changed since they were read, and have stayed the
/// same for one interval, so that a file that is being written is not read. It ends with the monitor.
pub(super) async fn watch_targets(current: Arc<Current>, commands: mpsc::Sender<Command>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = Changes::default();
    loop {
        ticks.tick().await;
        let snapshot = current.snapshot();
        let runtime = &snapshot.runtime;
        if runtime.inventory.file_sd.is_empty() {
            continue;
        }
        let patterns = runtime.inventory.file_sd.clone();
        // A file system that hangs keeps only this task.
        let present = on_own_thread(move || TargetStamps::of(&patterns)).await;
        if changes.are_to_read(present, runtime.target_files.stamps())
            && commands.send(Command::TargetsChanged).await.is_err()
        {
            return;
        }
    }
}

/// Stamps of the files, from one comparison to the next.
#[derive(Debug, Default)]
struct Changes {
    /// Stamps of the last comparison; `None` before the first.
    last: Option<TargetStamps>,
    /// Stamps for which a command was sent; `None` if the files are those that were read.
    reported: Option<TargetStamps>,
}

impl Changes {
    /// Returns true if the present files differ from those that were read, have stayed the same for
    /// one interval, and were not reported yet. No file may be present.
    fn are_to_read(&mut self, present: TargetStamps, read: &TargetStamps) -> bool {
        let is_settled = self.last.as_ref() == Some(&present);
        let is_new = present != *read && self.reported.as_ref() != Some(&present);
        let are_to_read = is_settled && is_new;
        if present == *read {
            self.reported = None;
        } else if are_to_read {
            self.reported = Some(present.clone());
        }
        self.last = Some(present);
        are_to_read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Include;

    #[test]
    fn removal_of_the_last_file_is_a_change() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.json");
        let patterns = [Include {
            pattern: place.path().join("*.json"),
            line: 1,
        }];
        let stamps = || TargetStamps::of(&patterns);
        std::fs::write(&file, "[]").unwrap();
        let (mut read, mut changes) = (stamps(), Changes::default());
        assert!(!changes.are_to_read(stamps(), &read));
        std::fs::remove_file(&file).unwrap();
        let each: Vec<bool> = (0..4)
            .map(|_| changes.are_to_read(stamps(), &read))
            .collect();
        assert_eq!(each, [false, true, false, false]);
        // The same again, after the files were read.
        read = stamps();
        assert!(!changes.are_to_read(stamps(), &read));
        std::fs::write(&file, "[]").unwrap();
        assert!(!changes.are_to_read(stamps(), &read));
        assert!(changes.are_to_read(stamps(), &read));
    }

    #[test]
    fn file_that_is_being_written_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.json");
        let patterns = [Include {
            pattern: file.clone(),
            line: 1,
        }];
        let (read, mut changes) = (TargetStamps::of(&patterns), Changes::default());
        for length in 1..4 {
            std::fs::write(&file, " ".repeat(length)).unwrap();
            assert!(!changes.are_to_read(TargetStamps::of(&patterns), &read));
        }
        assert!(changes.are_to_read(TargetStamps::of(&patterns), &read));
    }
}
