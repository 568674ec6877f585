//! Tests of the index by severity, with which a page reads only the endpoints that it shows.

use super::*;

/// Kind of result in a generated view.
const KINDS: [Severity; 5] = [
    Severity::Ok,
    Severity::Info,
    Severity::Warning,
    Severity::Unknown,
    Severity::Critical,
];

/// Returns a result of an address with only one finding, of this severity.
fn of_severity(judged: &Judged, target: &Target, ip: u8, severity: Severity) -> Judged {
    let mut judged = judged.clone();
    judged.observation.target = target.clone().into();
    judged.observation.ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip)));
    judged.findings = Vec::new();
    match severity {
        Severity::Ok => {}
        Severity::Unknown => {
            let error = ProbeError::new(ErrorKind::ConnectTimeout, "no answer");
            judged.observation.outcome = Outcome::Failed(error.clone());
            judged = Judged::failed(judged.observation, error);
        }
        _ => {
            let mut finding = Finding::new(Detail::WrongCertificate {
                served: None,
                is_newer: false,
                expected: Wanted::Fingerprint,
            });
            finding.severity = severity;
            judged.findings.push(finding);
        }
    }
    assert_eq!(judged.severity(), severity);
    judged
}

/// Certificate in a generated view: its hosts, each with the results of its addresses by
/// severity, and their age in intervals.
type GeneratedHosts = Vec<(Vec<u8>, i64)>;

fn generated() -> impl Strategy<Value = Vec<GeneratedHosts>> {
    let severity = prop_oneof![12 => Just(0_u8), 1 => 0_u8..5];
    let age = prop_oneof![9 => Just(0_i64), 1 => 0_i64..4];
    let host = (prop::collection::vec(severity, 0..4), age);
    prop::collection::vec(prop::collection::vec(host, 0..4), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The index gives the same page as all endpoints, with every filter and order, at any time.
    #[test]
    fn overview_from_the_index_is_the_same_as_from_all_endpoints(
        certificates in generated(), later in 0_i64..1500,
    ) {
        let leaf = leaf_named("www.example.com");
        let expected = expecting(&leaf, &[]);
        let any = result(&target("any", 1), 1, Vantage::LOCAL, serving(&leaf), &expected);
        let mut state = State::new();
        for (number, hosts) in certificates.iter().enumerate() {
            let name = format!("c{number:02}");
            state.add(&name, &expected, Vec::new());
            for (host, (severities, age)) in hosts.iter().enumerate() {
                let target = target(&name, host);
                let results = (1..).zip(severities).map(|(ip, severity)| {
                    of_severity(&any, &target, ip, KINDS[usize::from(*severity)])
                });
                let results: Vec<Judged> = results.collect();
                state.add(&name, &expected, vec![(target.clone(), Vec::new())]);
                if !results.is_empty() {
                    let at = Timestamp(NOW.0 - age * 300);
                    let probed = TargetResults::probed(&target, results, at, None);
                    state.results.push(Arc::new(probed));
                }
            }
        }
        let mut view = state.view();
        for now in [NOW, Timestamp(NOW.0 + later)] {
            view.now = now;
            let endpoints = view.endpoints();
            let (counts, stale) = view.counts();
            for severity in KINDS {
                let count = endpoints.iter().filter(|e| e.severity == severity).count();
                prop_assert_eq!(counts.of(severity), count);
            }
            prop_assert_eq!(stale, endpoints.iter().filter(|e| e.stale.is_some()).count());
            for query in [
                "", "page=2", "page=99", "severity=problems", "severity=critical", "severity=unknown",
                "severity=warning", "severity=warning&page=2", "problems_sort=host",
            ] {
                let filter = Filter::read(&Query::parse(Some(query)));
                prop_assert!(selection::is_indexed(&filter), "{}", query);
                let all = selection::Selection::of_all(&view, &filter);
                let wanted = overview::write(&view, &filter, (&counts, stale), &all);
                prop_assert_eq!(overview::page(&view, &filter), wanted, "{}", query);
            }
        }
    }
}

#[test]
fn page_that_needs_all_endpoints_in_order_is_not_indexed() {
    for query in [
        "q=x",
        "certificate=a",
        "severity=ok",
        "severity=info",
        "certificates_page=2",
        "certificates_sort=expires",
        "addresses_sort=-host",
        "severity=problems&certificates_sort=-addresses",
    ] {
        let filter = Filter::read(&Query::parse(Some(query)));
        assert!(!selection::is_indexed(&filter), "{query}");
    }
}

#[test]
fn information_of_many_addresses_is_counted_up_to_a_limit() {
    let leaf = leaf_named("www.example.com");
    let expected = expecting(&leaf, &[]);
    let any = result(
        &target("any", 1),
        1,
        Vantage::LOCAL,
        serving(&leaf),
        &expected,
    );
    let heading = |hosts: usize| {
        let mut state = State::new();
        for number in 0..hosts {
            let name = format!("c{number:04}");
            let target = target(&name, number);
            let results = vec![of_severity(&any, &target, 1, Severity::Info)];
            state.add(&name, &expected, vec![(target, results)]);
        }
        let page = get(&state.view(), "/", "");
        assert_eq!(
            page.contains("Only the first 1000 addresses are counted here"),
            hosts > selection::MAX_NOTED
        );
        between(&page, "<h2>Information, no fix needed: ", "</h2>").to_owned()
    };
    assert_eq!(heading(2), "1");
    assert_eq!(heading(selection::MAX_NOTED + 1), "at least 1");
}

/// Prints the cost of the first page and of the problems, from the index and from all endpoints:
/// `cargo test --lib page_cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn page_cost() {
    const FAILING: usize = 500;
    const PAGES: u32 = 20;
    let leaf = leaf_named("www.example.com");
    let expected = expecting(&leaf, &[]);
    let any = result(
        &target("any", 1),
        1,
        Vantage::LOCAL,
        serving(&leaf),
        &expected,
    );
    for endpoints in [10_000, 100_000] {
        let mut state = State::new();
        for number in 0..endpoints {
            let name = format!("c{number}");
            let target = target(&name, number);
            let severity = match number % (endpoints / FAILING) {
                0 => Severity::Critical,
                _ => Severity::Ok,
            };
            let results = vec![of_severity(&any, &target, 1, severity)];
            state.add(&name, &expected, vec![(target, results)]);
        }
        let view = state.view();
        for query in ["", "severity=problems"] {
            let filter = Filter::read(&Query::parse(Some(query)));
            let start = std::time::Instant::now();
            for _ in 0..PAGES {
                assert!(overview::page(&view, &filter).contains("500 of"));
            }
            let indexed = start.elapsed() / PAGES;
            let start = std::time::Instant::now();
            let (counts, stale) = view.counts();
            let all = selection::Selection::of_all(&view, &filter);
            overview::write(&view, &filter, (&counts, stale), &all);
            let whole = start.elapsed();
            println!("{endpoints} endpoints, `/?{query}`: {indexed:?}; from all {whole:?}");
        }
    }
}
