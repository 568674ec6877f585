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
    let mut reported = TargetStamps::default();
    let mut last = TargetStamps::default();
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
        let is_settled = present == last;
        let is_read = present == *runtime.target_files.stamps();
        if is_read {
            reported = TargetStamps::default();
        } else if is_settled && present != reported {
            if commands.send(Command::TargetsChanged).await.is_err() {
                return;
            }
            reported = present.clone();
        }
        last = present;
    }
}
