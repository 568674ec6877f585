//! Process limits: file descriptors, which bound concurrent work, and core dumps, which are
//! disabled because keys and passwords are in memory.

use crate::scan::{MAX_NAMES, MAX_REMOTE_TESTS, TARGETS_PER_SLOT};

/// Descriptors that probes and clients cannot use: standard streams, listeners, the state database
/// and source requests.
const RESERVED: u64 = 32;
/// Maximum descriptors of one probe of the monitor: its connection, two DNS queries, and one
/// request to the issuer.
const DESCRIPTORS_PER_PROBE: u64 = 4;
/// Maximum descriptors of one client of the monitor: its connection, and two DNS queries for its
/// on-demand probe.
const PER_CLIENT: u64 = 3;
/// Maximum descriptors of one name lookup: an address query for each family, and one TLSA query.
const PER_NAME: u64 = 3;

/// Maximum concurrent work for which there are descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Probes.
    pub(super) probes: usize,
    /// Client connections.
    pub(super) clients: usize,
}

/// Returns the maximum concurrent probes of `check`. `asks_issuers` is true if probes also send
/// requests to issuers.
pub(super) fn concurrency_of_check(wanted: usize, asks_issuers: bool) -> usize {
    let probes = fitting(descriptors(), 1 + u64::from(asks_issuers)).min(wanted);
    report(wanted, probes);
    probes
}

/// Returns how many probes have enough descriptors, if each probe needs `each`. The name lookups
/// and remote tests that belong to them are included.
fn fitting(descriptors: Option<u64>, each: u64) -> usize {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let Some(all) = descriptors else {
        return usize::MAX;
    };
    let left = all.saturating_sub(RESERVED + count(MAX_REMOTE_TESTS));
    // Either there are so few probes that each has its share of lookups, or lookups are at their
    // limit.
    let few = left / (each + PER_NAME * count(TARGETS_PER_SLOT));
    let many = left.saturating_sub(PER_NAME * count(MAX_NAMES)) / each;
    usize::try_from(few.max(many)).unwrap_or(usize::MAX).max(1)
}

/// Returns the limits of the monitor, given the requested number of concurrent probes.
pub(super) fn share_of_monitor(wanted: usize) -> Share {
    let share = divide(wanted, descriptors());
    report(wanted, share.probes);
    share
}

fn divide(wanted: usize, descriptors: Option<u64>) -> Share {
    let clients = descriptors.map_or(usize::MAX, |all| {
        let fitting = all.saturating_sub(RESERVED) / (DESCRIPTORS_PER_PROBE + PER_CLIENT);
        usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
    });
    Share {
        probes: wanted.min(clients),
        clients,
    }
}

fn report(wanted: usize, probes: usize) {
    if probes < wanted {
        tracing::info!(
            "concurrent probes limited by file descriptors: limit={probes} requested={wanted}; raise it with `ulimit -n` or LimitNOFILE="
        );
    }
}

/// Raises the soft limit of open file descriptors to the hard limit and returns it. `None` means
/// unlimited.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: now.maximum,
        ..now
    };
    // Some systems accept less than the hard limit that they report. The soft limit then stays.
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    }
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// Disables core dumps, so that a crash does not write this process' memory to a disk. If the
/// system pipes dumps to a program (core(5)), the limit alone has no effect, so the process also
/// becomes non-dumpable. That also keeps other processes of the user from reading its memory.
#[cfg(unix)]
pub(super) fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // No user is denied either call. If one fails, the program is no worse than most others.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(unix))]
pub(super) fn forbid_core_dumps() {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn serve_limits_fit_the_descriptor_limit(wanted in 1usize..5000, all in 0u64..100_000) {
            let share = divide(wanted, Some(all));
            prop_assert!((1..=wanted).contains(&share.probes) && share.clients >= 1);
            let open = RESERVED + DESCRIPTORS_PER_PROBE * share.probes as u64 + PER_CLIENT * share.clients as u64;
            // Below that, one probe and one client are allowed regardless, so that work can
            // proceed.
            prop_assert!(open <= all.max(RESERVED + DESCRIPTORS_PER_PROBE + PER_CLIENT), "{open}");
        }

        #[test]
        fn check_limits_fit_the_descriptor_limit(each in 1u64..3, all in 0u64..100_000) {
            let probes = fitting(Some(all), each);
            let names = (probes * TARGETS_PER_SLOT).min(MAX_NAMES) as u64;
            let tests = probes.min(MAX_REMOTE_TESTS) as u64;
            let open = RESERVED + tests + each * probes as u64 + PER_NAME * names;
            let least = RESERVED + 1 + each + PER_NAME * TARGETS_PER_SLOT as u64;
            prop_assert!(probes >= 1 && open <= all.max(least), "{open}");
        }
    }

    #[test]
    fn concurrency_is_not_reduced_without_a_low_descriptor_limit() {
        let share = divide(256, None);
        assert_eq!((share.probes, share.clients), (256, usize::MAX));
        assert_eq!(fitting(None, 1), usize::MAX);
        // With the limits that systemd and shells set, the default concurrency is not reduced.
        assert_eq!(divide(256, Some(4096)).probes, 256);
        assert!(fitting(Some(4096), 2) >= 256);
    }
}
