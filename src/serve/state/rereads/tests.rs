//! Order and number of the readings that probes wait for.

use super::super::{Event, Fetched, Settings, Start, Times};
use super::*;
use crate::config::{Entry, SourceSettings};
use crate::instance::{Expectation, Expected, SourceKind};
use crate::model::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

/// A monitor of files, each with one target.
struct Files {
    state: State,
    now: Duration,
}

fn entry(number: usize) -> Entry {
    let mut entry = Entry::new(SourceSettings::Pem(vec![format!("/file{number}").into()]));
    entry.name = Some(format!("file{number}"));
    entry.hostnames = vec![format!("file{number}.example").parse().unwrap()];
    entry.ports = vec![443];
    entry
}

/// Returns the content of a file: a version of its certificate.
fn content(number: usize, version: u8) -> Vec<Result<Loaded, Failed>> {
    let pin = format!("{version:064x}").parse().unwrap();
    vec![Ok(Loaded {
        common_name: None,
        name: format!("file{number}"),
        expected: Arc::new(Expected {
            source: SourceKind::Pem,
            what: Expectation::Fingerprints([pin].into()),
        }),
        hostnames: entry(number).hostnames,
        found: Vec::new(),
        awaited: None,
    })]
}

impl Files {
    /// Starts a monitor that knows version 1 of all files.
    fn new(count: usize) -> Self {
        let settings = Settings {
            entries: (0..count).map(entry).map(Arc::new).collect(),
            interval: 3600 * SECOND,
            times: Times {
                grace: Duration::ZERO,
                refresh: 3600 * SECOND,
            },
            history: 3600 * SECOND,
            account: None,
            vantages: Vec::new(),
            judging: Arc::default(),
        };
        let (state, effects) = State::new(settings, Start::default(), at(Duration::ZERO));
        let mut files = Self {
            state,
            now: Duration::ZERO,
        };
        let mut fetches: Vec<SourceRequest> = requests(&effects);
        while let Some(request) = fetches.pop() {
            let effects = files.fetched(request, 1);
            fetches.extend(requests(&effects));
        }
        files.wait(SECOND);
        assert_eq!(files.state.plan().targets.len(), count);
        files
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        self.state.on(event, at(self.now))
    }

    fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.on(Event::Tick)
    }

    fn fetched(&mut self, request: SourceRequest, version: u8) -> Vec<Effect> {
        let number = number(&request.key);
        self.on(Event::SourceResult {
            request,
            fetched: Fetched {
                answers: content(number, version),
                known_places: None,
            },
            clock_warning: None,
        })
    }

    /// A probe of this file's target finds another leaf than expected, and waits.
    fn unexpected(&mut self, number: usize, ticket: Ticket) -> Vec<Effect> {
        let targets = self.state.plan().targets.keys();
        let mut targets = targets.filter(|t| t.certificate == format!("file{number}"));
        let target = targets.next().unwrap().clone();
        self.on(Event::Unexpected { ticket, target })
    }

    fn reread(&mut self, key: &Arc<str>, version: u8) -> Vec<Effect> {
        let (key, answers) = (key.clone(), content(number(key), version));
        self.on(Event::Reread { key, answers })
    }

    /// Returns true if the plan expects this version of a file.
    fn expects(&self, number: usize, version: u8) -> bool {
        let targets = &self.state.plan().targets;
        let mut targets = targets
            .iter()
            .filter(|(target, _)| target.certificate == format!("file{number}"));
        let (_, planned) = targets.next().unwrap();
        let expected = planned.expectation.as_ref().unwrap();
        expected.loaded.expected.what == content(number, version)[0].as_ref().unwrap().expected.what
    }
}

fn at(elapsed: Duration) -> Now {
    let clock = Timestamp(1_800_000_000 + i64::try_from(elapsed.as_secs()).unwrap());
    Now { elapsed, clock }
}

/// Returns the number in the path of a file, which its key contains.
fn number(key: &str) -> usize {
    let rest = key.split("/file").nth(1).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn requests(effects: &[Effect]) -> Vec<SourceRequest> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Fetch { request, .. } => Some(request.clone()),
        _ => None,
    });
    requests.collect()
}

/// Returns the keys of the readings that begin.
fn readings(effects: &[Effect]) -> Vec<Arc<str>> {
    let readings = effects.iter().filter_map(|effect| match effect {
        Effect::Reread { key, .. } => Some(key.clone()),
        _ => None,
    });
    readings.collect()
}

fn resumed(effects: &[Effect]) -> Vec<Ticket> {
    let resumed = effects.iter().filter_map(|effect| match effect {
        Effect::Resume(ticket) => Some(*ticket),
        _ => None,
    });
    resumed.collect()
}

#[test]
fn eight_files_at_most_are_read_again_concurrently() {
    let mut files = Files::new(MAX_REREADS + 1);
    let mut begun = Vec::new();
    for number in 0..=MAX_REREADS {
        begun.extend(readings(&files.unexpected(number, number as Ticket)));
    }
    assert_eq!(begun.len(), MAX_REREADS);
    // The last one begins when another ends.
    let effects = files.reread(&begun[0], 2);
    assert_eq!(resumed(&effects), [0]);
    let next = readings(&effects);
    assert_eq!(next.len(), 1);
    assert!(!begun.contains(&next[0]));
}

/// A reading may have read the file before the probe saw the server's new certificate.
#[test]
fn probe_that_waits_since_the_start_of_a_reading_is_resumed_by_the_next_one() {
    let mut files = Files::new(1);
    let key = readings(&files.unexpected(0, 1)).pop().unwrap();
    files.now += SECOND / 10;
    assert_eq!(readings(&files.unexpected(0, 2)), [] as [Arc<str>; 0]);
    let effects = files.reread(&key, 1);
    assert_eq!(resumed(&effects), [1]);
    assert_eq!(readings(&effects), [] as [Arc<str>; 0]);
    let effects = files.wait(REREAD_PAUSE);
    assert_eq!(readings(&effects), std::slice::from_ref(&key));
    let effects = files.reread(&key, 2);
    assert_eq!(resumed(&effects), [2]);
    assert!(files.expects(0, 2));
}

#[test]
fn reading_that_hangs_does_not_replace_a_later_regular_one() {
    let mut files = Files::new(1);
    let key = readings(&files.unexpected(0, 1)).pop().unwrap();
    // The probe does not wait for it, and a later one does not wait at all.
    assert_eq!(resumed(&files.wait(MAX_WAIT)), [1]);
    assert_eq!(resumed(&files.unexpected(0, 2)), [2]);
    let mut effects = Vec::new();
    while requests(&effects).is_empty() {
        effects = files.wait(SECOND);
    }
    files.fetched(requests(&effects).pop().unwrap(), 2);
    files.wait(SECOND);
    assert!(files.expects(0, 2));
    files.reread(&key, 1);
    files.wait(60 * SECOND);
    assert!(files.expects(0, 2));
    // The file system responds again.
    assert_eq!(resumed(&files.unexpected(0, 3)), [] as [Ticket; 0]);
}
