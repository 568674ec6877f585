//! Detection of changed files that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use certvigil_probe::io::on_reader;

use super::monitor::Command;
use super::named_files::FileStamps;
use super::snapshot::Current;

/// Interval at which the files are compared with their last reading.
const INTERVAL: Duration = Duration::from_secs(2);

/// Sends a command when files of targets, roots, client certificates or secrets have changed since
/// they were read, and have stayed the same for one interval, so that a file that is being written is
/// not read. It ends with the monitor.
pub(super) async fn watch_files(current: Arc<Current>, commands: mpsc::Sender<Command>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = Changes::default();
    loop {
        ticks.tick().await;
        let snapshot = current.snapshot();
        let runtime = &snapshot.runtime;
        let (patterns, named) = (
            runtime.inventory.file_sd.clone(),
            runtime.named_files.clone(),
        );
        if patterns.is_empty() && named.is_empty() {
            continue;
        }
        // A file system that hangs keeps only this task, and one of the readers.
        let present = on_reader(move || FileStamps::of(&patterns, &named)).await;
        if changes.are_to_read(present, &runtime.file_stamps)
            && commands.send(Command::FilesChanged).await.is_err()
        {
            return;
        }
    }
}

/// Stamps of the files, from one comparison to the next.
#[derive(Debug, Default)]
struct Changes {
    /// Stamps of the last comparison; `None` before the first.
    last: Option<FileStamps>,
    /// Stamps for which a command was sent; `None` if the files are those that were read.
    reported: Option<FileStamps>,
}

impl Changes {
    /// Returns true if the present files differ from those that were read, have stayed the same for
    /// one interval, and were not reported yet; the removal of the last file is a change too. Files that
    /// were put back, after others in their place could not be used, are read again.
    fn are_to_read(&mut self, present: FileStamps, read: &FileStamps) -> bool {
        let is_settled = self.last.as_ref() == Some(&present);
        let is_read = present == *read;
        if is_read && self.reported.as_ref() == Some(&present) {
            self.reported = None;
        }
        let is_new = match &self.reported {
            Some(reported) => *reported != present,
            None => !is_read,
        };
        let are_to_read = is_settled && is_new;
        if are_to_read {
            self.reported = (!is_read).then(|| present.clone());
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
        let stamps = || FileStamps::of(&patterns, &[]);
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
        let stamps = || FileStamps::of(&patterns, &[]);
        let (read, mut changes) = (stamps(), Changes::default());
        for length in 1..4 {
            std::fs::write(&file, " ".repeat(length)).unwrap();
            assert!(!changes.are_to_read(stamps(), &read));
        }
        assert!(changes.are_to_read(stamps(), &read));
    }

    #[test]
    fn file_that_is_put_back_is_read_again() {
        let place = tempfile::tempdir().unwrap();
        let (file, aside) = (place.path().join("ca.pem"), place.path().join("aside"));
        std::fs::write(&file, "roots").unwrap();
        let stamps = || FileStamps::of(&[], std::slice::from_ref(&file));
        let (read, mut changes) = (stamps(), Changes::default());
        let mut seen = |times: usize| -> Vec<bool> {
            (0..times)
                .map(|_| changes.are_to_read(stamps(), &read))
                .collect()
        };
        assert_eq!(seen(2), [false, false]);
        std::fs::rename(&file, &aside).unwrap();
        assert_eq!(seen(3), [false, true, false]);
        std::fs::rename(&aside, &file).unwrap();
        assert_eq!(seen(4), [false, true, false, false]);
    }
}
