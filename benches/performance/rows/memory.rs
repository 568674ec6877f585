//! Memory of probes that wait for silent servers.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use procfs::process::{LimitValue, Process};

use crate::common::wait_until;
use crate::measure::{Values, cpu, peak, spawn};
use crate::roles::Role;
use crate::table::{Row, Target, short};
use crate::testbed::{Server, Testbed};

use super::{ENDPOINTS, check_of};

/// Duration without CPU use after which a process counts as idle.
const REST: Duration = Duration::from_secs(1);
/// Maximum other descriptors of either process: mainly those of the DNS lookups of `check`
/// (`src/cli/limits.rs`).
const OTHER_DESCRIPTORS: u64 = 2000;
const MIB: f64 = (1 << 20) as f64;
const KIB: f64 = 1024.0;

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let most = stalled();
    let [mut each, mut all, mut bare] = [const { Values::new() }; 3];
    // The result does not depend on the load of the machine.
    for _ in 0..rounds.min(3) {
        let waiting = |max_concurrent: usize| {
            let server = testbed.stall();
            let at_a_time_text = max_concurrent.to_string();
            let more = ["--concurrency", &at_a_time_text, "--timeout", "10m"];
            let mut command = check_of(testbed, server.port, ENDPOINTS, &more);
            held(&mut command, &server, max_concurrent)
        };
        let (one, many) = (waiting(1), waiting(most));
        each.push((many - one) / (most - 1) as f64 / KIB);
        all.push(many / MIB);

        let server = testbed.stall();
        let count = most.to_string();
        let mut command = Role::Handshakes.command(&[&server.port.to_string(), &count, &count]);
        bare.push(held(&mut command, &server, most) / MIB);
    }
    let bare = short(bare.median());
    vec![
        Row {
            figure: format!("memory of a probe in flight, at {most} stalling servers"),
            unit: " KiB",
            target: Target::AtMost(12.0),
            values: each,
            detail: "the difference to one concurrent probe".into(),
        },
        Row {
            figure: "memory of the whole process then".into(),
            unit: " MiB",
            // The target is for the full number only.
            target: match most {
                ENDPOINTS => Target::AtMost(150.0),
                _ => Target::None,
            },
            values: all,
            detail: format!("the bare loop {bare} MiB"),
        },
    ]
}

/// Maximum servers that can stall at the same time: the number of endpoints, or what the descriptor
/// limits of this process and `check` allow.
fn stalled() -> usize {
    let limits = Process::myself().and_then(|this| this.limits()).unwrap();
    let of = |value| match value {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(count) => count.saturating_sub(OTHER_DESCRIPTORS),
    };
    // `check` raises its limit to the maximum.
    let (here, there) = (
        of(limits.max_open_files.soft_limit),
        of(limits.max_open_files.hard_limit),
    );
    let most = here.min(there);
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(ENDPOINTS);
    assert!(most > 1, "`ulimit -n` has to be greater");
    if most < ENDPOINTS {
        eprintln!(
            "memory is measured at {most} stalling servers instead of {ENDPOINTS}, for want of descriptors: \
             `make bench` takes all that there may be, and LimitNOFILE= or limits.conf say how many these are"
        );
    }
    most
}

/// Peak memory of a process when it waits for `connections` servers.
fn held(command: &mut Command, server: &Server, connections: usize) -> f64 {
    let mut child = spawn(command);
    wait_until("every look under way", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        (server.held() == connections).then_some(())
    });
    rest(&child);
    let bytes = peak(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    bytes
}

/// Waits until a process is idle.
fn rest(child: &Child) {
    let mut known = (cpu(child), Instant::now());
    wait_until("a process that waits", || {
        let now = cpu(child);
        if now > known.0 {
            known = (now, Instant::now());
        }
        (known.1.elapsed() > REST).then_some(())
    });
}
