//! The loop under a clock that moves only while everybody waits: looks are quick, slow, dead or never end, and endpoints
//! come and go by reloads. The looks are the tests' own; all else is as it runs.

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
/// Between a change of the configuration and the plan that is made of it.
const ADOPTION: Duration = REPLAN_PAUSE;
/// One look in so many may be what one endpoint has and another has not, besides two at the ends.
const UNEVEN: usize = 8;
/// How often the lag is read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// How long the looks at one endpoint take, in turn; `None` is for ever.
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

/// At this time the endpoints with these numbers are all that there are.
#[derive(Clone, Debug)]
struct Change {
    at: Duration,
    present: BTreeSet<usize>,
}

/// What a run has shown.
#[derive(Debug, Default)]
struct Shown {
    /// When looks began, by endpoint.
    starts: BTreeMap<usize, Vec<Duration>>,
    /// The greatest lag that was told.
    lag: Duration,
}

/// The number in a name of [`inventory`].
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

/// Runs the loop with this many hands until `end`.
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
        // A quarter of it is for probes on demand.
        concurrency: hands + (hands / 3).max(1),
        clock: || Timestamp(1_800_000_000),
        state: None,
        web: Arc::new(Web::open(None).unwrap()),
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When an endpoint was there, in order; the last time may end with the run.
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

/// The longest time that an endpoint was there and no look at it began.
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

/// Quick ones, slow ones, dead ones that cost the whole timeout, and those that are now this and now that.
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

/// The time that one round of all looks takes with this many hands, where each takes as long as it ever does.
fn round(endpoints: &[Endpoint], hands: usize) -> Duration {
    let work: Duration = endpoints.iter().map(Endpoint::longest).sum();
    work / u32::try_from(hands).unwrap()
}

/// Hands with which a round and the longest look fit into an interval.
fn enough_hands(endpoints: &[Endpoint]) -> usize {
    let longest = endpoints.iter().map(Endpoint::longest).max();
    let fits = |hands: &usize| round(endpoints, *hands) + longest.unwrap_or_default() <= INTERVAL;
    (1..).find(fits).unwrap()
}

proptest! {
    // A failure is shown as a whole: no file of seeds is kept. A case is a whole run of the loop.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn as_long_as_the_work_fits_the_loop_begins_a_look_at_everybody_in_two_intervals((endpoints, changes) in fleet()) {
        let end = 15 * INTERVAL;
        let hands = enough_hands(&endpoints);
        let shown = run(&endpoints, hands, &changes, end);
        for number in 0..endpoints.len() {
            let starts = shown.starts.get(&number).cloned().unwrap_or_default();
            let gap = longest_gap(&starts, &presences(number, &changes, end));
            prop_assert!(gap <= 2 * INTERVAL + ADOPTION, "{number} waits {gap:?} with {hands} hands");
        }
        let bound = round(&endpoints, hands) + ADOPTION;
        prop_assert!(shown.lag <= bound, "{:?} of {bound:?}", shown.lag);
    }

    /// A look that never ends costs a hand, and that is all.
    #[test]
    fn looks_that_never_end_hold_up_nobody_else(
        endpoints in proptest::collection::vec(endpoint(), 1..30),
        stuck in 1usize..5,
    ) {
        let end = 10 * INTERVAL;
        let hands = enough_hands(&endpoints) + stuck;
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
    fn where_the_work_does_not_fit_the_loop_treats_all_alike_and_tells_the_lag(
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
        // A round is longer than the interval, and that is told.
        let longest = endpoints.iter().map(Endpoint::longest).max().unwrap();
        prop_assert!(shown.lag + longest + READ_EVERY >= work, "{:?} of {work:?}", shown.lag);
    }
}
