//! What a process costs, and what several runs amount to.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::common::PATIENCE;

/// How often a process that runs is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What a process took, of its own: user and system time, and the most memory that it held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds.
    pub(crate) cpu: f64,
    /// Seconds.
    pub(crate) wall: f64,
    /// Bytes.
    pub(crate) peak: f64,
}

/// Runs a command to its end. A process that has ended, and that nobody has waited for, still tells its time.
pub(crate) fn run(command: &mut Command) -> Usage {
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
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    usage
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"))
}

/// Seconds of CPU that a process has taken so far.
pub(crate) fn cpu(child: &Child) -> f64 {
    let stat = of(child).stat().unwrap();
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

/// The bytes of memory that a process holds.
pub(crate) fn resident(child: &Child) -> f64 {
    of(child).status().unwrap().vmrss.unwrap_or_default() as f64 * 1024.0
}

/// The most bytes of memory that a process has held so far; nothing of one that has ended.
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

    /// The value that this share of all does not exceed.
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
