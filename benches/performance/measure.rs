//! Resources of a process, and statistics over several runs.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::common::PATIENCE;

/// Interval at which a running process is polled.
const POLL: Duration = Duration::from_millis(10);

/// Resources of a process itself: user and system time, and peak memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time in seconds.
    pub(crate) cpu: f64,
    /// Elapsed time in seconds.
    pub(crate) wall: f64,
    /// Peak memory in bytes.
    pub(crate) peak: f64,
}

/// Runs a command until it exits, and asserts that it was successful.
pub(crate) fn run(command: &mut Command) -> Usage {
    let (usage, status) = run_any(command);
    assert!(status.success(), "{command:?}: {status}");
    usage
}

/// Runs a command until it exits. A process that has exited and was not waited for still reports
/// its time.
pub(crate) fn run_any(command: &mut Command) -> (Usage, ExitStatus) {
    let start = Instant::now();
    let mut child = spawn(command);
    let mut usage = Usage::default();
    let process = of(&child);
    loop {
        let stat = process.stat().unwrap();
        if stat.state == 'Z' {
            usage.cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            usage.wall = start.elapsed().as_secs_f64();
            break;
        }
        usage.peak = usage.peak.max(peak(&child));
        assert!(start.elapsed() < PATIENCE, "{command:?} does not end");
        thread::sleep(POLL);
    }
    (usage, child.wait().unwrap())
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"))
}

/// CPU time that a process has used so far, in seconds.
pub(crate) fn cpu(child: &Child) -> f64 {
    let stat = of(child).stat().unwrap();
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(child: &Child) -> f64 {
    of(child).status().unwrap().vmrss.unwrap_or_default() as f64 * 1024.0
}

/// Peak memory of a process so far in bytes; zero if it has exited.
pub(crate) fn peak(child: &Child) -> f64 {
    let status = of(child).status();
    status.map_or(0.0, |s| s.vmhwm.unwrap_or_default() as f64 * 1024.0)
}

fn of(child: &Child) -> Process {
    Process::new(child.id().cast_signed()).unwrap()
}

/// The values of several runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<f64>);

impl Values {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The quantile of this share.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Values {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}
