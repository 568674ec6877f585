//! What the system grants this process: descriptors, which bound what goes on at a time, and no core dumps, since
//! keys and passwords are in its memory.

use crate::scan::{MAX_NAMES, MAX_REMOTE_TESTS, TARGETS_PER_SLOT};

/// Descriptors that are not for looks and clients: standard streams, listeners, the state, sources that are asked.
const RESERVED: u64 = 32;
/// What a target of the monitor has open at most: the look, two questions to DNS, and one to its issuer.
const PER_LOOK: u64 = 4;
/// What a client of the monitor has open at most: its connection, and two questions to DNS for what it wants looked at.
const PER_CLIENT: u64 = 3;
/// What a name has open while it is asked for: a question each for both families, and one for its TLSA records.
const PER_NAME: u64 = 3;

/// So many at a time as there are descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Looks.
    pub(super) looks: usize,
    /// Connections of clients.
    pub(super) clients: usize,
}

/// Looks that `check` may take at a time where so many are wanted, and issuers are asked or not.
pub(super) fn looks_of_check(wanted: usize, asks_issuers: bool) -> usize {
    let looks = fitting(descriptors(), 1 + u64::from(asks_issuers)).min(wanted);
    tell(wanted, looks);
    looks
}

/// So many looks, with this many descriptors each, and the names and remote tests that go with them, have descriptors.
fn fitting(descriptors: Option<u64>, each: u64) -> usize {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let Some(all) = descriptors else {
        return usize::MAX;
    };
    let left = all.saturating_sub(RESERVED + count(MAX_REMOTE_TESTS));
    // Either there are so few looks that each has the names of its own, or so many that these are at their bound.
    let few = left / (each + PER_NAME * count(TARGETS_PER_SLOT));
    let many = left.saturating_sub(PER_NAME * count(MAX_NAMES)) / each;
    usize::try_from(few.max(many)).unwrap_or(usize::MAX).max(1)
}

/// What the monitor may do at a time where so many looks are wanted.
pub(super) fn share_of_monitor(wanted: usize) -> Share {
    let share = divide(wanted, descriptors());
    tell(wanted, share.looks);
    share
}

fn divide(wanted: usize, descriptors: Option<u64>) -> Share {
    let clients = descriptors.map_or(usize::MAX, |all| {
        let fitting = all.saturating_sub(RESERVED) / (PER_LOOK + PER_CLIENT);
        usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
    });
    Share {
        looks: wanted.min(clients),
        clients,
    }
}

fn tell(wanted: usize, looks: usize) {
    if looks < wanted {
        tracing::info!(
            "concurrent probes limited by file descriptors: limit={looks} requested={wanted}; raise it with `ulimit -n` or LimitNOFILE="
        );
    }
}

/// How many descriptors there may be, once that is as many as the process may give itself; `None` is any number.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: now.maximum,
        ..now
    };
    // Some systems take less than they say, and then what there is has to do.
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    }
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// Has no memory of this process written to a disk when it crashes. Where the system hands dumps to a program
/// (core(5)), the limit alone would not do; that it is not dumpable also keeps other processes of the user out of its memory.
#[cfg(unix)]
pub(super) fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Neither is refused to anybody; where it were, the program would be as good as others are.
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
        fn what_goes_on_at_a_time_has_descriptors(wanted in 1usize..5000, all in 0u64..100_000) {
            let share = divide(wanted, Some(all));
            prop_assert!((1..=wanted).contains(&share.looks) && share.clients >= 1);
            let open = RESERVED + PER_LOOK * share.looks as u64 + PER_CLIENT * share.clients as u64;
            // Below that there is one of each all the same, or nothing would ever be done.
            prop_assert!(open <= all.max(RESERVED + PER_LOOK + PER_CLIENT), "{open}");
        }

        #[test]
        fn what_check_does_at_a_time_has_descriptors(each in 1u64..3, all in 0u64..100_000) {
            let looks = fitting(Some(all), each);
            let names = (looks * TARGETS_PER_SLOT).min(MAX_NAMES) as u64;
            let tests = looks.min(MAX_REMOTE_TESTS) as u64;
            let open = RESERVED + tests + each * looks as u64 + PER_NAME * names;
            let least = RESERVED + 1 + each + PER_NAME * TARGETS_PER_SLOT as u64;
            prop_assert!(looks >= 1 && open <= all.max(least), "{open}");
        }
    }

    #[test]
    fn where_there_is_no_limit_there_are_as_many_as_wanted() {
        let share = divide(256, None);
        assert_eq!((share.looks, share.clients), (256, usize::MAX));
        assert_eq!(fitting(None, 1), usize::MAX);
        // As systemd and shells set it, nothing is taken away from the default.
        assert_eq!(divide(256, Some(4096)).looks, 256);
        assert!(fitting(Some(4096), 2) >= 256);
    }
}
