//! Tests of the change history.

use std::sync::Arc;

use super::*;
use crate::finding::{Detail, Finding, LeafValidity, Severity};
use crate::judge::{Flags, Judged, Verdict};
use crate::model::{Protocol, Target, Timings, Vantage};
use crate::observation::{
    ErrorKind, KeyProof, Observation, Outcome, ProbeError, Reported, Served, TlsVersion,
};
use crate::store::history::prune_to;
use crate::store::{Before, MAX_SPANS_OF_ENDPOINT, Query, Replacement, Seen, Span};

fn look(hostname: &str, outcome: Outcome) -> Observation {
    Observation {
        target: Target {
            certificate: "example".into(),
            hostname: hostname.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
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
        clients: None,
        path_expiry: None,
        thresholds: None,
        notes: Arc::default(),
        dane: None,
    }
}

/// Returns the result of a probe of a.example that saw a certificate.
pub(super) fn saw(leaf: usize, correct: bool, chained: bool) -> Judged {
    let served = Outcome::Served(Box::new(Served {
        leaf: certificate(leaf),
        rest: Vec::new(),
        tls_version: TlsVersion::Tls13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        alpn: None,
        revocation: Default::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
        failure: None,
        ech: None,
    }));
    let verdict = Verdict::Conclusive(flags(correct, chained));
    judged(look("a.example", served), verdict)
}

fn failed(kind: ErrorKind, message: &str) -> Judged {
    let error = ProbeError::new(kind, message);
    let observation = look("a.example", Outcome::Failed(error.clone()));
    judged(observation, Verdict::Inconclusive(error))
}

fn reported(correct: bool, chained: bool, dummy: bool) -> Judged {
    let outcome = Outcome::Reported(Reported {
        correct,
        chained,
        dummy,
        peer: None,
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

/// Records these results, one minute apart, and returns the minutes at which a span starts.
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
fn unchanged_result_extends_the_last_span() {
    use ErrorKind::{ConnectRefused, ConnectTimeout, Internal};
    let same: [&[Judged]; 3] = [
        &[saw(0, true, true), saw(0, true, true), saw(0, true, true)],
        &[reported(true, false, true), reported(true, false, true)],
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
        reported(true, true, false),
        reported(true, true, true),
        reported(false, true, true),
    ];
    assert_eq!(beginnings(&words), [0, 1, 2]);
}

#[test]
fn span_records_the_result_of_the_probe() {
    let folder = folder();
    let store = open(&folder);
    let long = "x".repeat(10_000);
    let mut nowhere = failed(ErrorKind::DnsNxdomain, &long);
    nowhere.observation.ip = None;
    let looks = [
        saw(0, true, false),
        reported(false, true, false),
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
        replacement: None,
        labels: Default::default(),
    };
    assert_eq!(*served, expected);
    let expected = Span {
        vantage: "sslmate".into(),
        seen: Seen::Reported {
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
fn each_new_certificate_is_compared_with_the_last_one() {
    let folder = folder();
    let store = open(&folder);
    let results = [
        saw(0, true, true),
        failed(ErrorKind::ConnectRefused, "x"),
        saw(0, true, true),
        saw(6, true, true),
        saw(6, false, true),
        failed(ErrorKind::ConnectRefused, "x"),
        saw(1, true, true),
        saw(4, true, true),
        saw(0, true, true),
    ];
    for (minute, result) in (0..).zip(&results) {
        store
            .note(std::slice::from_ref(result), at(minute))
            .unwrap();
    }
    let spans = history(&store);
    let changes: Vec<Option<String>> = spans
        .iter()
        .map(|span| span.replacement.as_ref().map(ToString::to_string))
        .collect();
    // Certificate 6 renews certificate 0. Certificate 4 cannot be read.
    let lost = "material change: it is no longer valid for `a.example`";
    let wanted = [
        None,
        None,
        None,
        Some("renewal"),
        None,
        None,
        Some(lost),
        None,
        None,
    ];
    assert_eq!(changes, wanted.map(|text| text.map(str::to_owned)));
    assert_eq!(spans[3].replacement, Some(Replacement::Renewal));
}

#[test]
fn return_to_an_earlier_certificate_is_not_a_renewal() {
    let folder = folder();
    let store = open(&folder);
    for (minute, leaf) in [7, 0, 7, 0].into_iter().enumerate() {
        let result = saw(leaf, true, true);
        let at = at(minute.try_into().unwrap());
        store.note(std::slice::from_ref(&result), at).unwrap();
    }
    let changes = history(&store).into_iter().map(|span| span.replacement);
    let wanted = [
        None,
        Some(Replacement::Renewal),
        Some(Replacement::Older),
        Some(Replacement::Renewal),
    ];
    assert_eq!(changes.collect::<Vec<_>>(), wanted);
    assert_eq!(Replacement::Older.to_string(), "older certificate");
}

#[test]
fn labels_are_those_of_the_last_probe() {
    let folder = folder();
    let store = open(&folder);
    let with = |team: &str| {
        let mut judged = saw(0, true, true);
        let labels = [("team".to_owned(), team.to_owned())];
        judged.notes = Arc::new(crate::finding::EntryNotes {
            labels: labels.into(),
            ..Default::default()
        });
        judged
    };
    let labels = || {
        history(&store)[0]
            .labels
            .values()
            .cloned()
            .collect::<String>()
    };
    store.note(&[saw(0, true, true)], NOW).unwrap();
    assert_eq!(labels(), "");
    store.note(&[with("web")], at(1)).unwrap();
    assert_eq!(labels(), "web");
    store.note(&[with("web")], at(2)).unwrap();
    store.note(&[with("mail")], at(3)).unwrap();
    assert_eq!(labels(), "mail");
    store.note(&[saw(0, true, true)], at(4)).unwrap();
    assert_eq!(labels(), "");
}

#[test]
fn severity_change_does_not_start_a_new_span() {
    let folder = folder();
    let store = open(&folder);
    store.note(&[saw(0, true, true)], NOW).unwrap();
    let mut worse = saw(0, true, true);
    let detail = Detail::Expiring(LeafValidity {
        not_after: at(60),
        judged_at: NOW,
        is_newer_expected: false,
    });
    let finding = Finding::with_severity(Severity::Critical, detail);
    worse.findings.push(finding);
    store.note(&[worse], at(1)).unwrap();
    let spans = history(&store);
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].severity, Severity::Critical);
}

#[test]
fn clock_set_back_does_not_shorten_the_history() {
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
fn each_endpoint_has_its_own_spans() {
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
        with(|o| Arc::make_mut(&mut o.target).port = 444),
        with(|o| Arc::make_mut(&mut o.target).protocol = Protocol::H3),
        with(|o| o.key_type = crate::model::KeyType::Rsa),
        with(|o| Arc::make_mut(&mut o.target).certificate = "other".into()),
        with(|o| Arc::make_mut(&mut o.target).hostname = "b.example".parse().unwrap()),
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
fn history_is_queried_by_name_time_and_limit() {
    let folder = folder();
    let store = open(&folder);
    for minute in 0..6 {
        let leaf = (minute % 2) as usize;
        let mut elsewhere = saw(leaf, true, true);
        Arc::make_mut(&mut elsewhere.observation.target).certificate = "other".into();
        Arc::make_mut(&mut elsewhere.observation.target).hostname =
            "bücher.example".parse().unwrap();
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
        let reported = spans.iter().map(|s| {
            let minute = (s.first_seen.0 - NOW.0) / MINUTE;
            (s.certificate.clone(), minute)
        });
        reported.collect::<Vec<_>>()
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
fn pruning_removes_old_spans_and_marks_the_predecessor_forgotten() {
    let folder = folder();
    let store = open(&folder);
    let mut gone = saw(1, true, true);
    Arc::make_mut(&mut gone.observation.target).hostname = "gone.example".parse().unwrap();
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
fn spans_per_endpoint_are_bounded() {
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
    let dropped = prune_to(&mut connection, NOW, 10).unwrap();
    assert_eq!((dropped, count(&connection, "spans")), (most - 10, 10));
}

#[test]
fn history_is_readable_during_a_write() {
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
    let error = reader
        .note(&[saw(0, true, true)], NOW)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot be written, which reading needs too: run as"),
        "{error}"
    );
}

#[test]
fn full_disk_is_reported_and_the_write_is_rolled_back() {
    let folder = folder();
    let store = open(&folder);
    store.note(&[saw(0, true, true)], NOW).unwrap();
    // SQLite reports this limit as it reports a full disk.
    let pages: i64 = {
        let connection = store.connection();
        let pages = connection.pragma_query_value(None, "page_count", |row| row.get(0));
        let pages = pages.unwrap();
        let set = connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        set.unwrap();
        pages
    };
    let looks: Vec<Judged> = (0..500).map(|i| saw(i % 2, true, true)).collect();
    let error = store.note(&looks, at(1)).unwrap_err().to_string();
    assert!(
        error.contains("the disk is full: make room"),
        "{pages}: {error}"
    );
    // The first of them needs no space, and is not recorded either.
    let [span] = &history(&store)[..] else {
        panic!("{:?}", history(&store));
    };
    assert_eq!(span.last_seen, NOW);
    store.note(&[saw(0, true, true)], at(2)).unwrap();
    assert_eq!(history(&store)[0].last_seen, at(2));
}
