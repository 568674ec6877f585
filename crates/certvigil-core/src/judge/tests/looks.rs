//! Probes without a certificate, remote probes, and several probes together.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::finding::{Code, Detail, Finding, LeafValidity};
use crate::judge::{agree, together};
use crate::observation::{
    Alert, ErrorKind, PeerFinding, PeerReport, ProbeError, Reported, Served, Status,
};

const RIGHT: Reported = Reported {
    correct: true,
    chained: true,
    dummy: false,
    peer: None,
};

fn seen(outcome: Outcome) -> Judged {
    let pki = pki();
    let expected = Arc::new(pki.right.expected);
    let observation = observation(HOST, outcome);
    judge(
        Some(&expected),
        observation,
        &pki.right.trust,
        &Rules::default(),
        now(),
    )
}

fn failed(kind: ErrorKind) -> Judged {
    seen(Outcome::Failed(ProbeError::new(kind, "it failed so")))
}

fn reported(reported: Reported) -> Judged {
    Judged {
        observation: Observation {
            key_type: crate::model::KeyType::Any,
            vantage: Vantage::named("sslmate"),
            ..seen(Outcome::Reported(reported.clone())).observation
        },
        ..seen(Outcome::Reported(reported))
    }
}

impl Judged {
    fn at(mut self, ip: &str) -> Self {
        self.observation.ip = Some(ip.parse().unwrap());
        self
    }

    fn from(mut self, vantage: &str) -> Self {
        self.observation.vantage = Vantage::named(vantage);
        self
    }

    fn of(mut self, change: impl FnOnce(&mut Target)) -> Self {
        change(Arc::make_mut(&mut self.observation.target));
        self
    }
}

fn after_comparison<const N: usize>(mut all: [Judged; N]) -> [Judged; N] {
    together(&mut all);
    all
}

fn all_codes<const N: usize>(all: [Judged; N]) -> [Vec<String>; N] {
    after_comparison(all).map(|j| j.codes())
}

#[test]
fn probe_without_a_certificate_is_inconclusive() {
    for &kind in ErrorKind::ALL {
        let judged = failed(kind);
        let is_handshake = kind.status() == Status::HandshakeError;
        let codes = if is_handshake {
            vec!["handshake_failed"]
        } else {
            vec![]
        };
        assert_eq!(judged.codes(), codes, "{kind}");
        let severity = if is_handshake {
            Severity::Critical
        } else {
            Severity::Unknown
        };
        assert_eq!(judged.severity(), severity, "{kind}");
        assert!(matches!(&judged.verdict, Verdict::Inconclusive(e) if e.kind == kind));
        if is_handshake {
            assert_eq!(judged.reported("handshake_failed").0, "it failed so");
        }
    }
    let (_, hint) = failed(ErrorKind::TlsSignature).reported("handshake_failed");
    assert!(
        hint.contains("install the key that belongs to it"),
        "{hint}"
    );
    let hints: BTreeSet<_> = ErrorKind::ALL
        .iter()
        .filter(|k| k.status() == Status::HandshakeError)
        .map(|&k| failed(k).reported("handshake_failed").1)
        .collect();
    assert_eq!(
        hints.len(),
        9,
        "each kind has a hint of its own: {hints:#?}"
    );
}

#[test]
fn handshake_that_fails_after_key_proof_is_critical() {
    let case = pki().right;
    let of = |alert| {
        let error = ProbeError::of_alert("the server refused the handshake", alert);
        let served = Served {
            failure: Some(Box::new(error)),
            ..case.served()
        };
        case.judged_as(Outcome::Served(Box::new(served)))
    };
    let judged = of(Alert::DECRYPT_ERROR);
    assert_eq!(judged.codes(), ["handshake_failed"]);
    assert_eq!(judged.severity(), Severity::Critical);
    assert_eq!(judged.status(), Status::Conclusive);
    assert_eq!(judged.flags().trusted, Some(true));
    let (message, hint) = judged.reported("handshake_failed");
    assert!(message.starts_with("clients cannot connect, although the server proved its key"));
    assert!(message.contains("`decrypt_error`"), "{message}");
    assert!(hint.contains("the server's log"), "{hint}");
    let (_, hint) = of(Alert::UNKNOWN_CA).reported("handshake_failed");
    assert!(hint.contains("client certificate"), "{hint}");
}

#[test]
fn probe_without_an_expectation_is_unknown() {
    let pki = pki();
    let observation = observation(HOST, Outcome::Reported(RIGHT));
    let judged = judge(
        None,
        observation.clone(),
        &pki.right.trust,
        &Rules::default(),
        now(),
    );
    assert!(matches!(&judged.verdict, Verdict::Inconclusive(e) if e.kind == ErrorKind::Internal));
    assert_eq!(judged.severity(), Severity::Unknown);
    let judged = Judged::failed(observation, ProbeError::new(ErrorKind::DnsNxdomain, "no"));
    assert_eq!(
        (judged.severity(), judged.findings.len()),
        (Severity::Unknown, 0)
    );
}

#[test]
fn remote_result_is_adopted_as_reported() {
    let word = |correct, chained, dummy| {
        reported(Reported {
            correct,
            chained,
            dummy,
            peer: None,
        })
    };
    for (judged, codes) in [
        (word(true, true, false), &[][..]),
        (word(true, false, false), &["missing_intermediate"]),
        (word(false, true, false), &["wrong_certificate"]),
        (word(false, false, false), &["wrong_certificate"]),
        (word(true, true, true), &["dummy_certificate"]),
        (word(false, false, true), &["dummy_certificate!critical"]),
    ] {
        assert_eq!(judged.codes(), codes);
        let flags = judged.flags();
        let Outcome::Reported(reported) = judged.observation.outcome else {
            panic!()
        };
        assert_eq!(
            (flags.correct, flags.chained, flags.dummy),
            (reported.correct, reported.chained, reported.dummy)
        );
        // The expected certificate is known, the served one is not.
        let is_known = reported.correct && !reported.dummy;
        let known = |value| is_known.then_some(value);
        assert_eq!(
            (
                flags.trusted,
                flags.hostname_match,
                flags.expired,
                flags.not_yet_valid,
                flags.revoked
            ),
            (None, known(true), known(false), known(false), None)
        );
    }
}

#[test]
fn dead_address_is_critical_if_another_address_responds() {
    let dead = || failed(ErrorKind::ConnectRefused).at("2001:db8::2");
    let live = || pki().right.judged();
    let [_, judged] = after_comparison([live(), dead()]);
    assert_eq!(judged.codes(), ["unreachable"]);
    assert_eq!(judged.severity(), Severity::Critical);
    let (message, hint) = judged.reported("unreachable");
    assert_eq!(
        message,
        "this address does not answer, while 192.0.2.1 does: it failed so"
    );
    assert!(
        hint.contains("out of the DNS records of www.example.com"),
        "{hint}"
    );
    // A failed handshake also shows that the host responds.
    let [_, judged] = after_comparison([failed(ErrorKind::TlsAlert), dead()]);
    assert_eq!(judged.codes(), ["unreachable"]);
}

/// The address responds, and only its TLSA records are unknown.
#[test]
fn address_whose_tlsa_lookup_failed_is_not_unreachable() {
    let mut open = pki().right.judged().at("2001:db8::2");
    open.verdict = Verdict::Inconclusive(ProbeError::new(ErrorKind::DnsServfail, "SERVFAIL"));
    let dead = failed(ErrorKind::ConnectRefused);
    let [dead, open] = after_comparison([dead, open]);
    assert_eq!(dead.codes(), ["unreachable"]);
    assert_eq!(open.codes(), [""; 0]);
}

#[test]
fn dead_address_is_unknown_unless_the_same_host_responds() {
    let dead = || failed(ErrorKind::ConnectTimeout).at("2001:db8::2");
    let live = || pki().right.judged();
    let none: Vec<String> = Vec::new();
    for all in [
        [dead(), dead().at("192.0.2.2")],
        [dead(), failed(ErrorKind::Internal)],
        // A target with another certificate, name, port or vantage is another host.
        [dead(), live().of(|t| t.certificate = "other".into())],
        [
            dead(),
            live().of(|t| t.hostname = "other.example".parse().unwrap()),
        ],
        [dead(), live().of(|t| t.port = 8443)],
        [dead(), live().from("eu-west")],
        // The same address twice: it responds intermittently.
        [dead(), live().at("2001:db8::2")],
    ] {
        let all = after_comparison(all);
        assert_eq!(all[0].codes(), none);
        assert_eq!(all[0].severity(), Severity::Unknown);
    }
    // An internal error of a probe gives no information about the address.
    let internal_error = failed(ErrorKind::Internal).at("192.0.2.2");
    assert_eq!(
        all_codes([live(), internal_error]),
        [none.clone(), none.clone()]
    );
    // Without an address there is none to remove from DNS.
    let mut unresolved = failed(ErrorKind::DnsTimeout);
    unresolved.observation.ip = None;
    assert_eq!(all_codes([live(), unresolved]), [none.clone(), none]);
}

#[test]
fn hint_for_a_missing_route_names_the_flag_to_skip_the_family() {
    let dead = |ip: &str| failed(ErrorKind::ConnectUnreachable).at(ip);
    let hint = |live: &str, ip: &str| {
        let [_, judged] = after_comparison([pki().right.judged().at(live), dead(ip)]);
        judged.reported("unreachable").1
    };
    assert!(hint("192.0.2.1", "2001:db8::2").contains("no IPv6, check with -4"));
    assert!(hint("2001:db8::1", "192.0.2.2").contains("no IPv4, check with -6"));
    assert!(hint("2001:db8::1", "2001:db8::2").starts_with("start the server"));
    let [_, refused] = after_comparison([
        pki().right.judged(),
        failed(ErrorKind::ConnectRefused).at("2001:db8::2"),
    ]);
    assert!(
        refused
            .reported("unreachable")
            .1
            .starts_with("start the server")
    );
}

/// Returns the same without a particular expected certificate.
fn trust_only(case: &Case) -> Case {
    case.expecting(Expected::trust_only())
}

#[test]
fn addresses_with_different_leaves_disagree_under_trust_only() {
    let pki = pki();
    let any = trust_only(&pki.right);
    let first = |ip: &str| any.judged().at(ip);
    let leaf = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let other = |ip: &str| any.serving([leaf.clone(), pki.mid.cert()]).judged().at(ip);
    let none: Vec<String> = Vec::new();
    assert_eq!(
        all_codes([first("192.0.2.1"), first("192.0.2.2")]),
        [none.clone(), none.clone()]
    );
    let all = after_comparison([first("192.0.2.1"), other("192.0.2.2"), first("2001:db8::1")]);
    for judged in &all {
        assert_eq!(judged.codes(), ["addresses_disagree"]);
    }
    let serial = |c: &Certificate| c.facts().unwrap().serial.clone();
    let (own, others) = (serial(&pki.leaf()), serial(&leaf));
    assert_eq!(
        all[0].reported("addresses_disagree").0,
        format!(
            "192.0.2.2 serves another certificate for www.example.com (serial {others}) than this address (serial {own})"
        )
    );
    assert_eq!(
        all[1].reported("addresses_disagree").0,
        format!(
            "192.0.2.1 and 2001:db8::1 serve another certificate for www.example.com (serial {own}) than this address (serial {others})"
        )
    );
    // The chain is not compared, and other hosts are not either.
    let short = any.serving([pki.leaf()]).judged().at("192.0.2.2");
    assert_eq!(all_codes([first("192.0.2.1"), short])[0], none);
    let elsewhere = other("192.0.2.2").of(|t| t.port = 8443);
    assert_eq!(all_codes([first("192.0.2.1"), elsewhere])[0], none);
}

/// The address with the wrong certificate has its finding, and the other has none.
#[test]
fn addresses_disagree_only_if_neither_serves_an_accepted_certificate() {
    let pki = pki();
    let second = pki.mid.leaf(HOST, days(90, 200)).certificate;
    let stranger = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let mut both = Instances::only(instance(&pki.leaf(), &[pki.mid.cert()]));
    both.also_accepted = vec![instance(&second, &[pki.mid.cert()])];
    let pins = [pki.leaf().sha256(), second.sha256()].into();
    let pins = Expected {
        source: SourceKind::Fingerprint,
        what: Expectation::Fingerprints(pins),
    };
    for expected in [expect(both), pins] {
        let case = pki.right.expecting(expected);
        let at = |leaf: &Certificate, ip: &str| {
            let case = case.serving([leaf.clone(), pki.mid.cert()]);
            case.judged().at(ip)
        };
        let none: [&str; 0] = [];
        let wrong = ["wrong_certificate"];
        // A rollout, or the two halves of a pair.
        let all = [at(&pki.leaf(), "192.0.2.1"), at(&second, "192.0.2.2")];
        assert_eq!(all_codes(all), [&none[..], &none]);
        let all = [at(&second, "192.0.2.1"), at(&stranger, "192.0.2.2")];
        assert_eq!(all_codes(all), [&none[..], &wrong]);
        // Both are wrong, with different certificates.
        let third = pki.mid.leaf(HOST, days(2, 200)).certificate;
        let all = [at(&third, "192.0.2.1"), at(&stranger, "192.0.2.2")];
        let disagree = ["wrong_certificate", "addresses_disagree"];
        assert_eq!(all_codes(all), [disagree, disagree]);
    }
}

#[test]
fn disagreement_message_lists_at_most_four_addresses() {
    let pki = pki();
    let any = trust_only(&pki.right);
    let other = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let other = any.serving([other, pki.mid.cert()]).judged();
    let mut all = vec![other.at("192.0.2.99")];
    for n in 1..=6 {
        all.push(any.judged().at(&format!("192.0.2.{n}")));
        let mut so_far = all.clone();
        together(&mut so_far);
        let (message, _) = so_far[0].reported("addresses_disagree");
        let listed = match n {
            1 => "192.0.2.1 serves",
            2 => "192.0.2.1 and 192.0.2.2 serve",
            3 => "192.0.2.1, 192.0.2.2 and 192.0.2.3 serve",
            4 => "192.0.2.1, 192.0.2.2, 192.0.2.3 and 192.0.2.4 serve",
            5 => "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4 and 1 more serve",
            _ => "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4 and 2 more serve",
        };
        assert!(message.starts_with(listed), "{message}");
    }
}

/// Returns the possible results of a probe, from the best to the most severe, and their
/// descriptions.
fn kinds() -> Vec<(Judged, &'static str)> {
    let word = |correct, chained, dummy| {
        reported(Reported {
            correct,
            chained,
            dummy,
            peer: None,
        })
    };
    vec![
        (word(true, true, false), "the right certificate is served"),
        (
            word(true, false, false),
            "the right certificate is served without its chain",
        ),
        (word(true, true, true), "a temporary certificate is served"),
        (word(false, true, false), "another certificate is served"),
        (failed(ErrorKind::TlsAlert), "the handshake fails"),
        (failed(ErrorKind::ConnectTimeout), "it cannot be reached"),
    ]
}

#[test]
fn vantages_disagree_if_their_results_differ() {
    for (at, (here, words)) in kinds().into_iter().enumerate() {
        for (other_at, (there, other_words)) in kinds().into_iter().enumerate() {
            let pair = [here.clone().from(Vantage::LOCAL), there.from("eu-west")];
            assert_eq!(
                agree(&pair[0], &pair[1]),
                at == other_at,
                "{words}, {other_words}"
            );
            let all = after_comparison(pair);
            let disagree = all[0]
                .findings
                .iter()
                .any(|f| f.code() == Code::VantagesDisagree);
            assert_eq!(disagree, at != other_at, "{words}, {other_words}");
            if disagree {
                assert_eq!(
                    all[0].reported("vantages_disagree").0,
                    format!("seen from `eu-west`, {other_words}; seen from `local`, {words}")
                );
                assert!(
                    all[1]
                        .reported("vantages_disagree")
                        .0
                        .starts_with("seen from `local`, ")
                );
            }
        }
    }
}

#[test]
fn probe_with_an_internal_error_disagrees_with_no_vantage() {
    let none: Vec<String> = Vec::new();
    let ours = || pki().right.judged();
    let internal_error = || failed(ErrorKind::Internal).from("eu-west");
    assert_eq!(
        all_codes([ours(), internal_error()]),
        [none.clone(), none.clone()]
    );
    assert!(!agree(&ours(), &internal_error()) && !agree(&internal_error(), &internal_error()));
    // Probes of different endpoints are not compared, and a vantage is not compared with itself.
    let wrong = || {
        reported(Reported {
            correct: false,
            ..RIGHT
        })
    };
    let codes = |judged: Judged| all_codes([ours(), judged])[0].clone();
    assert_eq!(codes(wrong()), ["vantages_disagree"]);
    assert_eq!(codes(wrong().at("192.0.2.2")), none);
    assert_eq!(codes(wrong().of(|t| t.port = 8443)), none);
    assert_eq!(codes(wrong().of(|t| t.certificate = "other".into())), none);
    assert_eq!(codes(wrong().from(Vantage::LOCAL)), none);
    let mut unresolved = wrong();
    unresolved.observation.ip = None;
    assert_eq!(codes(unresolved), none);
}

#[test]
fn added_finding_is_inserted_in_order() {
    let mut all = [
        pki().right.judged(),
        reported(Reported {
            correct: false,
            ..RIGHT
        }),
    ];
    all[0].findings = vec![
        Finding::new(Detail::Expired(LeafValidity {
            not_after: now(),
            judged_at: now(),
            is_newer_expected: false,
        })),
        Finding::new(Detail::RootIncluded {
            certificates: vec![pki().root.cert()],
        }),
    ];
    together(&mut all);
    assert_eq!(
        all[0].codes(),
        ["expired", "vantages_disagree", "root_included"]
    );
}

#[test]
fn correct_remote_result_is_judged_by_the_known_certificate() {
    let pki = pki();
    let leaf = |validity| pki.mid.leaf(HOST, validity).certificate;
    let judged = |case: &Case| case.judged_as(Outcome::Reported(RIGHT));
    let of = |leaf: &Certificate| {
        let instances = Instances::only(instance(leaf, &[pki.mid.cert()]));
        pki.right.expecting(expect(instances))
    };
    let expired = leaf(days(90, -1));
    for (served, codes) in [
        (expired.clone(), "expired"),
        (leaf(days(-1, 90)), "not_yet_valid"),
        (leaf(days(90, 1)), "expiring!critical"),
        (leaf(days(90, 15)), "expiring"),
    ] {
        let judged = judged(&of(&served));
        assert_eq!(judged.codes(), [codes]);
        assert!(judged.flags().correct && judged.flags().trusted.is_none());
    }
    let other = judged(&pki.right.asking_for("other.example"));
    assert_eq!(other.codes(), ["hostname_mismatch"]);
    assert_eq!(other.flags().hostname_match, Some(false));

    let mut revoked = of(&pki.leaf());
    let Expectation::Instances(instances) = &mut revoked.expected.what else {
        panic!()
    };
    instances.expected.state = State::Revoked;
    assert_eq!(judged(&revoked).codes(), ["revoked"]);

    // Either of the two may be served.
    let mut pair = of(&expired);
    let Expectation::Instances(instances) = &mut pair.expected.what else {
        panic!()
    };
    instances.also_accepted.push(instance(&pki.leaf(), &[]));
    let either = judged(&pair);
    assert_eq!(either.codes(), [""; 0]);
    assert_eq!(either.flags().expired, None);
    assert_eq!(either.flags().not_yet_valid, Some(false));

    // Only the hash is known.
    let pinned = judged(&pki.right.expecting(pin(&expired)));
    assert_eq!(pinned.codes(), [""; 0]);
    assert_eq!(pinned.flags().expired, None);

    // A monitor judges the result again when this changes.
    let soon = judged(&pki.right);
    let change = crate::judge::next_change(&soon, &pki.right.rules, now()).unwrap();
    let warned = judged(&pki.right.at(change));
    assert_eq!(warned.codes(), ["expiring"]);
}

/// Another certvigil judged the served certificate, which SSLMate's flags say nothing about.
#[test]
fn findings_of_a_peer_are_reported() {
    let finding = |code, severity| PeerFinding::new(code, severity, "a fault", "a fix").unwrap();
    let judged = reported(Reported {
        peer: Some(Box::new(PeerReport {
            trusted: Some(false),
            revoked: Some(true),
            findings: vec![
                finding(Code::UntrustedRoot, Severity::Critical),
                finding(Code::WeakKey, Severity::Warning),
                // The vantage's own affairs, and a threshold of its own.
                finding(Code::VantagesDisagree, Severity::Warning),
                finding(Code::SourceStale, Severity::Warning),
                finding(Code::Expiring, Severity::Critical),
            ],
            ..PeerReport::default()
        })),
        ..RIGHT
    });
    let codes: Vec<Code> = judged.findings.iter().map(Finding::code).collect();
    assert_eq!(codes, [Code::UntrustedRoot, Code::WeakKey]);
    assert_eq!(judged.severity(), Severity::Critical);
    let Verdict::Conclusive(flags) = judged.verdict else {
        panic!("{judged:?}");
    };
    assert_eq!((flags.trusted, flags.revoked), (Some(false), Some(true)));
    let message = judged.findings[0].message();
    assert!(message.contains("a fault"), "{message}");
    let impossible = PeerFinding::new(Code::Expired, Severity::Warning, "", "");
    assert_eq!(impossible, None);
}
