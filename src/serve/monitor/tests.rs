//! Tests of the loop under a paused clock, which advances only while all tasks wait. Probes are
//! fast, slow, time out or never end, and reloads add and remove endpoints. Only the probes are
//! test doubles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use tokio::sync::oneshot;

use crate::config::{Entry, Inventory, SourceSettings, TrustSettings};
use crate::source::{Environment, Requests};
use crate::web::Web;

use super::super::state::REPLAN_PAUSE;
use super::*;

const INTERVAL: Duration = Duration::from_secs(60);
/// Delay between a change of the configuration and the plan that follows from it.
const ADOPTION: Duration = REPLAN_PAUSE;
/// Tolerated difference between the numbers of probes of two endpoints, as a divisor, in addition
/// to two probes at the ends.
const UNEVEN: usize = 8;
/// Interval between two reads of the lag.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Durations of consecutive probes of one endpoint, repeated; `None` never ends.
#[derive(Clone, Debug)]
struct Endpoint(Vec<Option<Duration>>);

impl Endpoint {
    fn longest(&self) -> Duration {
        self.0.iter().flatten().max().copied().unwrap_or_default()
    }

    fn quickest(&self) -> Duration {
        self.0.iter().flatten().min().copied().unwrap_or_default()
    }
}

/// Change of the configuration: from this time on, exactly the endpoints with these numbers exist.
#[derive(Clone, Debug)]
struct Change {
    at: Duration,
    present: BTreeSet<usize>,
}

/// Observations of a run.
#[derive(Debug, Default)]
struct Shown {
    /// Start times of probes, by endpoint.
    starts: BTreeMap<usize, Vec<Duration>>,
    /// Greatest reported lag.
    lag: Duration,
}

/// Returns the number in a name of [`inventory`].
fn number(hostname: &str) -> usize {
    let digits = hostname.trim_start_matches('h').split('.').next();
    digits.unwrap().parse().unwrap()
}

fn inventory(present: &BTreeSet<usize>) -> Inventory {
    let mut inventory = Inventory {
        trust: TrustSettings {
            system: false,
            ca_files: Vec::new(),
        },
        ..Inventory::default()
    };
    inventory.defaults.interval = INTERVAL;
    inventory.certificates = present
        .iter()
        .map(|number| {
            let mut entry = Entry::new(SourceSettings::TrustOnly);
            entry.name = Some(format!("h{number}"));
            entry.hostnames = vec![format!("h{number}.example").parse().unwrap()];
            entry.ports = vec![443];
            entry
        })
        .collect();
    inventory
}

fn nothing() -> Environment<'static> {
    Environment {
        variable: &|_| None,
        home: None,
    }
}

/// Runs the loop with this many permits until `end`.
fn run(endpoints: &[Endpoint], hands: usize, changes: &[Change], end: Duration) -> Shown {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime
        .unwrap()
        .block_on(run_in(endpoints.to_vec(), hands, changes, end))
}

async fn run_in(
    endpoints: Vec<Endpoint>,
    hands: usize,
    changes: &[Change],
    end: Duration,
) -> Shown {
    let all: BTreeSet<usize> = (0..endpoints.len()).collect();
    let present = Arc::new(Mutex::new(all));
    let loads = present.clone();
    let setup = Setup {
        load: Box::new(move || Ok(inventory(&lock(&loads)))),
        environment: nothing,
        overrides: Vec::new(),
        // A quarter of the permits is for on-demand probes.
        concurrency: hands + (hands / 3).max(1),
        clock: || Timestamp(1_800_000_000),
        state: None,
        web: Arc::new(Web::open(None).unwrap()),
        routes: Default::default(),
    };
    let requests = Requests::default();
    let runtime = Runtime::new(&setup, None, &requests).unwrap();
    let current = Arc::new(Current::new(runtime, requests, setup.clock));
    let began = current.started;
    let starts: Arc<Mutex<BTreeMap<usize, Vec<Duration>>>> = Arc::default();
    let noted = starts.clone();
    let probe: Probe = Box::new(move |_, job, _, _| {
        let number = number(&job.targets[0].hostname.to_string());
        let looks = &endpoints[number].0;
        let mut noted = lock(&noted);
        let of_this = noted.entry(number).or_default();
        let takes = looks[of_this.len() % looks.len()];
        of_this.push(began.elapsed());
        Box::pin(async move {
            match takes {
                Some(takes) => sleep_until(Instant::now() + takes).await,
                None => std::future::pending().await,
            }
            true
        })
    });
    let (monitor, commands) = Monitor::new(Arc::new(setup), current.clone(), None, probe);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(monitor.run(async { drop(stopped.await) }, Duration::ZERO));
    let mut changes = changes.iter().peekable();
    let mut lag = Duration::ZERO;
    while began.elapsed() < end {
        let next = changes.peek().map_or(end, |change| change.at);
        sleep_until((began + next).min(Instant::now() + READ_EVERY)).await;
        if let Some(change) = changes.next_if(|change| change.at <= began.elapsed()) {
            lock(&present).clone_from(&change.present);
            let (reply, answer) = oneshot::channel();
            commands.send(Command::Reload(reply)).await.ok().unwrap();
            answer.await.unwrap().unwrap();
        }
        lag = lag.max(current.snapshot().lag(began.elapsed()));
    }
    drop(stop);
    running.await.unwrap();
    let starts = std::mem::take(&mut *lock(&starts));
    Shown { starts, lag }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the periods in which an endpoint existed, in order; the last may end with the run.
fn presences(number: usize, changes: &[Change], end: Duration) -> Vec<(Duration, Duration)> {
    let mut found = Vec::new();
    let mut since = Some(Duration::ZERO);
    for change in changes {
        match (since, change.present.contains(&number)) {
            (Some(from), false) => {
                found.push((from, change.at));
                since = None;
            }
            (None, true) => since = Some(change.at),
            _ => {}
        }
    }
    found.extend(since.map(|from| (from, end)));
    found
}

/// Returns the longest time for which an endpoint existed and no probe of it started.
fn longest_gap(starts: &[Duration], presences: &[(Duration, Duration)]) -> Duration {
    let gaps = presences.iter().map(|(from, until)| {
        let inside = starts.iter().filter(|at| (from..until).contains(at));
        let mut longest = Duration::ZERO;
        let mut last = *from;
        for at in inside.chain([until]) {
            longest = longest.max(*at - last);
            last = *at;
        }
        longest
    });
    gaps.max().unwrap_or_default()
}

/// Generates fast and slow endpoints, unreachable ones whose probes take the whole timeout, and
/// ones that vary.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    let any = prop_oneof![1u64..200, 200u64..5_000, Just(10_000u64)];
    let looks = prop_oneof![
        6 => (1u64..200).prop_map(|ms| vec![ms]),
        2 => (200u64..5_000).prop_map(|ms| vec![ms]),
        1 => Just(vec![10_000u64]),
        2 => proptest::collection::vec(any, 1..5),
    ];
    looks.prop_map(|looks| {
        let takes = looks.into_iter().map(|ms| Some(Duration::from_millis(ms)));
        Endpoint(takes.collect())
    })
}

fn fleet() -> impl Strategy<Value = (Vec<Endpoint>, Vec<Change>)> {
    proptest::collection::vec(endpoint(), 1..40).prop_flat_map(|endpoints| {
        let count = endpoints.len();
        let present = proptest::collection::btree_set(0..count, 0..=count);
        let changes = proptest::collection::vec((1u64..600, present), 0..5);
        let changes = changes.prop_map(|changes| {
            let mut changes: Vec<Change> = changes
                .into_iter()
                .map(|(s, present)| Change {
                    at: Duration::from_secs(s),
                    present,
                })
                .collect();
            changes.sort_by_key(|change| change.at);
            changes.dedup_by_key(|change| change.at);
            changes
        });
        (Just(endpoints), changes)
    })
}

/// Returns the duration of one cycle with this many permits, if each probe takes its longest time.
fn round(endpoints: &[Endpoint], hands: usize) -> Duration {
    let work: Duration = endpoints.iter().map(Endpoint::longest).sum();
    work / u32::try_from(hands).unwrap()
}

/// Returns the number of permits with which a cycle and the longest probe fit into an interval.
fn sufficient_permits(endpoints: &[Endpoint]) -> usize {
    let longest = endpoints.iter().map(Endpoint::longest).max();
    let fits = |hands: &usize| round(endpoints, *hands) + longest.unwrap_or_default() <= INTERVAL;
    (1..).find(fits).unwrap()
}

proptest! {
    // A failure prints the whole input, so no file of seeds is kept. Each case is a whole run of
    // the loop.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn probe_loop_starts_every_probe_within_two_intervals_if_load_fits((endpoints, changes) in fleet()) {
        let end = 15 * INTERVAL;
        let hands = sufficient_permits(&endpoints);
        let shown = run(&endpoints, hands, &changes, end);
        for number in 0..endpoints.len() {
            let starts = shown.starts.get(&number).cloned().unwrap_or_default();
            let gap = longest_gap(&starts, &presences(number, &changes, end));
            prop_assert!(gap <= 2 * INTERVAL + ADOPTION, "{number} waits {gap:?} with {hands} hands");
        }
        let bound = round(&endpoints, hands) + ADOPTION;
        prop_assert!(shown.lag <= bound, "{:?} of {bound:?}", shown.lag);
    }

    /// A probe that never ends occupies one permit, and delays no other endpoint.
    #[test]
    fn endless_probes_do_not_delay_other_endpoints(
        endpoints in proptest::collection::vec(endpoint(), 1..30),
        stuck in 1usize..5,
    ) {
        let end = 10 * INTERVAL;
        let hands = sufficient_permits(&endpoints) + stuck;
        let others = endpoints.len();
        let mut all = endpoints;
        all.extend(vec![Endpoint(vec![None]); stuck]);
        let shown = run(&all, hands, &[], end);
        for (number, starts) in &shown.starts {
            if *number < others {
                let gap = longest_gap(starts, &[(Duration::ZERO, end)]);
                prop_assert!(gap <= 2 * INTERVAL + ADOPTION, "{number} waits {gap:?}");
            } else {
                prop_assert_eq!(starts.len(), 1, "never two at once");
            }
        }
        prop_assert_eq!(shown.starts.len(), all.len());
    }

    #[test]
    fn overloaded_probe_loop_is_fair_and_reports_its_lag(
        endpoints in proptest::collection::vec(endpoint(), 2..40),
        hands in 1usize..4,
    ) {
        let quickest: Duration = endpoints.iter().map(Endpoint::quickest).sum();
        let work = quickest / u32::try_from(hands).unwrap();
        prop_assume!(work > INTERVAL);
        let shown = run(&endpoints, hands, &[], 20 * round(&endpoints, hands));
        let count = |number: usize| shown.starts.get(&number).map_or(0, Vec::len);
        let counts: Vec<usize> = (0..endpoints.len()).map(count).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 2 + most / UNEVEN, "{counts:?}");
        // A cycle is longer than the interval, and the lag reports it.
        let longest = endpoints.iter().map(Endpoint::longest).max().unwrap();
        prop_assert!(shown.lag + longest + READ_EVERY >= work, "{:?} of {work:?}", shown.lag);
    }
}
