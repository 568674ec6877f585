//! Probes without a certificate, remote probes, and several probes together.

use super::*;
use crate::finding::{Code, Detail, Finding, LeafValidity};
use crate::judge::{agree, together};
use crate::observation::{ErrorKind, LookError, Status, Told};

const RIGHT: Told = Told {
    correct: true,
    chained: true,
    dummy: false,
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
    seen(Outcome::Failed(LookError::new(kind, "it failed so")))
}

fn told(told: Told) -> Judged {
    Judged {
        observation: Observation {
            key_type: crate::model::KeyType::Any,
            vantage: Vantage::named("sslmate"),
            ..seen(Outcome::Told(told)).observation
        },
        ..seen(Outcome::Told(told))
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
        change(&mut self.observation.target);
        self
    }
}

fn after_together<const N: usize>(mut looks: [Judged; N]) -> [Judged; N] {
    together(&mut looks);
    looks
}

fn all_codes<const N: usize>(looks: [Judged; N]) -> [Vec<String>; N] {
    after_together(looks).map(|j| j.codes())
}

#[test]
fn a_look_without_a_certificate_is_inconclusive() {
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
            assert_eq!(judged.told("handshake_failed").0, "it failed so");
        }
    }
    let (_, hint) = failed(ErrorKind::TlsSignature).told("handshake_failed");
    assert!(
        hint.contains("install the key that belongs to it"),
        "{hint}"
    );
    let hints: BTreeSet<_> = ErrorKind::ALL
        .iter()
        .filter(|k| k.status() == Status::HandshakeError)
        .map(|&k| failed(k).told("handshake_failed").1)
        .collect();
    assert_eq!(
        hints.len(),
        9,
        "each kind has a hint of its own: {hints:#?}"
    );
}

#[test]
fn without_an_expectation_a_look_is_unknown() {
    let pki = pki();
    let observation = observation(HOST, Outcome::Told(RIGHT));
    let judged = judge(
        None,
        observation.clone(),
        &pki.right.trust,
        &Rules::default(),
        now(),
    );
    assert!(matches!(&judged.verdict, Verdict::Inconclusive(e) if e.kind == ErrorKind::Internal));
    assert_eq!(judged.severity(), Severity::Unknown);
    let judged = Judged::failed(observation, LookError::new(ErrorKind::DnsNxdomain, "no"));
    assert_eq!(
        (judged.severity(), judged.findings.len()),
        (Severity::Unknown, 0)
    );
}

#[test]
fn a_remote_look_is_taken_at_its_word() {
    let word = |correct, chained, dummy| {
        told(Told {
            correct,
            chained,
            dummy,
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
        let Outcome::Told(told) = judged.observation.outcome else {
            panic!()
        };
        assert_eq!(
            (flags.correct, flags.chained, flags.dummy),
            (told.correct, told.chained, told.dummy)
        );
        assert_eq!(
            (
                flags.trusted,
                flags.hostname_match,
                flags.expired,
                flags.not_yet_valid,
                flags.revoked
            ),
            (None, None, None, None, None)
        );
    }
}

#[test]
fn a_dead_address_is_critical_where_another_of_the_host_answers() {
    let dead = || failed(ErrorKind::ConnectRefused).at("2001:db8::2");
    let live = || pki().right.judged();
    let [_, judged] = after_together([live(), dead()]);
    assert_eq!(judged.codes(), ["unreachable"]);
    assert_eq!(judged.severity(), Severity::Critical);
    let (message, hint) = judged.told("unreachable");
    assert_eq!(
        message,
        "this address does not answer, while 192.0.2.1 does: it failed so"
    );
    assert!(
        hint.contains("out of the DNS records of www.example.com"),
        "{hint}"
    );
    // A failed handshake also shows that the host responds.
    let [_, judged] = after_together([failed(ErrorKind::TlsAlert), dead()]);
    assert_eq!(judged.codes(), ["unreachable"]);
}

#[test]
fn a_dead_address_is_unknown_where_nothing_says_that_the_host_lives() {
    let dead = || failed(ErrorKind::ConnectTimeout).at("2001:db8::2");
    let live = || pki().right.judged();
    let none: Vec<String> = Vec::new();
    for looks in [
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
        let looks = after_together(looks);
        assert_eq!(looks[0].codes(), none);
        assert_eq!(looks[0].severity(), Severity::Unknown);
    }
    // An internal error of a probe gives no information about the address.
    let own_fault = failed(ErrorKind::Internal).at("192.0.2.2");
    assert_eq!(all_codes([live(), own_fault]), [none.clone(), none.clone()]);
    // Without an address there is none to remove from DNS.
    let mut unresolved = failed(ErrorKind::DnsTimeout);
    unresolved.observation.ip = None;
    assert_eq!(all_codes([live(), unresolved]), [none.clone(), none]);
}

#[test]
fn a_machine_without_a_route_for_a_whole_family_is_told_how_to_leave_it_out() {
    let dead = |ip: &str| failed(ErrorKind::ConnectUnreachable).at(ip);
    let hint = |live: &str, ip: &str| {
        let [_, judged] = after_together([pki().right.judged().at(live), dead(ip)]);
        judged.told("unreachable").1
    };
    assert!(hint("192.0.2.1", "2001:db8::2").contains("no IPv6, check with -4"));
    assert!(hint("2001:db8::1", "192.0.2.2").contains("no IPv4, check with -6"));
    assert!(hint("2001:db8::1", "2001:db8::2").starts_with("start the server"));
    let [_, refused] = after_together([
        pki().right.judged(),
        failed(ErrorKind::ConnectRefused).at("2001:db8::2"),
    ]);
    assert!(
        refused
            .told("unreachable")
            .1
            .starts_with("start the server")
    );
}

/// Returns the same without a particular expected certificate.
fn trust_only(case: &Case) -> Case {
    case.expecting(Expected::trust_only())
}

#[test]
fn addresses_that_serve_different_leaves_disagree_where_nothing_decides() {
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
    let looks = after_together([first("192.0.2.1"), other("192.0.2.2"), first("2001:db8::1")]);
    for look in &looks {
        assert_eq!(look.codes(), ["addresses_disagree"]);
    }
    let serial = |c: &Certificate| c.facts().unwrap().serial.clone();
    let (own, others) = (serial(&pki.leaf()), serial(&leaf));
    assert_eq!(
        looks[0].told("addresses_disagree").0,
        format!(
            "192.0.2.2 serves another certificate for www.example.com (serial {others}) than this address (serial {own})"
        )
    );
    assert_eq!(
        looks[1].told("addresses_disagree").0,
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
fn where_the_expectation_decides_addresses_do_not_disagree() {
    let pki = pki();
    let second = pki.mid.leaf(HOST, days(90, 200)).certificate;
    let stranger = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let mut both = Instances::only(instance(&pki.leaf(), &[pki.mid.cert()]));
    both.also_accepted = vec![instance(&second, &[pki.mid.cert()])];
    let pins = BTreeSet::from([pki.leaf().sha256(), second.sha256()]);
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
        let looks = [at(&pki.leaf(), "192.0.2.1"), at(&second, "192.0.2.2")];
        assert_eq!(all_codes(looks), [&none[..], &none]);
        let looks = [at(&second, "192.0.2.1"), at(&stranger, "192.0.2.2")];
        assert_eq!(all_codes(looks), [&none[..], &wrong]);
        // Both are wrong, with different certificates.
        let third = pki.mid.leaf(HOST, days(2, 200)).certificate;
        let looks = [at(&third, "192.0.2.1"), at(&stranger, "192.0.2.2")];
        let disagree = ["wrong_certificate", "addresses_disagree"];
        assert_eq!(all_codes(looks), [disagree, disagree]);
    }
}

#[test]
fn of_many_addresses_only_the_first_few_are_told() {
    let pki = pki();
    let any = trust_only(&pki.right);
    let other = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let other = any.serving([other, pki.mid.cert()]).judged();
    let mut looks = vec![other.at("192.0.2.99")];
    for n in 1..=6 {
        looks.push(any.judged().at(&format!("192.0.2.{n}")));
        let mut so_far = looks.clone();
        together(&mut so_far);
        let (message, _) = so_far[0].told("addresses_disagree");
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
        told(Told {
            correct,
            chained,
            dummy,
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
fn vantages_disagree_where_they_saw_different_things() {
    for (at, (here, words)) in kinds().into_iter().enumerate() {
        for (other_at, (there, other_words)) in kinds().into_iter().enumerate() {
            let pair = [here.clone().from(Vantage::LOCAL), there.from("eu-west")];
            assert_eq!(
                agree(&pair[0], &pair[1]),
                at == other_at,
                "{words}, {other_words}"
            );
            let looks = after_together(pair);
            let disagree = looks[0]
                .findings
                .iter()
                .any(|f| f.code() == Code::VantagesDisagree);
            assert_eq!(disagree, at != other_at, "{words}, {other_words}");
            if disagree {
                assert_eq!(
                    looks[0].told("vantages_disagree").0,
                    format!("seen from `eu-west`, {other_words}; seen from `local`, {words}")
                );
                assert!(
                    looks[1]
                        .told("vantages_disagree")
                        .0
                        .starts_with("seen from `local`, ")
                );
            }
        }
    }
}

#[test]
fn a_look_that_failed_for_its_own_reasons_disagrees_with_nobody() {
    let none: Vec<String> = Vec::new();
    let ours = || pki().right.judged();
    let own_fault = || failed(ErrorKind::Internal).from("eu-west");
    assert_eq!(
        all_codes([ours(), own_fault()]),
        [none.clone(), none.clone()]
    );
    assert!(!agree(&ours(), &own_fault()) && !agree(&own_fault(), &own_fault()));
    // Probes of different endpoints are not compared, and a vantage is not compared with itself.
    let wrong = || {
        told(Told {
            correct: false,
            ..RIGHT
        })
    };
    let codes = |look: Judged| all_codes([ours(), look])[0].clone();
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
fn what_is_added_stands_in_its_place() {
    let mut looks = [
        pki().right.judged(),
        told(Told {
            correct: false,
            ..RIGHT
        }),
    ];
    looks[0].findings = vec![
        Finding::new(Detail::Expired(LeafValidity {
            not_after: now(),
            judged_at: now(),
            is_newer_expected: false,
        })),
        Finding::new(Detail::RootIncluded {
            certificates: vec![pki().root.cert()],
        }),
    ];
    together(&mut looks);
    assert_eq!(
        looks[0].codes(),
        ["expired", "vantages_disagree", "root_included"]
    );
}
