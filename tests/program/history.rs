//! The history database: read by `certvigil history`, read by another process than the writer, and
//! intact after the writer was killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::common::example_history::{
    failed, flags, judged, keep_example, look, new, old, served, time,
};
use certvigil::certificate::Certificate;
use certvigil::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use certvigil::judge::Judged;
use certvigil::model::{Protocol, Timestamp, Vantage};
use certvigil::observation::{ErrorKind, Outcome, Reported};
use certvigil::source::Loaded;
use certvigil::store::{
    MAX_SPANS, MAX_SPANS_OF_ENDPOINT, Query, Remembered, Seen, Store, StoreError,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::process::wait_until;
use crate::markdown::document;
use crate::support::{Run, certvigil, command};

fn told(ip: &str, correct: bool) -> Judged {
    let told = Reported {
        correct,
        chained: correct,
        dummy: false,
        peer: None,
    };
    let mut look = look(Some(ip), Outcome::Reported(told));
    look.vantage = Vantage::named("sslmate");
    judged(look, flags(correct, correct))
}

fn example() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    keep_example(folder.path());
    folder
}

fn ask(folder: &Path, args: &[&str]) -> Run {
    let mut all = vec!["history", "--state-dir", folder.to_str().unwrap()];
    all.extend(args);
    certvigil(all)
}

fn assert_error(run: &Run, says: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.starts_with("error: "), "{run:?}");
    assert!(run.stderr.contains(says), "{says}: {run:?}");
}

#[test]
fn quic_endpoint_has_its_own_history() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let both = |fresh: Certificate, stale: Certificate| {
        let mut quic = served("192.0.2.1", stale, true, true);
        Arc::make_mut(&mut quic.observation.target).protocol = Protocol::H3;
        [served("192.0.2.1", fresh, true, true), quic]
    };
    let (before, renewed) = (time("2026-03-10T09:00:00Z"), time("2026-03-10T09:05:00Z"));
    store.note(&both(old(), old()), before).unwrap();
    store.note(&both(new(), old()), renewed).unwrap();
    let run = ask(folder.path(), &["--format", "json"]);
    let told: Vec<_> = run.json()["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| {
            (
                span["port"].clone(),
                span["protocol"].clone(),
                span["served"]["sha256"].clone(),
            )
        })
        .collect();
    let (old, new) = (old().sha256().to_string(), new().sha256().to_string());
    let wanted = [("https", &old), ("h3", &old), ("https", &new)];
    assert_eq!(
        told,
        wanted.map(|(protocol, sha256)| (443.into(), protocol.into(), sha256.as_str().into()))
    );
    let run = ask(folder.path(), &[]);
    let of_quic = run.stdout.matches("192.0.2.1:443/udp").count();
    assert_eq!(of_quic, 1, "{}", run.stdout);
}

#[test]
fn history_prints_one_line_per_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let when = time("2026-03-10T09:05:00Z");
    let unreadable = Certificate::from_der(vec![0x30, 0]);
    let nowhere = || failed(None, ErrorKind::DnsNxdomain, "the name does not exist");
    let looks = [
        nowhere(),
        served("2001:db8::1", unreadable.clone(), false, false),
        told("192.0.2.1", false),
    ];
    store.note(&looks, when).unwrap();
    store.note(&[told("192.0.2.1", true)], when).unwrap();
    let run = command()
        .args(["history", "--state-dir"])
        .arg(folder.path())
        .env("COLUMNS", "200")
        .output();
    let run: Run = run.unwrap().into();
    let short = &unreadable.sha256().to_string()[..8];
    let lines = format!(
        "2026-03-10T09:05:00Z  www.example.com  port 443  first seen: the name does not exist
2026-03-10T09:05:00Z  www.example.com  [2001:db8::1]:443  first seen: {short}, unexpected, chain incomplete
2026-03-10T09:05:00Z  www.example.com  192.0.2.1:443  from sslmate  first seen: a certificate, unexpected, chain incomplete
2026-03-10T09:05:00Z  www.example.com  192.0.2.1:443  from sslmate  a certificate: unexpected, chain incomplete → expected
"
    );
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, lines.as_str()),
        "{run:?}"
    );

    store.prune(when).unwrap();
    store
        .note(&[told("192.0.2.1", true)], time("2026-06-01T00:00:00Z"))
        .unwrap();
    store.prune(time("2026-05-01T00:00:00Z")).unwrap();
    let run = ask(folder.path(), &[]);
    assert!(
        run.stdout
            .contains("(no longer known) → a certificate, expected"),
        "{run:?}"
    );
}

#[test]
fn problems_are_the_changes_to_a_result_that_needs_attention() {
    let folder = example();
    let all = ask(folder.path(), &["www.example.com"]);
    let problems = ask(folder.path(), &["www.example.com", "--problems"]);
    assert_eq!(problems.code, 0, "{problems:?}");
    let shown: Vec<&str> = problems.stdout.lines().collect();
    assert_eq!(
        shown.iter().filter(|l| l.starts_with("2026-")).count(),
        1,
        "{problems:?}"
    );
    assert!(
        problems.stdout.contains("2026-03-10T11:20:00Z"),
        "{problems:?}"
    );
    assert!(all.stdout.lines().count() > shown.len(), "{all:?}");
    // The limit counts problems only.
    let last = ask(folder.path(), &["--problems", "--limit", "1"]);
    assert_eq!(last.stdout, problems.stdout, "{last:?}");
    let none = ask(
        folder.path(),
        &["--problems", "--since", "2026-03-10T11:21:00Z"],
    );
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none:?}");
    assert_eq!(none.stderr, "no problems since then\n", "{none:?}");
}

#[test]
fn history_fits_a_narrow_terminal() {
    let folder = example();
    let run = command()
        .args(["history", "--state-dir"])
        .arg(folder.path())
        .env("COLUMNS", "60")
        .output();
    let run: Run = run.unwrap().into();
    assert!(run.stdout.lines().count() > 14, "{run:?}");
    for line in run.stdout.lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
}

#[test]
fn history_shows_the_newest_changes_and_notes_omitted_ones() {
    let folder = example();
    let times = |args: &[&str]| {
        let mut all = vec!["--format", "json"];
        all.extend(args);
        let run = ask(folder.path(), &all);
        assert_eq!(run.code, 0, "{run:?}");
        let rows = run.json()["history"].as_array().unwrap().clone();
        let times = rows
            .iter()
            .map(|row| row["first_seen"].as_str().unwrap()[5..16].to_owned());
        (times.collect::<Vec<_>>(), run.stderr)
    };
    let (all, stderr) = times(&[]);
    let story = [
        "03-01T08:00",
        "03-01T08:00",
        "03-10T09:05",
        "03-10T09:05",
        "03-10T11:20",
        "03-10T11:25",
        "03-10T11:40",
    ];
    assert_eq!(
        (all.as_slice(), stderr.as_str()),
        (&story.map(String::from)[..], "")
    );
    assert_eq!(times(&["--limit", "7"]), (all.clone(), String::new()));
    let (newest, stderr) = times(&["--limit", "2"]);
    assert_eq!(newest, all[5..]);
    assert_eq!(
        stderr,
        "showing only the newest 2 changes; use --limit or --since to see others\n"
    );
    assert_eq!(times(&["--since", "2026-03-10T11:25:00Z"]).0, all[5..]);
    assert_eq!(times(&["--since", "1000years"]).0, all);
    assert_eq!(times(&["example"]).0, all);
    assert_eq!(times(&["WWW.example.com"]).0, all);
    let (none, stderr) = times(&["--since", "1s", "example"]);
    assert_eq!((none, stderr.as_str()), (vec![], "no changes since then\n"));
}

#[test]
fn history_errors_are_one_line() {
    let folder = example();
    assert_error(&certvigil(["history"]), "--state-dir <DIR>");
    assert_error(
        &ask(&folder.path().join("x"), &[]),
        "certvigil.db: there is no such file",
    );
    assert_error(
        &ask(folder.path(), &["www.exmaple.com"]),
        "no history of `www.exmaple.com`; did you mean `www.example.com`",
    );
    assert_error(
        &ask(folder.path(), &["zzz"]),
        "no history of `zzz`; give the name",
    );
    assert_error(
        &ask(folder.path(), &["--since", "monday"]),
        "write it as 7d, 12h",
    );
    assert_error(
        &ask(folder.path(), &["--limit", "0"]),
        "not a positive whole number",
    );
    let file = folder.path().join("certvigil.db");
    std::fs::write(&file, "x".repeat(9000)).unwrap();
    assert_error(&ask(folder.path(), &[]), "damaged or no database");
}

#[test]
fn empty_history_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    let run = ask(folder.path(), &["anything", "--format", "json"]);
    assert_eq!(
        (run.code, run.json()),
        (0, serde_json::json!({"history": []}))
    );
    assert!(run.stderr.contains("the history is empty"), "{run:?}");
}

/// Every key of an object and of nested objects, as `outer.inner`.
fn keys_of(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    for (key, value) in value.as_object().unwrap() {
        into.insert(key.clone());
        for inner in value.as_object().into_iter().flat_map(|o| o.keys()) {
            into.insert(format!("{key}.{inner}"));
        }
    }
}

#[test]
fn every_history_json_key_is_documented() {
    let folder = example();
    let store = Store::open(folder.path()).unwrap();
    let when = time("2026-03-11T00:00:00Z");
    store.note(&[told("192.0.2.1", true)], when).unwrap();
    let run = ask(folder.path(), &["--format", "json"]);
    let mut keys = std::collections::BTreeSet::new();
    for row in run.json()["history"].as_array().unwrap() {
        let of_one = ["served", "told", "failed"]
            .iter()
            .filter(|key| !row[key].is_null());
        assert_eq!(of_one.count(), 1, "{row}");
        keys_of(row, &mut keys);
    }
    let page = document("docs/history.md");
    let rows = page.section("The JSON").rows();
    let told = rows.iter().map(|row| row[0].trim_matches('`').to_owned());
    assert_eq!(told.collect::<std::collections::BTreeSet<_>>(), keys);
}

#[test]
fn documented_history_limits_match_the_program() {
    let page = document("docs/history.md");
    let kept = page.section("What is kept").lines.join(" ");
    let kept = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    let words =
        format!("newest {MAX_SPANS_OF_ENDPOINT} are kept, of all together the newest {MAX_SPANS};");
    assert!(kept.contains(&words), "{words}");
}

/// Environment variable with the folder that a process writes to until it is killed.
const KILLED_IN: &str = "CERTVIGIL_TEST_KILLED_IN";
/// Endpoints that are recorded in one transaction.
const ENDPOINTS: usize = 100;

/// A served certificate that is unique for each number. It does not parse, which does not matter.
fn numbered(number: u32) -> Certificate {
    Certificate::from_der(number.to_be_bytes().to_vec())
}

/// Opens the store. A process that another test is just starting has a copy of all descriptors, and so
/// the lock, until it executes its program.
fn opened(folder: &Path) -> Store {
    wait_until("a folder without a lock", || match Store::open(folder) {
        Err(StoreError::Locked(_)) => None,
        opened => Some(opened.unwrap()),
    })
}

/// Not a test by itself: the process that the test below kills.
#[test]
fn write_history_until_killed() {
    let Some(folder) = std::env::var_os(KILLED_IN) else {
        return;
    };
    let store = opened(Path::new(&folder));
    for number in state(&store).0.. {
        let number = number + 1;
        let instance = Instance {
            id: Some(number.into()),
            ..Instance::from_chain(vec![old()]).unwrap()
        };
        let instance = Instance {
            chain: vec![numbered(number)],
            ..instance
        };
        let remembered = Remembered {
            loaded: Loaded {
                name: "example".into(),
                common_name: None,
                expected: Arc::new(Expected {
                    source: SourceKind::Sslmate,
                    what: Expectation::Instances(Box::new(Instances::only(instance))),
                }),
                hostnames: Vec::new(),
                found: Vec::new(),
                awaited: None,
            },
            fetched: Timestamp(number.into()),
            changed: None,
        };
        store.remember("key", &[remembered]).unwrap();
        let looks =
            (0..ENDPOINTS).map(|i| served(&format!("192.0.2.{i}"), numbered(number), true, true));
        let looks: Vec<Judged> = looks.collect();
        store.note(&looks, Timestamp(number.into())).unwrap();
        // Exits if the parent process is gone.
        if writeln!(std::io::stdout(), "\nnoted {number}").is_err() {
            return;
        }
    }
}

/// The last number that was recorded and the last that was remembered. Panics on a partial
/// transaction.
fn state(store: &Store) -> (u32, u32) {
    let query = Query {
        name: None,
        since: None,
        limit: ENDPOINTS,
    };
    let spans = store.history(&query).unwrap();
    let noted = spans.last().map_or(0, |span| span.first_seen.0);
    let noted = u32::try_from(noted).unwrap();
    for span in &spans {
        let Seen::Served { sha256, .. } = &span.seen else {
            panic!("{span:?}");
        };
        assert_eq!(*sha256, numbered(noted).sha256().to_string(), "{span:?}");
    }
    let mut addresses: Vec<_> = spans.iter().map(|span| span.ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(
        addresses.len() == ENDPOINTS || noted == 0,
        "{}",
        addresses.len()
    );

    let recalled = store.recall().unwrap();
    let remembered = recalled.first().map_or(0, |(_, items)| {
        let instances = items[0].loaded.expected.instances().unwrap();
        let number = u32::try_from(items[0].fetched.0).unwrap();
        assert_eq!(instances.expected.chain, [numbered(number)]);
        number
    });
    (noted, remembered)
}

/// Kills a real process ten times while it writes. Everything that it reported as written is there;
/// of the transaction in flight, all or nothing. Opening the store also checks the whole database.
#[test]
fn killed_process_loses_at_most_the_transaction_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "history::write_history_until_killed",
                "--nocapture",
            ])
            .env(KILLED_IN, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = before;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("noted ") {
                told = number.parse().unwrap();
            }
            if told == before + 2 && round % 5 == 0 {
                let run = ask(folder.path(), &["--limit", "1"]);
                assert_eq!(run.code, 0, "it is read while it is written: {run:?}");
            }
            if told > before + 2 + round % 3 {
                child.kill().unwrap(); // SIGKILL; whatever it has written since is read to the end
            }
        }
        child.wait().unwrap();
        assert!(told > before, "round {round}: it noted nothing");
        let (noted, remembered) = state(&opened(folder.path()));
        assert!([told, told + 1].contains(&noted), "{told}: {noted}");
        assert!(
            [noted, noted + 1].contains(&remembered),
            "{noted}: {remembered}"
        );
        before = noted;
    }
}
