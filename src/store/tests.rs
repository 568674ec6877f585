//! The store's tests, on real files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::certificate::{Certificate, Fingerprint, PublicKeyHash};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind, State};
use crate::judge::{Flags, Judged, Verdict};
use crate::lab::authority::{Authority, Key, Validity};
use crate::model::{Hostname, Protocol, Target, Timestamp, Timings, Vantage};
use crate::observation::{ErrorKind, KeyProof, LookError, Observation, Outcome, Served, Told};
use crate::source::Loaded;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000);
const MINUTE: i64 = 60;

/// So many minutes from now on.
fn at(minutes: i64) -> Timestamp {
    Timestamp(NOW.0 + minutes * MINUTE)
}

/// Real certificates, and two that nobody can read.
static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let validity = Validity::around(NOW, 10, 80);
    let root = Authority::root("Root", validity).unwrap();
    let middle = root.intermediate("Intermediate", validity).unwrap();
    let leaf = |name: &str| {
        let issued = middle.issue(&[name.into()], validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    vec![
        leaf("a.example"),
        leaf("b.example"),
        middle.certificate.clone(),
        root.certificate.clone(),
        Certificate::from_der(Vec::new()),
        Certificate::from_der(vec![0x30, 0x80, 0]),
    ]
});

fn certificate(index: usize) -> Certificate {
    CERTIFICATES[index].clone()
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path()).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The database as any other program sees it.
fn raw(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join(FILE_NAME)).unwrap()
}

/// Calls block, so they are made from other threads.
#[test]
fn the_store_is_shared_between_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Store>();
}

fn count(connection: &Connection, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    connection.query_one(&query, [], |row| row.get(0)).unwrap()
}

mod what_sources_said {
    use super::*;

    fn instance(leaf: usize, chain: &[usize]) -> Instance {
        Instance {
            id: Some(331),
            state: State::Active,
            leaf: certificate(leaf),
            chain: chain.iter().copied().map(certificate).collect(),
            root: Some(certificate(3)),
        }
    }

    fn remembered(name: &str, what: Expectation) -> Remembered {
        Remembered {
            loaded: Loaded {
                name: name.into(),
                common_name: Some("a.example".into()),
                expected: Arc::new(Expected {
                    source: SourceKind::Sslmate,
                    what,
                }),
                hostnames: vec!["a.example".parse().unwrap(), "::1".parse().unwrap()],
                awaited: Some(332),
            },
            fetched: NOW,
            changed: None,
        }
    }

    fn one(name: &str, leaf: usize) -> Remembered {
        let instances = Instances::only(instance(leaf, &[2]));
        remembered(name, Expectation::Instances(Box::new(instances)))
    }

    fn assert_same(left: &[Remembered], right: &[Remembered]) {
        assert_eq!(left.len(), right.len());
        for (a, b) in left.iter().zip(right) {
            assert_eq!(a.loaded.name, b.loaded.name);
            assert_eq!(a.loaded.common_name, b.loaded.common_name);
            assert_eq!(a.loaded.expected, b.loaded.expected);
            assert_eq!(a.loaded.hostnames, b.loaded.hostnames);
            assert_eq!(a.loaded.awaited, b.loaded.awaited);
            assert_eq!((a.fetched, a.changed), (b.fetched, b.changed));
        }
    }

    fn keys(store: &Store) -> Vec<String> {
        let all = store.recall().unwrap();
        all.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_was_remembered_last_is_recalled_after_a_restart() {
        let folder = folder();
        let store = open(&folder);
        store
            .remember("x", &[one("old", 0), one("gone", 1)])
            .unwrap();
        store.remember("y", &[one("y", 1)]).unwrap();
        store
            .remember("x", &[one("new", 1), one("last", 0)])
            .unwrap();
        store.remember("empty", &[]).unwrap();
        drop(store);
        let all = open(&folder).recall().unwrap();
        let [(x, of_x), (y, of_y)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!((x.as_str(), y.as_str()), ("x", "y"));
        assert_same(of_x, &[one("new", 1), one("last", 0)]);
        assert_same(of_y, &[one("y", 1)]);
    }

    #[test]
    fn a_certificate_is_kept_once_and_as_long_as_it_is_named() {
        let folder = folder();
        let store = open(&folder);
        let other = raw(&folder);
        store.remember("x", &[one("x", 0), one("too", 0)]).unwrap();
        store.remember("y", &[one("y", 0)]).unwrap();
        assert_eq!(count(&other, "certificates"), 3);
        store.remember("x", &[one("x", 1)]).unwrap();
        assert_eq!(count(&other, "certificates"), 4);
        store.remember("y", &[one("y", 1)]).unwrap();
        assert_eq!(count(&other, "certificates"), 3);
        store
            .forget(&BTreeSet::from(["y".into(), "z".into()]))
            .unwrap();
        assert_eq!(keys(&store), ["y"]);
        assert_eq!(count(&other, "certificates"), 3);
        store.forget(&BTreeSet::new()).unwrap();
        assert_eq!(count(&other, "certificates"), 0);
        assert_eq!(count(&other, "mentions"), 0);
    }

    #[test]
    fn an_item_that_cannot_be_read_is_left_out() {
        let changes = [
            "UPDATE remembered SET content = '{}' WHERE key = 'x'",
            "UPDATE remembered SET content = x'ff' WHERE key = 'x'",
            "UPDATE remembered SET content = replace(content, 'active', 'asleep') WHERE key = 'x'",
            // Whoever may write to the database does not thereby say what ought to be served.
            "UPDATE certificates SET der = x'3000' WHERE sha256 IN
                 (SELECT sha256 FROM mentions WHERE key = 'x' EXCEPT SELECT sha256 FROM mentions WHERE key = 'y')",
            "PRAGMA foreign_keys = OFF; DELETE FROM certificates WHERE sha256 IN
                 (SELECT sha256 FROM mentions WHERE key = 'x' EXCEPT SELECT sha256 FROM mentions WHERE key = 'y')",
        ];
        for change in changes {
            let folder = folder();
            let store = open(&folder);
            store.remember("x", &[one("x", 0)]).unwrap();
            store.remember("y", &[one("y", 1)]).unwrap();
            assert_eq!(keys(&store), ["x", "y"]);
            raw(&folder).execute_batch(change).unwrap();
            assert_eq!(keys(&store), ["y"], "{change}");
        }
    }

    #[test]
    fn no_hash_at_all_is_no_expectation() {
        let folder = folder();
        let store = open(&folder);
        let pins = BTreeSet::from([certificate(0).sha256()]);
        let said = remembered("x", Expectation::Fingerprints(pins));
        store.remember("x", &[said]).unwrap();
        raw(&folder)
            .execute_batch(
                "UPDATE remembered SET content = json_set(content, '$.expected', json('{\"fingerprints\":[]}'))",
            )
            .unwrap();
        assert_eq!(keys(&store), [""; 0]);
    }

    fn any_certificate() -> impl Strategy<Value = Certificate> {
        select(CERTIFICATES.clone())
    }

    fn any_instance() -> impl Strategy<Value = Instance> {
        let state = select(vec![
            State::Pending,
            State::Active,
            State::Expired,
            State::Revoked,
            State::Canceled,
            State::Unknown,
        ]);
        let (leaf, chain, root) = (
            any_certificate(),
            vec(any_certificate(), 0..4),
            option::of(any_certificate()),
        );
        let parts = (option::of(any::<u64>()), state, leaf, chain, root);
        parts.prop_map(|(id, state, leaf, chain, root)| Instance {
            id,
            state,
            leaf,
            chain,
            root,
        })
    }

    fn any_expectation() -> impl Strategy<Value = Expectation> {
        let instances = (
            any_instance(),
            vec(any_instance(), 0..3),
            option::of(any_instance()),
            vec(any_instance(), 0..3),
        );
        let instances = instances.prop_map(|(expected, also_accepted, pending, previous)| {
            Expectation::Instances(Box::new(Instances {
                expected,
                also_accepted,
                pending,
                previous,
            }))
        });
        let bytes = || vec(any::<[u8; 4]>(), 1..4);
        prop_oneof![
            4 => instances,
            1 => bytes().prop_map(|all| Expectation::Fingerprints(
                all.iter().map(|b| Fingerprint::of(b)).collect()
            )),
            1 => bytes().prop_map(|all| Expectation::PublicKeys(
                all.iter().map(|b| PublicKeyHash::of(b)).collect()
            )),
            1 => Just(Expectation::TrustOnly),
        ]
    }

    fn any_hostname() -> impl Strategy<Value = Hostname> {
        prop_oneof![
            "[a-z0-9_]{1,9}(-[a-z0-9]{1,3})?(\\.[a-z]{2,9}){1,3}"
                .prop_filter_map("no host", |text| text.parse().ok()),
            any::<std::net::IpAddr>().prop_map(Hostname::Ip),
            Just("bücher.example".parse().unwrap()),
        ]
    }

    fn any_remembered() -> impl Strategy<Value = Remembered> {
        let source = select(vec![
            SourceKind::Sslmate,
            SourceKind::Download,
            SourceKind::Pem,
            SourceKind::Fingerprint,
            SourceKind::PublicKey,
            SourceKind::Trust,
        ]);
        let said = (
            any::<String>(),
            option::of(any::<String>()),
            vec(any_hostname(), 0..4),
            option::of(any::<u64>()),
        );
        let times = (any::<i64>(), option::of(any::<i64>()));
        (said, source, any_expectation(), times).prop_map(
            |((name, common_name, hostnames, awaited), source, what, (fetched, changed))| {
                Remembered {
                    loaded: Loaded {
                        name,
                        common_name,
                        expected: Arc::new(Expected { source, what }),
                        hostnames,
                        awaited,
                    },
                    fetched: Timestamp(fetched),
                    changed: changed.map(Timestamp),
                }
            },
        )
    }

    static SHARED: LazyLock<(TempDir, Store)> = LazyLock::new(|| {
        let folder = folder();
        let store = open(&folder);
        (folder, store)
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn everything_survives_the_round_trip(
            key in any::<String>(),
            said in vec(any_remembered(), 1..4),
        ) {
            let (_, store) = &*SHARED;
            store.forget(&BTreeSet::new()).unwrap();
            store.remember(&key, &said).unwrap();
            let all = store.recall().unwrap();
            prop_assert_eq!(all.len(), 1);
            prop_assert_eq!(&all[0].0, &key);
            assert_same(&all[0].1, &said);
        }
    }
}

mod who_switched_when {
    use super::*;

    fn look(hostname: &str, outcome: Outcome) -> Observation {
        Observation {
            target: Target {
                certificate: "example".into(),
                hostname: hostname.parse().unwrap(),
                port: 443,
                protocol: Protocol::Https,
            },
            ip: Some("192.0.2.1".parse().unwrap()),
            key_type: crate::model::KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome,
        }
    }

    fn flags(correct: bool, chained: bool) -> Flags {
        Flags {
            correct,
            chained,
            dummy: false,
            trusted: None,
            hostname_match: None,
            expired: None,
            not_yet_valid: None,
            revoked: None,
        }
    }

    fn judged(observation: Observation, verdict: Verdict) -> Judged {
        Judged {
            observation,
            expected: None,
            verdict,
            findings: Vec::new(),
            dane: None,
        }
    }

    /// A look at a.example that saw a certificate.
    fn saw(leaf: usize, correct: bool, chained: bool) -> Judged {
        let served = Outcome::Served(Box::new(Served {
            leaf: certificate(leaf),
            rest: Vec::new(),
            tls_version: "1.3",
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            alpn: None,
            revocation: Default::default(),
            key_proof: KeyProof::Handshake,
        }));
        let verdict = Verdict::Conclusive(flags(correct, chained));
        judged(look("a.example", served), verdict)
    }

    fn failed(kind: ErrorKind, message: &str) -> Judged {
        let error = LookError::new(kind, message);
        let observation = look("a.example", Outcome::Failed(error.clone()));
        judged(observation, Verdict::Inconclusive(error))
    }

    fn told(correct: bool, chained: bool, dummy: bool) -> Judged {
        let outcome = Outcome::Told(Told {
            correct,
            chained,
            dummy,
        });
        let mut flags = flags(correct, chained);
        flags.dummy = dummy;
        let mut look = look("a.example", outcome);
        look.vantage = Vantage::named("sslmate");
        judged(look, Verdict::Conclusive(flags))
    }

    fn everything() -> Query {
        Query {
            name: None,
            since: None,
            limit: 1000,
        }
    }

    fn history(store: &Store) -> Vec<Span> {
        store.history(&everything()).unwrap()
    }

    /// Notes these looks, a minute apart, and tells which of them began a span.
    fn beginnings(looks: &[Judged]) -> Vec<i64> {
        let folder = folder();
        let store = open(&folder);
        for (minute, look) in (0..).zip(looks) {
            store.note(std::slice::from_ref(look), at(minute)).unwrap();
        }
        let spans = history(&store);
        let last = at(looks.len() as i64 - 1);
        assert_eq!(spans.last().unwrap().last_seen, last);
        let minutes = spans.iter().map(|s| (s.first_seen.0 - NOW.0) / MINUTE);
        minutes.collect()
    }

    #[test]
    fn the_same_again_only_moves_the_end() {
        use ErrorKind::{ConnectRefused, ConnectTimeout, Internal};
        let same: [&[Judged]; 3] = [
            &[saw(0, true, true), saw(0, true, true), saw(0, true, true)],
            &[told(true, false, true), told(true, false, true)],
            &[
                failed(ConnectRefused, "one"),
                failed(ConnectRefused, "another"),
            ],
        ];
        for looks in same {
            assert_eq!(beginnings(looks), [0]);
        }
        let other = [
            saw(0, true, true),
            saw(1, true, true),
            saw(1, false, true),
            saw(1, false, false),
            failed(ConnectRefused, "x"),
            failed(ConnectTimeout, "x"),
            failed(Internal, "x"),
            saw(4, false, false),
            saw(0, true, true),
        ];
        assert_eq!(beginnings(&other), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let words = [
            told(true, true, false),
            told(true, true, true),
            told(false, true, true),
        ];
        assert_eq!(beginnings(&words), [0, 1, 2]);
    }

    #[test]
    fn a_span_tells_what_was_seen() {
        let folder = folder();
        let store = open(&folder);
        let long = "x".repeat(10_000);
        let mut nowhere = failed(ErrorKind::DnsNxdomain, &long);
        nowhere.observation.ip = None;
        let looks = [
            saw(0, true, false),
            told(false, true, false),
            nowhere,
            saw(4, false, false),
        ];
        for look in &looks {
            store.note(std::slice::from_ref(look), NOW).unwrap();
        }
        store.note(&[saw(4, false, false)], at(1)).unwrap();
        drop(store);

        let spans = history(&Store::open_to_read(folder.path()).unwrap());
        let [served, word, failure, unreadable] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        let leaf = certificate(0);
        let facts = leaf.facts().unwrap();
        let right = Seen::Served {
            sha256: leaf.sha256().to_string(),
            subject: Some(facts.subject.clone()),
            issuer: Some("CN=Intermediate".into()),
            issuer_common_name: Some("Intermediate".into()),
            serial: Some(facts.serial.clone()),
            not_before: Some(facts.not_before),
            not_after: Some(facts.not_after),
        };
        let expected = Span {
            certificate: "example".into(),
            hostname: "a.example".into(),
            ip: Some("192.0.2.1".parse().unwrap()),
            port: 443,
            protocol: "https".into(),
            key_type: "any".into(),
            vantage: "local".into(),
            first_seen: NOW,
            last_seen: NOW,
            seen: right.clone(),
            correct: Some(true),
            chained: Some(false),
            severity: Severity::Ok,
            before: Before::Nothing,
        };
        assert_eq!(*served, expected);
        let expected = Span {
            vantage: "sslmate".into(),
            seen: Seen::Told {
                correct: false,
                chained: true,
                dummy: false,
            },
            correct: Some(false),
            chained: Some(true),
            ..expected
        };
        assert_eq!(*word, expected);
        assert_eq!(
            (failure.ip, failure.correct, failure.chained),
            (None, None, None)
        );
        assert_eq!(failure.severity, Severity::Unknown);
        let Seen::Failed { error_kind, error } = &failure.seen else {
            panic!("{failure:?}");
        };
        assert_eq!(error_kind, "dns_nxdomain");
        assert_eq!(error.chars().count(), 501);
        let Seen::Served {
            sha256, not_after, ..
        } = &unreadable.seen
        else {
            panic!("{unreadable:?}");
        };
        assert_eq!(*sha256, certificate(4).sha256().to_string());
        assert_eq!((*not_after, unreadable.last_seen), (None, at(1)));
        let before = Before::Was {
            seen: right,
            correct: Some(true),
            chained: Some(false),
        };
        assert_eq!(unreadable.before, before);
    }

    #[test]
    fn a_change_of_severity_is_no_new_span() {
        let folder = folder();
        let store = open(&folder);
        store.note(&[saw(0, true, true)], NOW).unwrap();
        let mut worse = saw(0, true, true);
        let finding = Finding::with_severity(Code::Expiring, Severity::Critical, "soon", "renew");
        worse.findings.push(finding);
        store.note(&[worse], at(1)).unwrap();
        let spans = history(&store);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].severity, Severity::Critical);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_nothing_back() {
        let folder = folder();
        let store = open(&folder);
        for minute in [5, 3, 4] {
            store.note(&[saw(0, true, true)], at(minute)).unwrap();
        }
        let spans = history(&store);
        assert_eq!((spans[0].first_seen, spans[0].last_seen), (at(5), at(5)));
        store.note(&[saw(1, true, true)], at(1)).unwrap();
        store.note(&[saw(1, true, true)], at(2)).unwrap();
        assert_eq!(history(&store)[1].last_seen, at(2));
    }

    #[test]
    fn endpoints_do_not_mix() {
        let folder = folder();
        let store = open(&folder);
        let with = |change: fn(&mut Observation)| {
            let mut look = saw(0, true, true);
            change(&mut look.observation);
            look
        };
        let looks = [
            saw(0, true, true),
            with(|o| o.ip = None),
            with(|o| o.ip = Some("2001:db8::1".parse().unwrap())),
            with(|o| o.target.port = 444),
            with(|o| o.target.protocol = Protocol::H3),
            with(|o| o.key_type = crate::model::KeyType::Rsa),
            with(|o| o.target.certificate = "other".into()),
            with(|o| o.target.hostname = "b.example".parse().unwrap()),
            with(|o| o.vantage = Vantage::named("eu")),
        ];
        store.note(&looks, NOW).unwrap();
        store.note(&looks, at(1)).unwrap();
        let spans = history(&store);
        assert_eq!(spans.len(), looks.len());
        assert!(spans.iter().all(|s| s.before == Before::Nothing));
        assert!(spans.iter().all(|s| s.last_seen == at(1)));
    }

    #[test]
    fn history_is_asked_by_name_time_and_number() {
        let folder = folder();
        let store = open(&folder);
        for minute in 0..6 {
            let leaf = (minute % 2) as usize;
            let mut elsewhere = saw(leaf, true, true);
            elsewhere.observation.target.certificate = "other".into();
            elsewhere.observation.target.hostname = "bücher.example".parse().unwrap();
            let looks = [saw(leaf, true, true), elsewhere];
            store.note(&looks, at(minute)).unwrap();
        }
        let ask = |name: Option<&str>, since: Option<i64>, limit| {
            let query = Query {
                name: name.map(Into::into),
                since: since.map(at),
                limit,
            };
            let spans = store.history(&query).unwrap();
            let told = spans.iter().map(|s| {
                let minute = (s.first_seen.0 - NOW.0) / MINUTE;
                (s.certificate.clone(), minute)
            });
            told.collect::<Vec<_>>()
        };
        let own = |minutes: &[i64]| -> Vec<(String, i64)> {
            minutes.iter().map(|m| ("example".into(), *m)).collect()
        };
        assert_eq!(ask(None, None, 100).len(), 12);
        assert_eq!(ask(Some("example"), None, 100), own(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(ask(Some("A.Example."), None, 100), own(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(ask(Some("example"), Some(4), 100), own(&[4, 5]));
        assert_eq!(ask(Some("example"), None, 2), own(&[4, 5]));
        assert_eq!(ask(Some("bücher.example"), None, 100).len(), 6);
        assert_eq!(ask(Some("BÜCHER.example"), None, 0), own(&[]));
        assert_eq!(ask(Some("nobody"), None, 100), own(&[]));
        let names = ["a.example", "example", "other", "xn--bcher-kva.example"];
        assert_eq!(store.names().unwrap(), names.map(String::from).into());
    }

    #[test]
    fn what_is_old_goes_and_what_comes_after_it_knows_that_it_was_not_first() {
        let folder = folder();
        let store = open(&folder);
        let mut gone = saw(1, true, true);
        gone.observation.target.hostname = "gone.example".parse().unwrap();
        store.note(&[saw(0, true, true), gone], NOW).unwrap();
        store.note(&[saw(2, true, true)], at(1)).unwrap();
        store.note(&[saw(2, true, true)], at(9)).unwrap();
        assert_eq!(store.prune(NOW).unwrap(), 0);
        assert_eq!(store.prune(at(5)).unwrap(), 2);
        let spans = history(&store);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].before, Before::Forgotten);
        let other = raw(&folder);
        assert_eq!(count(&other, "endpoints"), 1);
        assert_eq!(count(&other, "leaves"), 1);
    }

    #[test]
    fn what_changes_at_every_look_is_bounded() {
        let folder = folder();
        let store = open(&folder);
        let most = usize::try_from(MAX_SPANS_OF_ENDPOINT).unwrap();
        let looks: Vec<Judged> = (0..most + 5).map(|i| saw(i % 2, true, true)).collect();
        store
            .note(&[failed(ErrorKind::Internal, "first")], NOW)
            .unwrap();
        store.note(&looks, at(1)).unwrap();
        let all = Query {
            limit: most * 2,
            ..everything()
        };
        let spans = store.history(&all).unwrap();
        assert_eq!(spans.len(), most);
        assert!(spans.iter().all(|s| s.first_seen == at(1)));
        assert_eq!(spans[0].before, Before::Forgotten);

        let mut connection = store.connection();
        let dropped = history::prune_to(&mut connection, NOW, 10).unwrap();
        assert_eq!((dropped, count(&connection, "spans")), (most - 10, 10));
    }

    #[test]
    fn it_is_read_while_it_is_written() {
        let folder = folder();
        let store = open(&folder);
        store.note(&[saw(0, true, true)], NOW).unwrap();
        let reader = Store::open_to_read(folder.path()).unwrap();
        let writer = raw(&folder);
        writer
            .execute_batch("BEGIN IMMEDIATE; DELETE FROM spans")
            .unwrap();
        assert_eq!(history(&reader).len(), 1);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(history(&reader).len(), 0);
        let error = reader.note(&[saw(0, true, true)], NOW).unwrap_err();
        assert!(
            error.contains("cannot be written, which reading needs too: run as"),
            "{error}"
        );
    }

    #[test]
    fn a_full_disk_is_told_and_nothing_of_the_call_is_kept() {
        let folder = folder();
        let store = open(&folder);
        store.note(&[saw(0, true, true)], NOW).unwrap();
        // What SQLite does at this bound is what it does where the disk has no more room.
        let pages: i64 = {
            let connection = store.connection();
            let pages = connection.pragma_query_value(None, "page_count", |row| row.get(0));
            let pages = pages.unwrap();
            let set = connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.unwrap();
            pages
        };
        let looks: Vec<Judged> = (0..500).map(|i| saw(i % 2, true, true)).collect();
        let error = store.note(&looks, at(1)).unwrap_err();
        assert!(
            error.contains("the disk is full: make room"),
            "{pages}: {error}"
        );
        assert_eq!(history(&store).len(), 1);
        store.note(&[saw(0, true, true)], at(2)).unwrap();
        assert_eq!(history(&store)[0].last_seen, at(2));
    }
}

mod opening {
    use super::*;

    fn error_of(folder: &Path) -> String {
        let error = Store::open(folder).unwrap_err();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn the_folder_is_made_for_its_owner_alone() {
        let outer = folder();
        let inner = outer.path().join("var/state");
        Store::open(&inner).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&inner).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        Store::open(&inner).unwrap();
    }

    #[test]
    fn what_is_no_folder_is_told() {
        let folder = folder();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(error_of(&file).contains("file: the folder cannot be made"));
        assert!(error_of(&file.join("x")).contains("the folder cannot be made"));
    }

    #[test]
    fn what_is_no_database_of_ours_is_told_and_left_alone() {
        type Spoil = fn(&TempDir);
        let cases: [(&str, Spoil); 5] = [
            ("move the file away, with its -wal", |folder| {
                std::fs::write(folder.path().join(FILE_NAME), "x".repeat(5000)).unwrap();
            }),
            (
                "another program: give another --state-dir, or move",
                |folder| {
                    raw(folder).execute_batch("CREATE TABLE x (y)").unwrap();
                },
            ),
            ("a newer certvigil wrote it (its schema is 99", |folder| {
                open(folder);
                raw(folder).pragma_update(None, "user_version", 99).unwrap();
            }),
            ("a newer certvigil wrote it (its schema is -1", |folder| {
                open(folder);
                raw(folder).pragma_update(None, "user_version", -1).unwrap();
            }),
            ("damaged", |folder| {
                open(folder);
                let file = folder.path().join(FILE_NAME);
                let mut bytes = std::fs::read(&file).unwrap();
                let page = 4096;
                bytes[page..page * 2].fill(0xaa);
                std::fs::write(&file, bytes).unwrap();
            }),
        ];
        for (expected, spoil) in cases {
            let folder = folder();
            spoil(&folder);
            let file = folder.path().join(FILE_NAME);
            let before = std::fs::read(&file).unwrap();
            let error = error_of(folder.path());
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("certvigil.db: "), "{error}");
            assert_eq!(std::fs::read(&file).unwrap(), before, "{expected}");
        }
    }

    #[test]
    fn reading_needs_a_database() {
        let folder = folder();
        let error = Store::open_to_read(folder.path()).unwrap_err();
        assert!(
            error.contains("no such file: give the --state-dir"),
            "{error}"
        );
        assert!(!folder.path().join(FILE_NAME).exists());
        std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
        let error = Store::open_to_read(folder.path()).unwrap_err();
        assert!(error.contains("older certvigil"), "{error}");
    }

    #[test]
    fn a_database_that_is_held_is_told() {
        let folder = folder();
        let store = open(&folder);
        store.connection().busy_timeout(Duration::ZERO).unwrap();
        let other = raw(&folder);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.prune(NOW).unwrap_err();
        assert!(error.contains("another process has held it"), "{error}");
        other
            .execute(
                "INSERT INTO certificates VALUES (?, ?)",
                params!["x", [0_u8]],
            )
            .unwrap();
    }
}
