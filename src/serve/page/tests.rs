//! Tests of whole pages: views to build, and the parts of a page to compare.

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

mod certificate_page;
mod endpoint_page;
mod index;
mod overview_page;
mod problem_rows;
mod text;

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
                    file_error: None,
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
