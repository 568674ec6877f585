//! Tests of whole pages: with constructed states, and with hostile external text.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;

use crate::certificate::{Certificate, Unusable};
use crate::config::{Defaults, Entry, Include, SourceSettings};
use crate::finding::{
    Client, ClientRefusal, Code, Detail, Finding, Refused, Severity, TlsaMismatch, Wanted,
};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::judge::{Judged, Rules, TrustStore, judge};
use crate::model::{KeyType, Protocol, Target, Timestamp, Timings, Vantage};
use crate::observation::{
    ErrorKind, KeyProof, Observation, Outcome, ProbeError, Revocation, Served, TlsVersion,
};
use crate::source::{Loaded, SourceFailure, TargetFiles};
use crate::store::Store;
use crate::testbed::authority::{Authority, Key, Validity};
use crate::tlsa::TlsaRecord;

use super::super::expectations::{Kept, Watch};
use super::super::plan::{Plan, Planned};
use super::super::snapshot::{Reload, ResultMap, TargetResults, VantageStatus};
use super::*;

const NOW: Timestamp = Timestamp(1_795_000_000);
const HOUR: i64 = 3600;

/// Returns a leaf with this common name.
fn leaf_named(name: &str) -> Certificate {
    let mut params = rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Certificate::from_der(certificate.der().to_vec())
}

fn leaves(count: usize) -> Vec<Certificate> {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let names = ["www.example.com".to_owned()];
    let issue = |_| {
        let validity = Validity::around(NOW, 10, 80);
        let issued = root.issue(&names, validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    (0..count).map(issue).collect()
}

fn target(certificate: &str, number: usize) -> Target {
    Target {
        certificate: certificate.into(),
        hostname: format!("h{number}.example.com").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

fn expecting(leaf: &Certificate, previous: &[Certificate]) -> Arc<Expected> {
    let instance = |leaf: &Certificate| Instance::from_chain(vec![leaf.clone()]).unwrap();
    let mut instances = Instances::only(instance(leaf));
    instances.previous = previous.iter().map(instance).collect();
    Arc::new(Expected {
        source: SourceKind::Sslmate,
        what: Expectation::Instances(Box::new(instances)),
    })
}

fn serving(leaf: &Certificate) -> Outcome {
    Outcome::Served(Box::new(Served {
        leaf: leaf.clone(),
        rest: Vec::new(),
        tls_version: TlsVersion::Tls13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        alpn: None,
        revocation: Revocation::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
        failure: None,
        ech: None,
    }))
}

fn result(
    target: &Target,
    ip: u8,
    vantage: &str,
    outcome: Outcome,
    expected: &Arc<Expected>,
) -> Judged {
    let observation = Observation {
        target: target.clone().into(),
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip))),
        key_type: KeyType::Any,
        vantage: Vantage::named(vantage),
        timings: Timings::default(),
        outcome,
    };
    let mut judged = judge(
        Some(expected),
        observation,
        &TrustStore::default(),
        &Rules::default(),
        NOW,
    );
    // No trusted root is loaded, so findings about trust are removed.
    let reported = [Code::WrongCertificate, Code::PreviousInstance];
    judged.findings.retain(|f| reported.contains(&f.code()));
    judged
}

/// Builder of a view.
struct State {
    plan: Plan,
    results: Vec<Arc<TargetResults>>,
}

impl State {
    fn new() -> Self {
        Self {
            plan: Plan::default(),
            results: Vec::new(),
        }
    }

    /// Adds a certificate, with results of its targets.
    fn add(
        &mut self,
        name: &str,
        expected: &Arc<Expected>,
        probed: Vec<(Target, Vec<Judged>)>,
    ) -> &mut Watch {
        let kept = Kept {
            loaded: Arc::new(Loaded {
                name: name.into(),
                common_name: None,
                expected: expected.clone(),
                hostnames: Vec::new(),
                found: Vec::new(),
                awaited: None,
            }),
            fetched: NOW,
            changed: None,
        };
        for (target, results) in probed {
            let planned = Planned {
                key: name.into(),
                expectation: Ok(kept.clone()),
            };
            self.plan.targets.insert(target.clone().into(), planned);
            if !results.is_empty() {
                let mut probed = TargetResults::probed(&target, results, NOW, None);
                probed.set_next(&Vantage::local(), Some(NOW));
                self.results.push(Arc::new(probed));
            }
        }
        let mut watch = Watch::new(Entry::new(SourceSettings::Sslmate(name.into())));
        watch.kept.push(kept);
        watch.up = Some(true);
        Arc::make_mut(
            self.plan
                .watches
                .entry(name.into())
                .or_insert_with(|| Arc::new(watch)),
        )
    }

    fn view(self) -> View {
        let mut results = ResultMap::default();
        self.results.into_iter().for_each(|one| results.put(one));
        View {
            now: NOW,
            base: Arc::from(""),
            plan: Arc::new(Plan::new(
                self.plan.watches,
                self.plan.targets,
                &Plan::default(),
            )),
            results,
            monitor: view::Monitor {
                is_ready: true,
                reload: Reload {
                    error: None,
                    succeeded: NOW,
                },
                cycle: None,
                lag: Duration::ZERO,
                under_way: 0,
                uptime: Duration::ZERO,
                interval: Duration::from_secs(300),
                grace: Duration::from_secs(1800),
                vantages: Arc::new([]),
            },
            target_files: Arc::default(),
            state: None,
        }
    }
}

fn get(view: &View, path: &str, query: &str) -> String {
    let place = Location::read(path).unwrap_or_else(|| panic!("{path}"));
    let filter = Filter::read(&Query::parse(Some(query)));
    write(view, &place, &filter).1
}

/// Returns all pages of the certificates and endpoints in a view, and the overview.
fn pages(view: &View) -> Vec<String> {
    let endpoints = view.endpoints();
    let certificates = view.certificates(&endpoints);
    let paths = certificates.iter().map(|c| c.address());
    let paths = paths.chain(endpoints.iter().map(|endpoint| endpoint.address()));
    let mut pages: Vec<String> = paths
        .map(|address| {
            let page = get(view, address.as_str(), "");
            assert!(!page.contains("<h1>Not here"), "{address:?}");
            page
        })
        .collect();
    pages.push(get(view, "/", ""));
    pages
}

/// Returns the tags of a page in order, with the names of their attributes.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (mut tag, mut is_quoted, mut length) = (String::new(), false, 0);
        for c in after.chars() {
            length += c.len_utf8();
            match c {
                '"' => is_quoted = !is_quoted,
                '>' if !is_quoted => break,
                c if !is_quoted => tag.push(c),
                _ => {}
            }
        }
        rest = &after[length..];
        // The number of `code` elements depends on the text of messages.
        if tag.trim_start_matches('/') != "code" {
            tags.push(tag);
        }
    }
    tags
}

/// Returns findings of three severities, with this text in every field that can contain external
/// text.
fn findings_with(text: &str) -> [Finding; 3] {
    let mismatch = Detail::TlsaMismatch {
        name: text.to_owned(),
        is_authenticated: true,
        mismatch: TlsaMismatch::PendingOnly,
        publish: TlsaRecord {
            usage: 3,
            selector: 1,
            matching_type: 1,
            data: vec![0; 32],
        },
    };
    let staple = Detail::BadOcspStaple {
        fault: Unusable::NotAuthorised(text.to_owned()),
        responder: Some(text.to_owned()),
    };
    let refused = Detail::RefusedByClients(Refused::Chain {
        refusals: vec![ClientRefusal {
            clients: vec![Client::Go],
            refusal: text.to_owned().into(),
        }],
        accepted_by: vec![Client::Java],
    });
    [
        Finding::new(mismatch),
        Finding::new(staple),
        Finding::with_severity(Severity::Info, refused),
    ]
}

#[test]
fn a_result_older_than_two_intervals_is_shown_as_stale_and_not_as_ok() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let judged = result(&target, 1, Vantage::LOCAL, serving(leaf), &expected);
    let mut state = State::new();
    state.add("web", &expected, vec![(target, vec![judged])]);
    let mut view = state.view();
    let path = view.endpoints()[0].address().as_str().to_owned();
    let interval = i64::try_from(view.monitor.interval.as_secs()).unwrap();
    view.now = Timestamp(NOW.0 + 2 * interval);
    assert_eq!(view.endpoints()[0].severity, Severity::Ok);
    assert!(!get(&view, "/", "").contains("stale, of"));

    view.now = Timestamp(NOW.0 + 2 * interval + 1);
    assert_eq!(view.endpoints()[0].severity, Severity::Unknown);
    let page = get(&view, "/", "");
    assert!(
        page.contains("The results of 1 address are stale"),
        "{page}"
    );
    assert!(page.contains("stale, of 10 minutes ago"), "{page}");
    assert!(!page.contains("headline ok"), "{page}");
    let page = get(&view, &path, "");
    assert!(
        page.contains("older than two intervals of 5 minutes"),
        "{page}"
    );
}

#[test]
fn status_page_shows_since_when_a_vantage_is_down() {
    let mut view = State::new().view();
    let status = |is_up: bool| VantageStatus {
        vantage: Vantage::named("eu-west"),
        is_up: Some(is_up),
        failing_since: (!is_up).then_some(Timestamp(NOW.0 - 2 * HOUR)),
        oldest_due: None,
    };
    view.monitor.vantages = Arc::new([status(false)]);
    let page = get(&view, "/", "");
    assert!(page.contains("The vantage eu-west is down"), "{page}");
    assert!(page.contains("2 hours ago"), "{page}");
    view.monitor.vantages = Arc::new([status(true)]);
    assert!(!get(&view, "/", "").contains("eu-west is down"));
}

/// Returns a view with this text in every field that can contain external text.
fn with_text_everywhere(text: &str, leaf: &Certificate) -> View {
    let mut state = State::new();
    let expected = expecting(&leaves(1)[0], &[]);
    let name = format!("c{text}");
    let target = target(&name, 1);
    let mut served = result(&target, 1, "local", serving(leaf), &expected);
    served.findings.extend(findings_with(text));
    let error = ProbeError {
        seems: None,
        alert: None,
        sent: None,
        is_of_vantage: false,
        kind: ErrorKind::TlsProtocol,
        message: text.to_owned(),
    };
    let failed = result(&target, 2, "local", Outcome::Failed(error), &expected);
    let vantage = format!("v{text}");
    let reported = result(&target, 1, &vantage, serving(leaf), &expected);
    let watch = state.add(
        &name,
        &expected,
        vec![(target, vec![served, reported, failed])],
    );
    watch.failure = Some(SourceFailure {
        since: NOW,
        error: text.to_owned(),
    });
    let mut view = state.view();
    view.monitor.reload.error = Some(text.to_owned());
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn external_text_never_becomes_an_html_tag(
        pieces in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,12}",
                any::<String>(),
                Just("<script>alert(1)</script>".to_owned()),
                Just("\" onload=\"alert(1)".to_owned()),
                Just("'><img src=x onerror=alert(1)>".to_owned()),
                Just("javascript:alert(1)".to_owned()),
                Just("--><!--".to_owned()),
                Just("</title></textarea></style>".to_owned()),
                Just("&lt;b&gt;".to_owned()),
                Just("\u{202e}\u{0}\r\n".to_owned()),
            ],
            1..5,
        )
    ) {
        let text = format!("x{}", pieces.concat());
        let wanted = pages(&with_text_everywhere("xharmless", &leaf_named("harmless")));
        let written = pages(&with_text_everywhere(&text, &leaf_named(&format!("h{text}"))));
        prop_assert_eq!(wanted.len(), written.len());
        for (wanted, written) in wanted.iter().zip(&written) {
            prop_assert_eq!(tags(wanted), tags(written));
            let unseen = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
            prop_assert!(!written.contains(unseen));
        }
    }
}

#[test]
fn page_size_is_bounded_for_many_addresses_and_long_texts() {
    let long = leaf_named(&"<&>".repeat(1_000));
    let expected = expecting(&leaves(1)[0], &[]);
    let mut state = State::new();
    let text = "'".repeat(2_000);
    let first = target("certificate-0", 0);
    let at_first = (1..=5).map(|ip| {
        let mut judged = result(&first, ip, "local", serving(&long), &expected);
        let words = format!("{ip} {text}");
        judged.findings.extend(findings_with(&words));
        judged
    });
    let at_first: Vec<Judged> = at_first.collect();
    for number in 0..2_000 {
        let name = format!("certificate-{number}");
        let target = target(&name, number);
        let of_target = Arc::new(target.clone());
        let results = at_first.iter().cloned().map(|mut judged| {
            judged.observation.target = of_target.clone();
            judged
        });
        let results = results.collect();
        state.add(&name, &expected, vec![(target, results)]);
    }
    let view = state.view();
    assert_eq!(view.endpoints().len(), 10_000);
    for (path, query) in [
        ("/", ""),
        ("/", "severity=critical&q=h1&page=7&certificates_page=3"),
        ("/certificates/certificate-7", ""),
    ] {
        let page = get(&view, path, query);
        assert!(page.len() < MAX_PAGE_BYTES, "{path}: {}", page.len());
    }
    let page = get(&view, "/", "page=200");
    assert!(page.contains("Addresses 9951 to 10000 of 10000"));
    assert!(page.contains("more characters"));
}

#[test]
fn fault_at_many_addresses_is_shown_once() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let mut results: Vec<Judged> = (1..=6)
        .map(|ip| result(&target, ip, "local", serving(&leaves[1]), &expected))
        .collect();
    results.push(result(&target, 7, "local", serving(&leaves[0]), &expected));
    // The result of another vantage is the same, and does not count as another address.
    results.push(result(
        &target,
        1,
        "sslmate",
        serving(&leaves[1]),
        &expected,
    ));
    let mut state = State::new();
    state.add("web", &expected, vec![(target, results)]);
    let view = state.view();
    let page = get(&view, "/", "");
    assert!(page.contains("<h1 id=\"headline\">6 of 7 addresses are critical</h1>"));
    assert_eq!(page.matches("class=\"fault critical\"").count(), 1);
    assert!(page.contains(", 6 addresses</span>"));
    assert!(page.contains("192.0.2.1:443</a>, from here and sslmate"));
    assert!(page.contains("Fix:"));
    assert!(page.contains("href=\"/docs/findings/wrong_certificate\""));
    // Faults precede everything else.
    let place = |words: &str| page.find(words).unwrap();
    assert!(place("id=\"wrong\"") < place("id=\"certificates\""));
    assert!(place("id=\"certificates\"") < place("id=\"addresses\""));
}

#[test]
fn filter_selects_addresses_by_severity_certificate_and_text() {
    let leaves = leaves(2);
    let mut state = State::new();
    for (name, served) in [("good", &leaves[0]), ("bad", &leaves[1])] {
        let expected = expecting(&leaves[0], &[]);
        let target = target(name, 1);
        let result = result(&target, 1, "local", serving(served), &expected);
        state.add(name, &expected, vec![(target, vec![result])]);
    }
    let view = state.view();
    let rows = |query: &str| {
        let page = get(&view, "/", query);
        let (_, rest) = page.split_once("id=\"addresses\"").unwrap();
        let (rows, _) = rest.split_once("id=\"sources\"").unwrap();
        BTreeMap::from(
            ["good", "bad"].map(|name| (name, rows.contains(&format!("/certificates/{name}/")))),
        )
    };
    let only =
        |name: &'static str| BTreeMap::from(["good", "bad"].map(|other| (other, other == name)));
    assert_eq!(rows("severity=critical"), only("bad"));
    assert_eq!(rows("severity=ok"), only("good"));
    assert_eq!(rows("certificate=good"), only("good"));
    assert_eq!(rows("q=WRONG+certificate"), only("bad"));
    assert_eq!(rows(&format!("q={}", leaves[1].sha256())), only("bad"));
    assert_eq!(rows("q=nowhere"), only("neither"));
    assert_eq!(rows("").values().filter(|is_there| **is_there).count(), 2);
    // The form shows the selected values.
    assert!(
        get(&view, "/", "severity=critical").contains("<option value=\"critical\" selected=\"\">")
    );
    assert!(get(&view, "/", "q=a%22b").contains("value=\"a&quot;b\""));
    assert!(get(&view, "/", "severity=warning").contains("None match the filter"));
}

#[test]
fn rollout_lists_updated_and_outdated_addresses() {
    let leaves = leaves(3);
    let expected = expecting(&leaves[1], &leaves[..1]);
    let target = target("web", 1);
    let serve = |which: [usize; 4]| {
        let results = (1..)
            .zip(which)
            .map(|(ip, which)| result(&target, ip, "local", serving(&leaves[which]), &expected));
        results.collect::<Vec<Judged>>()
    };
    let long_ago = Timestamp(NOW.0 - 2 * HOUR);
    let before = TargetResults::probed(&target, serve([0, 0, 0, 2]), long_ago, None);
    let after = TargetResults::probed(
        &target,
        serve([1, 1, 0, 2]),
        Timestamp(NOW.0 - HOUR),
        Some(&before),
    );
    let now = TargetResults::probed(&target, serve([1, 1, 0, 2]), NOW, Some(&after));
    let mut state = State::new();
    let watch = state.add("web", &expected, vec![(target.clone(), Vec::new())]);
    watch.kept[0].changed = Some(Timestamp(NOW.0 - 3 * HOUR));
    state.results.push(Arc::new(now));
    let view = state.view();
    let page = get(&view, "/certificates/web", "");
    assert!(page.contains("<strong>2 of 4 addresses</strong> serve the new instance"));
    assert!(page.contains("<progress value=\"2\" max=\"4\""));
    let (_, rollout) = page.split_once("id=\"rollout\"").unwrap();
    let side = |heading: &str| {
        let (_, rest) = rollout.split_once(heading).unwrap();
        rest.split_once("</ul>").unwrap().0.to_owned()
    };
    let old = side("Previous instance: 1");
    assert!(
        old.contains("192.0.2.3:443") && old.contains("at least since"),
        "{old}"
    );
    let switched = Timestamp(NOW.0 - HOUR).to_string();
    let new = side("New instance: 2");
    assert!(
        new.contains("192.0.2.1:443") && new.contains(&switched),
        "{new}"
    );
    assert!(!new.contains("at least"), "{new}");
    assert!(side("Other certificate or no result: 1").contains("192.0.2.4:443"));
    assert!(
        get(&view, "/", "").contains("2 of 4 ok; 2 of 4 addresses serve the new certificate</div>")
    );
}

#[test]
fn unavailable_source_is_shown_with_its_outage_and_result_age() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let result = result(&target, 1, "local", serving(leaf), &expected);
    let mut state = State::new();
    let watch = state.add("web", &expected, vec![(target, vec![result])]);
    watch.kept[0].fetched = Timestamp(NOW.0 - 5 * HOUR);
    watch.failure = Some(SourceFailure {
        since: Timestamp(NOW.0 - 4 * HOUR),
        error: "sslmate: the connection was refused".into(),
    });
    let page = get(&state.view(), "/", "");
    assert!(page.contains("The only address serves the expected certificate"));
    for words in [
        "Source sslmate is unavailable",
        "(4 hours ago)",
        "(5 hours ago)",
        "sslmate: the connection was refused.",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn files_of_targets_are_sources_with_their_last_success_and_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.json");
    let patterns = [Include {
        pattern: file.clone(),
        line: 1,
    }];
    let read = |before: Option<&TargetFiles>, hours: i64| {
        let now = Timestamp(NOW.0 - hours * HOUR);
        Arc::new(TargetFiles::read(
            &patterns,
            &Defaults::default(),
            before,
            now,
        ))
    };
    let page = |files: Arc<TargetFiles>| {
        let mut view = State::new().view();
        view.target_files = files;
        get(&view, "/", "")
    };
    std::fs::write(&file, r#"[{"targets": ["a.example", "b.example"]}]"#).unwrap();
    let files = read(None, 5);
    let name = format!("file_sd: {}", file.display());
    let good = page(files.clone());
    assert!(
        good.contains(&name) && good.contains("(5 hours ago)"),
        "{good}"
    );
    assert!(!good.contains("is unavailable"));
    std::fs::write(&file, "[{").unwrap();
    let broken = page(read(Some(&files), 4));
    for words in [
        format!("Source {name} is unavailable"),
        "(4 hours ago)".into(),
        "(5 hours ago)".into(),
    ] {
        assert!(broken.contains(&words), "{words}: {broken}");
    }
}

#[test]
fn history_says_of_each_change_whether_it_is_a_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut state = State::new();
    let validity = Validity::around(NOW, 100, 1000);
    let root = Authority::root("Root", validity).unwrap();
    let issue = |name: &str| {
        let issued = root.issue(&[name.into()], validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    let served = ["www.example.com", "www.example.com", "other.example.com"].map(issue);
    let expected = expecting(&served[0], &[]);
    let target = target("web", 1);
    for (hour, leaf) in (0..).zip(&served) {
        let result = result(&target, 1, "local", serving(leaf), &expected);
        let at = Timestamp(NOW.0 - (9 - hour) * HOUR);
        store.note(std::slice::from_ref(&result), at).unwrap();
    }
    let last = result(&target, 1, "local", serving(&served[2]), &expected);
    state.add("web", &expected, vec![(target, vec![last])]);
    let mut view = state.view();
    view.state = Some(folder.path().to_owned());
    let page = get(&view, "/certificates/web", "");
    assert_eq!(page.matches(" renewal<").count(), 1, "{page}");
    let lost = " material change: it is no longer valid for `www.example.com`";
    assert_eq!(page.matches(lost).count(), 1, "{page}");
}

#[test]
fn empty_inventory_pending_probes_and_unknown_pages_have_messages() {
    let page = get(&State::new().view(), "/", "");
    assert!(page.contains("There is nothing to probe"));
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let mut state = State::new();
    state.add("web", &expected, vec![(target("web", 1), Vec::new())]);
    let view = state.view();
    assert!(get(&view, "/", "").contains("Nothing has been probed yet"));
    assert!(get(&view, "/certificates/web", "").contains("Not probed yet"));
    for path in [
        "/certificates/none",
        "/certificates/a/b/c/1/d/e",
        "/docs/none",
    ] {
        let place = Location::read(path).unwrap();
        let (status, page) = write(&view, &place, &Filter::default());
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(page.contains("<h1>Not here</h1>"), "{path}");
    }
    for path in [
        "",
        "x",
        "/certificates",
        "/certificates/a/b",
        "/certificates/%ff",
        "/else",
    ] {
        assert_eq!(Location::read(path), None, "{path}");
    }
}

#[test]
fn differences_from_the_expected_certificate_are_marked() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let result = result(&target, 1, "local", serving(&leaves[1]), &expected);
    let mut state = State::new();
    state.add("web", &expected, vec![(target, vec![result])]);
    let view = state.view();
    let address = view.endpoints()[0].address();
    let page = get(&view, address.as_str(), "");
    let (_, table) = page.split_once("id=\"difference\"").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let rows: BTreeMap<&str, bool> = table
        .split("<tr ")
        .skip(2)
        .map(|row| {
            let (_, rest) = row.split_once("data-label=\"Part\">").unwrap();
            (rest.split_once('<').unwrap().0, row.contains("≠ differs"))
        })
        .collect();
    assert!(
        rows["Fingerprint"] && rows["Serial number"] && rows["Public key"],
        "{rows:?}"
    );
    assert!(!rows["Issuer"] && !rows["Names"], "{rows:?}");
    for leaf in &leaves {
        assert!(table.contains(&leaf.sha256().to_string()));
    }
    assert!(page.contains("not the expected certificate"));
}

/// Returns a part of a page.
fn between<'p>(page: &'p str, beginning: &str, end: &str) -> &'p str {
    let (_, rest) = page
        .split_once(beginning)
        .unwrap_or_else(|| panic!("{beginning}: {page}"));
    rest.split_once(end)
        .unwrap_or_else(|| panic!("{end}: {page}"))
        .0
}

/// Returns the texts of the header cells of a table's rows.
fn row_heads(table: &str) -> Vec<String> {
    let rows = table.split("<th role=\"rowheader\"").skip(1);
    let text = |row: &str| {
        let (_, head) = row.split_once("</th>").unwrap().0.split_once('>').unwrap();
        let parts = head.split('<');
        parts
            .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
            .collect()
    };
    rows.map(text).collect()
}

#[test]
fn columns_sort_the_rows_and_keep_the_filter() {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let issue = |days| {
        let names = ["www.example.com".to_owned()];
        let validity = Validity::around(NOW, 10, days);
        let issued = root.issue(&names, validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    let mut state = State::new();
    let other = issue(80);
    for (name, days, is_ok) in [
        ("a", 70, true),
        ("b", 40, false),
        ("c", 90, true),
        ("d", 50, true),
    ] {
        let leaf = issue(days);
        let expected = expecting(&leaf, &[]);
        let target = target(name, 10 - usize::try_from(days / 10).unwrap());
        let served = if is_ok { &leaf } else { &other };
        let result = result(&target, 1, "local", serving(served), &expected);
        state.add(name, &expected, vec![(target, vec![result])]);
    }
    let view = state.view();
    let certificates = |query: &str| {
        let page = get(&view, "/", query);
        let heads = row_heads(between(&page, "id=\"certificates\"", "</section>"));
        heads.concat()
    };
    assert_eq!(certificates(""), "bacd");
    assert_eq!(certificates("certificates_sort=certificate"), "abcd");
    assert_eq!(certificates("certificates_sort=-certificate"), "dcba");
    // The first expiry is of what is served: `b` serves a leaf with 80 days.
    assert_eq!(certificates("certificates_sort=expires"), "dabc");
    assert_eq!(certificates("certificates_sort=-expires"), "cbad");
    assert_eq!(certificates("certificates_sort=state"), "acdb");
    assert_eq!(certificates("certificates_sort=since"), "bacd");
    assert_eq!(certificates("severity=ok&certificates_sort=expires"), "dac");

    let page = get(&view, "/", "severity=ok&addresses_sort=-host");
    let table = between(&page, "id=\"addresses\"", "</table>");
    let hosts = row_heads(table);
    let hosts: Vec<&str> = hosts.iter().map(|head| &head[..2]).collect();
    assert_eq!(hosts, ["h5", "h3", "h1"]);
    assert!(table.contains(
        "aria-sort=\"descending\"><a href=\"/?severity=ok&amp;addresses_sort=host#addresses\">"
    ));
    assert!(page.contains(
        "href=\"/?severity=ok&amp;certificates_sort=expires&amp;addresses_sort=-host#certificates\""
    ));
    assert_eq!(page.matches("aria-sort=").count(), 2);
    // Other filters keep the order too.
    assert!(page.contains("href=\"/?severity=critical&amp;addresses_sort=-host\""));
    assert!(page.contains("<input type=\"hidden\" name=\"addresses_sort\" value=\"-host\">"));
    assert!(page.contains("id=\"addresses-fold\" open=\"\""));
    assert!(!get(&view, "/", "").contains("id=\"addresses-fold\" open"));
}

/// Returns the result of an address that serves this leaf, with the finding of this code only.
fn found(target: &Target, leaf: &Certificate, expected: &Arc<Expected>, code: Code) -> Judged {
    let observation = result(target, 1, "local", serving(leaf), expected).observation;
    let (trust, rules) = (TrustStore::default(), Rules::default());
    let mut judged = judge(Some(expected), observation, &trust, &rules, NOW);
    judged.findings.retain(|finding| finding.code() == code);
    assert_eq!(judged.findings.len(), 1, "{code}");
    judged
}

/// Returns a leaf that expired two days ago.
fn expired() -> Certificate {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let names = ["www.example.com".to_owned()];
    let validity = Validity::around(NOW, 90, -2);
    let issued = root.issue(&names, validity, &Key::generate().unwrap());
    issued.unwrap().certificate
}

#[test]
fn problems_are_rows_with_what_clients_suffer_first() {
    let leaves = leaves(2);
    let mut state = State::new();
    for (number, code) in [
        (1, Code::WrongCertificate),
        (2, Code::Expired),
        (3, Code::HostnameMismatch),
    ] {
        let leaf = if code == Code::Expired {
            expired()
        } else {
            leaves[0].clone()
        };
        let wanted = if code == Code::WrongCertificate {
            &leaves[1]
        } else {
            &leaf
        };
        let expected = expecting(wanted, &[]);
        let name = format!("c{number}");
        let target = target(&name, number);
        let judged = found(&target, &leaf, &expected, code);
        state.add(&name, &expected, vec![(target, vec![judged])]);
    }
    let view = state.view();
    let hosts = |query: &str| {
        let page = get(&view, "/", query);
        let heads = row_heads(between(&page, "id=\"wrong\"", "</section>"));
        let hosts = heads.iter().map(|head| head[..2].to_owned());
        hosts.collect::<Vec<_>>()
    };
    assert_eq!(hosts(""), ["h2", "h3", "h1"]);
    assert_eq!(hosts("problems_sort=-host"), ["h3", "h2", "h1"]);
    let page = get(&view, "/", "");
    for column in ["State", "Host", "Problem", "Since", "Expires", "Fix"] {
        let heads = between(&page, "id=\"wrong\"", "</thead>");
        assert!(heads.contains(column), "{column}");
    }
}

#[test]
fn expired_certificate_is_a_problem_since_its_expiry() {
    let leaf = expired();
    let expected = expecting(&leaf, &[]);
    let target = target("web", 1);
    let since = |code| {
        let judged = || vec![found(&target, &leaf, &expected, code)];
        let week_ago = Timestamp(NOW.0 - 7 * 24 * HOUR);
        let before = TargetResults::probed(&target, judged(), week_ago, None);
        let now = TargetResults::probed(&target, judged(), NOW, Some(&before));
        let mut state = State::new();
        state.add("web", &expected, vec![(target.clone(), Vec::new())]);
        state.results.push(Arc::new(now));
        let page = get(&state.view(), "/", "");
        let row = between(&page, "class=\"fault critical\"", "</tr>").to_owned();
        between(&row, "data-label=\"Since\"", "</td>").to_owned()
    };
    let expired = since(Code::Expired);
    assert!(expired.contains(">2 days ago<"), "{expired}");
    // The first probe already found it.
    let other = since(Code::HostnameMismatch);
    assert!(other.contains(">at least 7 days ago<"), "{other}");
}

#[test]
fn finding_is_a_problem_since_the_probe_that_first_saw_it() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[1], &[]);
    let target = target("web", 1);
    let (wrong, misnamed) = (Code::WrongCertificate, Code::HostnameMismatch);
    let mut last: Option<TargetResults> = None;
    let mut probe = |minutes_ago: i64, codes: &[Code]| {
        let mut judged = result(&target, 1, "local", serving(&leaves[0]), &expected);
        judged.findings.clear();
        for code in codes {
            let one = found(&target, &leaves[0], &expected, *code);
            judged.findings.extend(one.findings);
        }
        let at = Timestamp(NOW.0 - 60 * minutes_ago);
        let now = TargetResults::probed(&target, vec![judged], at, last.as_ref());
        last = Some(now.clone());
        let mut state = State::new();
        state.add("web", &expected, vec![(target.clone(), Vec::new())]);
        state.results.push(Arc::new(now));
        let view = state.view();
        let page = get(&view, "/", "");
        let address = view.endpoints()[0].address();
        let endpoint = get(&view, address.as_str(), "");
        let found = codes.iter().map(|code| {
            let rows = page.split("class=\"fault critical\"").skip(1);
            let mut rows = rows.filter(|row| row.contains(&format!("/findings/{code}")));
            let since = between(rows.next().unwrap(), "data-label=\"Since\"", "</td>");
            let since = between(since, "class=\"relative\">", "<").to_owned();
            let items = endpoint.split("<li class=\"fault").skip(1);
            let mut items = items.filter(|item| item.contains(&format!("/findings/{code}")));
            let item = items.next().unwrap();
            assert!(item.contains(&format!("({})", since.trim_start_matches("at least "))));
            let is_first = since.starts_with("at least");
            assert_eq!(item.contains(">At least since "), is_first, "{item}");
            assert_eq!(item.contains(">Since "), !is_first, "{item}");
            since
        });
        let found = found.collect::<Vec<String>>();
        assert!(endpoint.contains("<dt>This certificate at least since</dt>"));
        found
    };
    assert_eq!(probe(30, &[wrong]), ["at least 30 minutes ago"]);
    assert!(probe(20, &[]).is_empty());
    assert_eq!(probe(18, &[wrong]), ["18 minutes ago"]);
    let both = ["18 minutes ago", "12 minutes ago"];
    assert_eq!(probe(12, &[wrong, misnamed]), both);
    assert_eq!(probe(8, &[misnamed]), ["12 minutes ago"]);
    let again = ["4 minutes ago", "12 minutes ago"];
    assert_eq!(probe(4, &[wrong, misnamed]), again);
    assert_eq!(probe(0, &[wrong, misnamed]), again);
}

#[test]
fn expiry_of_a_certificate_is_not_known_if_each_probe_failed() {
    let mut state = State::new();
    let expected = Arc::new(Expected {
        source: SourceKind::Trust,
        what: Expectation::TrustOnly,
    });
    let (probed, waiting) = (target("probed", 1), target("waiting", 2));
    let error = ProbeError::new(ErrorKind::ConnectRefused, "the connection was refused");
    let failed = result(&probed, 1, "local", Outcome::Failed(error), &expected);
    state.add("probed", &expected, vec![(probed, vec![failed])]);
    state.add("waiting", &expected, vec![(waiting, Vec::new())]);
    let page = get(&state.view(), "/", "");
    let table = between(&page, "id=\"certificates\"", "</section>");
    let expiry = |name: &str| {
        let (_, row) = table.split_once(&format!(">{name}<")).unwrap();
        between(row, "data-label=\"Expires\"", "</td>").to_owned()
    };
    assert!(expiry("probed").contains(">not known<"), "{table}");
    assert!(expiry("waiting").contains(">not probed yet<"), "{table}");
}

#[test]
fn rows_show_the_results_of_the_last_day() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let mut last: Option<TargetResults> = None;
    // Every half hour for 10 hours, without the 3 hours from 8 to 5 hours ago.
    for half_hours in (0..20).rev().filter(|n| !(10..16).contains(n)) {
        let leaf = if half_hours == 4 {
            &leaves[1]
        } else {
            &leaves[0]
        };
        let results = vec![
            result(&target, 1, "local", serving(leaf), &expected),
            result(&target, 2, "local", serving(&leaves[0]), &expected),
        ];
        let at = Timestamp(NOW.0 - half_hours * HOUR / 2);
        last = Some(TargetResults::probed(&target, results, at, last.as_ref()));
    }
    let mut state = State::new();
    state.add("web", &expected, vec![(target, Vec::new())]);
    state.results.push(Arc::new(last.unwrap()));
    let view = state.view();
    let page = get(&view, "/", "");
    let bar = |part: &str| between(part, "<title>", "</title>").to_owned();
    let changed = "Last 24 hours, 48 half hours: 1 critical, 13 ok, 34 without a complete result";
    assert_eq!(
        bar(between(&page, "id=\"certificates\"", "</section>")),
        changed
    );
    let addresses = between(&page, "id=\"addresses\"", "</table>");
    let bars: Vec<&str> = addresses.split("<title>").skip(1).collect();
    assert!(bars[0].starts_with(changed), "{bars:?}");
    assert!(
        bars[1].starts_with("Last 24 hours, 48 half hours: 14 ok, 34 without"),
        "{bars:?}"
    );
    for endpoint in view.endpoints() {
        assert!(get(&view, endpoint.address().as_str(), "").contains("<svg class=\"recent\""));
    }
    // The script may not be needed, and the style sheet is external.
    assert!(!page.contains("style="));
}

#[test]
fn endpoint_page_shows_which_clients_accept_each_address() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let results = [1, 2].map(|ip| result(&target, ip, "local", serving(leaf), &expected));
    let mut state = State::new();
    state.add("web", &expected, vec![(target, results.into())]);
    let view = state.view();
    let address = view.endpoints()[1].address();
    let page = get(&view, address.as_str(), "");
    let table = between(&page, "id=\"clients\"", "</table>");
    // The address of the page is first.
    let place = |words: &str| {
        table
            .find(words)
            .unwrap_or_else(|| panic!("{words}: {table}"))
    };
    assert!(place("192.0.2.2:443</th>") < place("192.0.2.1:443</th>"));
    assert_eq!(
        row_heads(table),
        Client::ALL.map(|client| client.name().to_owned())
    );
    // No client has a root for this leaf.
    let refusals = view.endpoints()[0].results[0]
        .judged
        .clients
        .as_ref()
        .unwrap()
        .refusals()
        .count();
    assert!(refusals > 0);
    assert_eq!(
        table.matches(" refuses</span>").count(),
        2 * refusals,
        "{table}"
    );
    assert_eq!(
        table.matches("<span class=\"reason\">").count(),
        2 * refusals
    );
}

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
