//! Tests of TLSA records.

use std::slice::from_ref;

use aws_lc_rs::digest;
use proptest::prelude::*;

use crate::mail::MailDomain;
use crate::model::Protocol;
use crate::mta_sts::{Sts, StsFault, StsMode, StsPolicy};
use crate::observation::{ErrorKind, ProbeError};
use crate::tlsa::{DaneCheck, Tlsa, TlsaLookup, TlsaRecord};

use super::*;
use crate::judge::{DnsFacts, Signatures, judge_by_dns};

const NAME: &str = "_443._tcp.www.example.com.";

/// Returns the record of a certificate with these three numbers.
fn record(numbers: [u8; 3], of: &Certificate) -> TlsaRecord {
    let [usage, selector, matching_type] = numbers;
    let part = match selector {
        0 => of.der().to_vec(),
        _ => of.facts().unwrap().spki.clone(),
    };
    let hash = |algorithm| digest::digest(algorithm, &part).as_ref().to_vec();
    let data = match matching_type {
        1 => hash(&digest::SHA256),
        2 => hash(&digest::SHA512),
        _ => part,
    };
    TlsaRecord {
        usage,
        selector,
        matching_type,
        data,
    }
}

fn unusable() -> TlsaRecord {
    TlsaRecord {
        usage: 3,
        selector: 1,
        matching_type: 1,
        data: vec![1; 20],
    }
}

impl Case {
    fn with_tlsa(&self, authenticated: bool, records: Vec<TlsaRecord>) -> Judged {
        let mut judged = self.judged();
        let tlsa = Arc::new(Tlsa {
            name: NAME.into(),
            records,
            authenticated,
        });
        let facts = DnsFacts {
            dane: DaneCheck::On,
            tlsa: TlsaLookup::Known(tlsa),
            ..DnsFacts::default()
        };
        self.by_dns(&mut judged, &facts);
        judged
    }

    fn by_dns(&self, judged: &mut Judged, facts: &DnsFacts) {
        judge_by_dns(judged, facts, &self.trust, self.now, &Signatures::default());
    }

    fn dane(&self, records: &[TlsaRecord]) -> Judged {
        self.with_tlsa(true, records.to_vec())
    }

    fn matched(&self, records: &[TlsaRecord]) -> Option<bool> {
        let judged = self.dane(records);
        let matched = judged.dane.as_ref().unwrap().matched;
        let reported = judged
            .codes()
            .iter()
            .any(|c| c.starts_with("tlsa_mismatch"));
        assert_eq!(reported, matched == Some(false), "{judged:?}");
        matched
    }
}

#[test]
fn leaf_matches_every_selector_and_matching_type() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    for usage in [1, 3] {
        for selector in 0..2 {
            for matching in 0..3 {
                let numbers = [usage, selector, matching];
                let right = record(numbers, &pki.leaf());
                let wrong = record(numbers, &other);
                assert_eq!(pki.right.matched(from_ref(&right)), Some(true), "{right}");
                assert_eq!(pki.right.matched(from_ref(&wrong)), Some(false), "{wrong}");
                // One matching record is sufficient.
                assert_eq!(pki.right.matched(&[wrong, right]), Some(true));
            }
        }
    }
    // An authority's record does not match a leaf, and a leaf's record does not match an authority.
    for usage in [0, 2] {
        let of_leaf = record([usage, 1, 1], &pki.leaf());
        assert_eq!(pki.right.matched(&[of_leaf]), Some(false));
    }
    for usage in [1, 3] {
        let of_authority = record([usage, 1, 1], &pki.mid.cert());
        assert_eq!(pki.right.matched(&[of_authority]), Some(false));
    }
}

#[test]
fn usage_3_requires_only_the_leaf() {
    let pki = pki();
    let leaf = pki.mid.leaf("other.example", days(100, -1)).certificate;
    let case = pki
        .right
        .serving([leaf.clone()])
        .trusting(TrustStore::default());
    assert_eq!(case.matched(&[record([3, 1, 1], &leaf)]), Some(true));
}

#[test]
fn usages_0_and_1_demand_a_trusted_path() {
    let pki = pki();
    let nobodys = pki.right.trusting(TrustStore::default());
    for (numbers, of) in [
        ([1, 1, 1], pki.leaf()),
        ([1, 0, 2], pki.leaf()),
        ([0, 0, 1], pki.mid.cert()),
        ([0, 1, 1], pki.mid.cert()),
    ] {
        let record = record(numbers, &of);
        assert_eq!(pki.right.matched(from_ref(&record)), Some(true), "{record}");
        assert_eq!(nobodys.matched(from_ref(&record)), Some(false), "{record}");
        let (message, hint) = nobodys.dane(&[record]).reported("tlsa_mismatch");
        assert!(message.contains("demands a trusted root"), "{message}");
        assert!(hint.contains("make the path to the root valid"), "{hint}");
    }
    // A trusted root need not be served.
    for numbers in [[0, 0, 0], [0, 0, 1], [0, 1, 1]] {
        let root = record(numbers, &pki.root.certificate);
        assert_eq!(pki.right.matched(&[root]), Some(true), "{numbers:?}");
        let stranger = record(numbers, &super::root("Root").certificate);
        assert_eq!(pki.right.matched(&[stranger]), Some(false), "{numbers:?}");
    }
}

#[test]
fn usage_2_requires_a_served_authority_and_a_valid_path() {
    let pki = pki();
    let alone = pki.right.trusting(TrustStore::default());
    for selector in 0..2 {
        for matching in 0..3 {
            let of_mid = record([2, selector, matching], &pki.mid.cert());
            assert_eq!(alone.matched(from_ref(&of_mid)), Some(true), "{of_mid}");
            // Without the intermediate: a complete certificate or key in the record need not be
            // served.
            let bare = alone.serving([pki.leaf()]);
            let is_whole = matching == 0;
            assert_eq!(bare.matched(from_ref(&of_mid)), Some(is_whole), "{of_mid}");
            if !is_whole {
                let (message, hint) = bare.dane(&[of_mid]).reported("tlsa_mismatch");
                assert!(message.contains("Intermediate"), "{message}");
                assert!(message.contains("not served along"), "{message}");
                assert!(hint.contains("append the PEM of"), "{hint}");
            }
        }
    }
    let of_mid = [record([2, 0, 1], &pki.mid.cert())];
    // For an alias, the name of its target is acceptable.
    let alias = alone.asking_for("other.example");
    assert_eq!(alias.matched(&of_mid), Some(true));
    let reported = |case: &Case| case.dane(&of_mid).reported("tlsa_mismatch").0;
    let others = pki.mid.leaf("other.example", days(1, 100)).certificate;
    let wrong_name = alone
        .expecting(pin(&others))
        .serving([others, pki.mid.cert()]);
    assert!(reported(&wrong_name).contains("not valid for www.example.com"));
    let expired = alone.at(Timestamp(now().0 + 300 * DAY));
    assert!(reported(&expired).contains("no valid path to it"));
    // The authority is served, but not above the leaf.
    let stranger = root("Stranger").leaf(HOST, days(1, 100)).certificate;
    let beside = alone
        .expecting(pin(&stranger))
        .serving([stranger, pki.mid.cert()]);
    assert!(reported(&beside).contains("no valid path to it"));
}

#[test]
fn usage_2_does_not_match_the_leaf_itself() {
    let pki = pki();
    let own = self_signed(&key());
    let twice = [own.clone(), own.clone()];
    let private = root("Private").leaf(HOST, days(1, 100)).certificate;
    for (served, numbers) in [
        (vec![own], [2, 0, 0]),
        (twice.to_vec(), [2, 0, 0]),
        (twice.to_vec(), [2, 0, 1]),
        (vec![private], [2, 0, 0]),
        (vec![pki.leaf(), pki.mid.cert()], [2, 0, 0]),
    ] {
        let leaf = served[0].clone();
        let case = pki.right.expecting(pin(&leaf)).serving(served);
        let of_leaf = [record(numbers, &leaf)];
        assert_eq!(case.matched(&of_leaf), Some(false), "{numbers:?}");
        let judged = case.dane(&of_leaf);
        assert_eq!(judged.severity(), Severity::Critical, "{judged:?}");
        assert_eq!(judged.flags(), case.flags());
    }
}

/// OpenSSL follows the first served issuer that fits, and does not try another.
#[test]
fn record_of_an_authority_that_clients_do_not_follow_does_not_match() {
    let pki = pki();
    let renewed = pki.root.cross_sign(&pki.mid, days(1, 1_000)).unwrap();
    let old = pki.mid.cert();
    for (served, matches) in [([&renewed, &old], false), ([&old, &renewed], true)] {
        let served = served.map(Certificate::clone);
        let case = pki
            .right
            .serving([vec![pki.leaf()], served.to_vec()].concat());
        for usage in [0, 2] {
            let stale = [record([usage, 0, 1], &old)];
            assert_eq!(case.matched(&stale), Some(matches), "usage {usage}");
            // Both have the same key.
            let of_key = [record([usage, 1, 1], &old)];
            assert_eq!(case.matched(&of_key), Some(true), "usage {usage}");
        }
        if !matches {
            let (message, _) = case
                .dane(&[record([2, 0, 1], &old)])
                .reported("tlsa_mismatch");
            assert!(message.contains("of the same name first"), "{message}");
        }
        // A complete certificate in the record comes before the served ones.
        assert_eq!(case.matched(&[record([2, 0, 0], &old)]), Some(true));
    }
    // The path leads past it to another authority that a record names.
    let served = [pki.leaf(), renewed, old, pki.root.cert()];
    let case = pki.right.serving(served);
    assert_eq!(
        case.matched(&[record([2, 0, 1], &pki.root.certificate)]),
        Some(true)
    );
}

/// Those of a root do (OpenSSL's `internal_verify`).
#[test]
fn dates_of_an_intermediate_that_a_record_of_usage_2_names_do_not_count() {
    let pki = pki();
    let late = pki.right.at(Timestamp(now().0 + 20 * DAY));
    let expired = pki.root.cross_sign(&pki.mid, days(300, 10)).unwrap();
    let case = late
        .expecting(pin(&pki.leaf()))
        .serving([pki.leaf(), expired.clone()]);
    assert_eq!(case.codes(), ["chain_expired"]);
    for numbers in [[2, 0, 1], [2, 1, 1], [2, 1, 0], [2, 0, 0]] {
        let judged = case.dane(&[record(numbers, &expired)]);
        assert_eq!(judged.dane.as_ref().unwrap().matched, Some(true));
        assert!(judged.severity() <= Severity::Info, "{judged:?}");
    }
    let above = case.serving([pki.leaf(), expired, pki.root.cert()]);
    let of_root = [record([2, 0, 1], &pki.root.certificate)];
    assert_eq!(above.matched(&of_root), Some(false));

    let old = Authority::root("Old Root", days(300, 10)).unwrap();
    let leaf = old.leaf(HOST, days(100, 200)).certificate;
    let case = late
        .expecting(pin(&leaf))
        .serving([leaf, old.cert()])
        .trusting(TrustStore::default());
    assert_eq!(case.matched(&[record([2, 0, 1], &old.cert())]), Some(false));
}

/// The key signs the leaf: OpenSSL's "bare" trust anchor.
#[test]
fn key_of_a_self_signed_leaf_in_a_record_of_usage_2_matches() {
    let pki = pki();
    let own = self_signed(&key());
    let case = pki.right.expecting(pin(&own)).serving([own.clone()]);
    assert_eq!(case.matched(&[record([2, 1, 0], &own)]), Some(true));
    assert_eq!(case.matched(&[record([2, 1, 1], &own)]), Some(false));
    let late = case.at(Timestamp(now().0 + 300 * DAY));
    assert_eq!(late.matched(&[record([2, 1, 0], &own)]), Some(false));
    // The key of another leaf signs nothing.
    let leaf = [record([2, 1, 0], &pki.leaf())];
    assert_eq!(pki.right.matched(&leaf), Some(false));
}

#[test]
fn root_named_by_a_tlsa_record_is_not_reported_as_included() {
    let pki = pki();
    let whole = pki
        .right
        .serving([pki.leaf(), pki.mid.cert(), pki.root.cert()]);
    assert_eq!(whole.codes(), ["root_included"]);
    let of_root = [record([2, 0, 1], &pki.root.certificate)];
    assert_eq!(whole.dane(&of_root).codes(), [""; 0]);
    let of_leaf = [record([3, 1, 1], &pki.leaf())];
    assert_eq!(whole.dane(&of_leaf).codes(), ["root_included"]);
}

#[test]
fn stronger_tlsa_digest_takes_precedence() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let [weak, strong] = [[3, 1, 1], [3, 1, 2]];
    let stale = [record(weak, &pki.leaf()), record(strong, &other)];
    assert_eq!(pki.right.matched(&stale), Some(false));
    let fresh = [record(weak, &other), record(strong, &pki.leaf())];
    assert_eq!(pki.right.matched(&fresh), Some(true));
    // A record with another selector is independent.
    let apart = [record(weak, &pki.leaf()), record([3, 0, 2], &other)];
    assert_eq!(pki.right.matched(&apart), Some(true));
}

#[test]
fn unusable_tlsa_record_is_reported_only_if_there_is_no_other() {
    let pki = pki();
    let right = record([3, 1, 1], &pki.leaf());
    assert_eq!(pki.right.matched(&[unusable(), right.clone()]), Some(true));
    let judged = pki.right.dane(&[unusable()]);
    assert_eq!(judged.codes(), ["tlsa_mismatch!warning"]);
    assert_eq!(judged.dane.as_ref().unwrap().matched, None);
    let (message, hint) = judged.reported("tlsa_mismatch");
    assert!(message.contains("wrong length"), "{message}");
    assert!(hint.contains(&format!("{NAME} IN TLSA {right}")), "{hint}");
    // Without records there is no finding.
    let judged = pki.right.dane(&[]);
    assert_eq!(judged.codes(), [""; 0]);
    assert_eq!(judged.dane.unwrap().matched, None);
}

#[test]
fn tlsa_mismatch_without_dnssec_is_a_warning() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let wrong = vec![record([3, 1, 1], &other)];
    let judged = pki.right.with_tlsa(true, wrong.clone());
    assert_eq!(judged.codes(), ["tlsa_mismatch"]);
    assert!(!judged.reported("tlsa_mismatch").0.contains("DNSSEC"));
    let judged = pki.right.with_tlsa(false, wrong);
    assert_eq!(judged.codes(), ["tlsa_mismatch!warning"]);
    let (message, hint) = judged.reported("tlsa_mismatch");
    assert!(message.contains("ignore such records"), "{message}");
    assert!(hint.contains("sign the zone"), "{hint}");
}

#[test]
fn tlsa_mismatch_distinguishes_outdated_server_and_dns() {
    let pki = pki();
    let old = pki.mid.leaf(HOST, days(100, 50)).certificate;
    let new = pki.leaf();
    let line = |of: &Certificate| format!("{NAME} IN TLSA {}", record([3, 1, 1], of));
    let reported =
        |case: &Case, records: &[TlsaRecord]| case.dane(records).reported("tlsa_mismatch");

    // The server is outdated: DNS already has the new record.
    let behind = pki.right.serving([old.clone(), pki.mid.cert()]);
    let (message, hint) = reported(&behind, &[record([3, 1, 1], &new)]);
    assert!(
        message.contains("for the expected certificate"),
        "{message}"
    );
    assert!(
        hint.starts_with("install the expected certificate"),
        "{hint}"
    );
    // While both records are published, DNS is correct.
    let both = [record([3, 1, 1], &old), record([3, 1, 1], &new)];
    assert_eq!(behind.matched(&both), Some(true));
    assert_eq!(pki.right.matched(&both), Some(true));

    // DNS is outdated.
    let (message, hint) = reported(&pki.right, &[record([3, 1, 1], &old)]);
    assert!(
        message.starts_with("the served certificate does not fit"),
        "{message}"
    );
    assert!(hint.contains(&line(&new)), "{hint}");
    // Both are outdated: the record to publish is that of the certificate to install.
    let third = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let (message, hint) = reported(&behind, &[record([3, 1, 1], &third)]);
    assert!(message.starts_with("neither"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");

    let mut instances = Instances::only(instance(&new, &[pki.mid.cert()]));
    instances.previous.push(instance(&old, &[]));
    let known = pki.right.expecting(expect(instances.clone()));
    let (message, hint) = reported(&known, &[record([3, 1, 1], &old)]);
    assert!(message.contains("previous instance"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");
    instances.pending = Some(pending(&third));
    let known = pki.right.expecting(expect(instances));
    let (message, hint) = reported(&known, &[record([3, 1, 1], &third)]);
    assert!(message.contains("pending instance"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");
}

#[test]
fn tlsa_hint_names_the_record_for_pins_and_trust_only() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let behind = pki.right.serving([other.clone(), pki.mid.cert()]);
    let stranger = [record([3, 1, 1], &pki.mid.cert())];
    let hint = |case: &Case| case.dane(&stranger).reported("tlsa_mismatch").1;
    let wanted = |numbers, of: &Certificate| format!("IN TLSA {}`", record(numbers, of));
    let new = pki.leaf();
    for (expected, line) in [
        (pin(&new), wanted([3, 0, 1], &new)),
        (pin_key(&new), wanted([3, 1, 1], &new)),
        (Expected::trust_only(), wanted([3, 1, 1], &other)),
        (pin(&other), wanted([3, 1, 1], &other)),
    ] {
        let hint = hint(&behind.expecting(expected));
        assert!(hint.contains(&line), "{hint}");
    }
    for (expected, numbers) in [(pin(&new), [3, 0, 1]), (pin_key(&new), [1, 1, 1])] {
        let judged = behind.expecting(expected).dane(&[record(numbers, &new)]);
        let (message, _) = judged.reported("tlsa_mismatch");
        assert!(
            message.contains("for the expected certificate"),
            "{message}"
        );
    }
}

#[test]
fn failed_handshake_is_not_compared_with_tlsa_records() {
    let pki = pki();
    let tlsa = Arc::new(Tlsa {
        name: NAME.into(),
        records: vec![record([3, 1, 1], &pki.mid.cert())],
        authenticated: true,
    });
    let error = ProbeError::new(ErrorKind::TlsAlert, "no");
    let expected = Arc::new(pki.right.expected.clone());
    let seen = observation(HOST, Outcome::Failed(error));
    let mut judged = judge(
        Some(&expected),
        seen,
        &pki.right.trust,
        &Rules::default(),
        now(),
    );
    let before = judged.codes();
    let facts = DnsFacts {
        dane: DaneCheck::Required,
        tlsa: TlsaLookup::Known(tlsa),
        ..DnsFacts::default()
    };
    pki.right.by_dns(&mut judged, &facts);
    assert_eq!(judged.codes(), before);
    assert_eq!(judged.dane.unwrap().matched, None);
}

impl Case {
    /// Returns the case for mail to a host of these mail domains, judged by these records.
    fn mail(&self, dane: DaneCheck, records: &[TlsaRecord], domains: &[MailDomain]) -> Judged {
        let mut judged = self.judged();
        Arc::make_mut(&mut judged.observation.target).protocol = Protocol::Smtp;
        let domains = domains.iter().cloned().map(Arc::new);
        let facts = DnsFacts {
            dane,
            tlsa: TlsaLookup::Known(Arc::new(Tlsa {
                name: NAME.into(),
                records: records.to_vec(),
                authenticated: true,
            })),
            mail: domains.collect(),
        };
        self.by_dns(&mut judged, &facts);
        judged
    }
}

fn mail_domain(domain: &str, sts: Option<Result<Sts, StsFault>>) -> MailDomain {
    MailDomain {
        domain: domain.parse().unwrap(),
        hosts: vec![HOST.parse().unwrap()],
        is_authenticated: Some(true),
        sts: sts.clone().and_then(Result::ok),
        sts_fault: sts.and_then(Result::err),
    }
}

fn sts(mode: StsMode, mx: &str) -> Option<Result<Sts, StsFault>> {
    Some(Ok(Sts {
        id: "1".into(),
        policy: StsPolicy {
            mode,
            mx: vec![mx.into()],
            max_age: 86_400,
        },
    }))
}

/// Returns the findings with their severities.
fn findings(judged: &Judged) -> Vec<String> {
    let all = judged.findings.iter();
    all.map(|f| format!("{} {}", f.code(), f.severity))
        .collect()
}

#[test]
fn a_match_of_usage_3_replaces_trust_name_and_dates() {
    let pki = pki();
    let other = "other.example";
    let private = root("Private").below("Below");
    for (leaf, chain, replaced) in [
        (
            crate::authority::self_signed(&[other.into()], days(1, 200), &key())
                .unwrap()
                .certificate,
            vec![],
            vec!["hostname_mismatch info", "self_signed info"],
        ),
        (
            private.leaf(HOST, days(100, -1)).certificate,
            vec![private.cert()],
            vec!["expired info", "untrusted_root info"],
        ),
        (
            private.leaf(HOST, days(-1, 90)).certificate,
            vec![private.cert()],
            vec!["not_yet_valid info", "untrusted_root info"],
        ),
        (
            pki.mid.leaf(HOST, days(89, 1)).certificate,
            vec![pki.mid.cert()],
            vec!["expiring info"],
        ),
    ] {
        let served = [vec![leaf.clone()], chain].concat();
        let case = pki.right.expecting(Expected::trust_only()).serving(served);
        let records = [record([3, 1, 1], &leaf)];
        let judged = case.dane(&records);
        assert_eq!(findings(&judged), replaced);
        let flags = judged.flags();
        assert_eq!((flags.trusted, flags.correct), (Some(true), true));
        // What is not authenticated replaces nothing.
        let judged = case.with_tlsa(false, records.to_vec());
        assert_eq!(judged.flags(), case.flags());
        assert_eq!(judged.codes(), case.codes());
        // Nor do records that do not match.
        let judged = case.dane(&[record([3, 1, 1], &pki.leaf())]);
        assert_eq!(judged.flags(), case.flags());
        // The clients do not use DANE.
        assert_eq!(case.dane(&records).clients, case.judged().clients);
    }
    // A certificate other than the expected one stays wrong.
    let leaf = self_signed(&key());
    let judged = pki
        .right
        .serving([leaf.clone()])
        .dane(&[record([3, 1, 1], &leaf)]);
    assert!(
        findings(&judged).contains(&"wrong_certificate critical".into()),
        "{judged:?}"
    );
    assert!(!judged.flags().correct);
    // A self-signed certificate for a pinned key is no placeholder.
    let own = key();
    let leaf = self_signed(&own);
    let pinned = pki.right.expecting(pin_key(&leaf)).serving([leaf.clone()]);
    assert_eq!(pinned.codes()[0], "dummy_certificate!critical");
    let judged = pinned.dane(&[record([3, 1, 1], &leaf)]);
    assert_eq!(findings(&judged), ["dummy_certificate info"]);
}

#[test]
fn a_missing_intermediate_is_for_clients_that_build_paths() {
    let pki = pki();
    let leaf = pki.leaf();
    let bare = pki.right.serving([leaf.clone()]);
    let records = [record([3, 1, 1], &leaf)];
    assert_eq!(
        findings(&bare.dane(&records)),
        ["missing_intermediate critical"]
    );
    let mail = bare.mail(DaneCheck::On, &records, &[]);
    assert_eq!(findings(&mail), ["missing_intermediate info"]);
    let unknown = bare.expecting(Expected::trust_only()).dane(&records);
    assert_eq!(unknown.severity(), Severity::Info, "{unknown:?}");
}

#[test]
fn a_match_of_usage_2_replaces_trust_only() {
    let pki = pki();
    let private = root("Private");
    let case = |leaf: &Certificate| {
        let served = [leaf.clone(), private.cert()];
        pki.right.expecting(pin(leaf)).serving(served)
    };
    let of_root = [record([2, 0, 1], &private.cert())];
    let leaf = private.leaf(HOST, days(1, 100)).certificate;
    let judged = case(&leaf).dane(&of_root);
    assert_eq!(findings(&judged), ["untrusted_root info"]);
    let flags = judged.flags();
    assert_eq!((flags.trusted, flags.chained), (Some(true), true));
    let expired = private.leaf(HOST, days(100, -1)).certificate;
    let judged = case(&expired).dane(&of_root);
    assert_eq!(judged.flags().trusted, Some(false));
    assert!(
        judged
            .codes()
            .iter()
            .any(|c| c.starts_with("tlsa_mismatch"))
    );
    // The authority need not be served if the record has its certificate or its key.
    for numbers in [[2, 0, 0], [2, 1, 0]] {
        let bare = pki.right.expecting(pin(&leaf)).serving([leaf.clone()]);
        let judged = bare.dane(&[record(numbers, &private.cert())]);
        assert_eq!(judged.flags().trusted, Some(true), "{numbers:?}");
        assert_eq!(judged.severity(), Severity::Info, "{judged:?}");
        let stranger = record(numbers, &root("Private").cert());
        assert_eq!(bare.matched(&[stranger]), Some(false), "{numbers:?}");
    }
}

#[test]
fn the_mail_domain_is_a_name_of_its_mail_hosts() {
    let pki = pki();
    let private = root("Private");
    let leaf = private.leaf("example.org", days(1, 100)).certificate;
    let served = [leaf.clone(), private.cert()];
    let case = pki.right.expecting(pin(&leaf)).serving(served);
    let of_root = [record([2, 0, 1], &private.cert())];
    let judged = case.mail(DaneCheck::On, &of_root, &[mail_domain("example.org", None)]);
    assert_eq!(
        findings(&judged),
        ["hostname_mismatch info", "untrusted_root info"]
    );
    for domains in [&[][..], &[mail_domain("example.net", None)]] {
        let judged = case.mail(DaneCheck::On, &of_root, domains);
        let expected = [
            "hostname_mismatch critical",
            "untrusted_root critical",
            "tlsa_mismatch critical",
        ];
        assert_eq!(findings(&judged).len(), expected.len());
        assert!(
            expected
                .iter()
                .all(|e| findings(&judged).contains(&(*e).to_owned()))
        );
    }
    // Only DANE uses it.
    let judged = case.mail(
        DaneCheck::Off,
        &of_root,
        &[mail_domain("example.org", None)],
    );
    assert_eq!(judged.flags(), case.flags());
}

#[test]
fn mail_servers_do_not_use_usages_0_and_1() {
    let pki = pki();
    for (numbers, of) in [([1, 1, 1], pki.leaf()), ([0, 1, 1], pki.mid.cert())] {
        let records = [record(numbers, &of)];
        let judged = pki.right.mail(DaneCheck::On, &records, &[]);
        assert_eq!(findings(&judged), ["tlsa_mismatch warning"]);
        assert_eq!(judged.dane.as_ref().unwrap().matched, None);
        let (message, _) = judged.reported("tlsa_mismatch");
        assert!(
            message.contains("encrypt and do not authenticate"),
            "{message}"
        );
        // They do not replace trust either.
        let leaf = self_signed(&key());
        let case = pki.right.expecting(pin(&leaf)).serving([leaf.clone()]);
        let judged = case.mail(DaneCheck::On, &records, &[]);
        assert_eq!(judged.flags(), case.flags());
        let required = pki.right.mail(DaneCheck::Required, &records, &[]);
        assert_eq!(findings(&required), ["tlsa_mismatch critical"]);
        // Beside a record that they use, such records do not count.
        let both = [records[0].clone(), record([3, 1, 1], &pki.leaf())];
        assert_eq!(
            findings(&pki.right.mail(DaneCheck::On, &both, &[])),
            [""; 0]
        );
        let stale = [records[0].clone(), record([3, 1, 1], &pki.mid.cert())];
        let judged = pki.right.mail(DaneCheck::On, &stale, &[]);
        assert_eq!(findings(&judged), ["tlsa_mismatch critical"]);
    }
}

#[test]
fn required_records_are_missed() {
    let pki = pki();
    let right = record([3, 1, 1], &pki.leaf());
    let judged_by = |tlsa: TlsaLookup, dane| {
        let mut judged = pki.right.judged();
        let facts = DnsFacts {
            dane,
            tlsa,
            ..DnsFacts::default()
        };
        pki.right.by_dns(&mut judged, &facts);
        findings(&judged)
    };
    let known = |authenticated, records: &[TlsaRecord]| {
        TlsaLookup::Known(Arc::new(Tlsa {
            name: NAME.into(),
            records: records.to_vec(),
            authenticated,
        }))
    };
    let right = [right];
    let missing = vec!["tlsa_missing critical".to_owned()];
    for (tlsa, expected) in [
        (known(true, &right), vec![]),
        (known(false, &right), missing.clone()),
        (known(true, &[]), missing.clone()),
        (known(false, &[]), missing.clone()),
        (TlsaLookup::NotApplicable, missing.clone()),
        // Clients ignore the records, and validate the path to a trusted root.
        (
            TlsaLookup::UnsignedSrv {
                service: "_imaps._tcp.example.com".into(),
            },
            missing,
        ),
        (TlsaLookup::Unknown, vec![]),
    ] {
        assert_eq!(
            judged_by(tlsa.clone(), DaneCheck::Required),
            expected,
            "{tlsa:?}"
        );
        let optional = match tlsa {
            TlsaLookup::UnsignedSrv { .. } => vec!["tlsa_missing info"],
            _ => vec![],
        };
        assert_eq!(judged_by(tlsa, DaneCheck::On), optional);
    }
}

/// The records may match, and then these findings are information, or not match.
#[test]
fn verdict_is_open_if_the_tlsa_lookup_failed() {
    let error = ProbeError::new(ErrorKind::DnsServfail, "SERVFAIL");
    let facts = DnsFacts {
        dane: DaneCheck::On,
        tlsa: TlsaLookup::Failed(error.clone()),
        ..DnsFacts::default()
    };
    let pki = pki();
    let untrusting = pki.right.trusting(TrustStore::default());
    for (case, alone) in [
        (&pki.right, Severity::Ok),
        (&untrusting, Severity::Critical),
    ] {
        let mut judged = case.judged();
        assert_eq!(judged.severity(), alone);
        case.by_dns(&mut judged, &facts);
        assert_eq!(judged.verdict, Verdict::Inconclusive(error.clone()));
        assert_eq!(judged.severity(), Severity::Unknown, "{judged:?}");
        let codes = |j: &Judged| j.findings.iter().map(|f| f.code()).collect::<Vec<_>>();
        assert_eq!(codes(&judged), codes(&case.judged()));
    }
}

#[test]
fn unsigned_mx_records_are_reported() {
    let pki = pki();
    let right = [record([3, 1, 1], &pki.leaf())];
    let mut domain = mail_domain("example.com", None);
    domain.is_authenticated = Some(false);
    let mx = [domain];
    for (dane, records, expected) in [
        (DaneCheck::On, &right[..], "tlsa_missing warning"),
        (DaneCheck::On, &[], "tlsa_missing info"),
        (DaneCheck::Required, &right, "tlsa_missing critical"),
    ] {
        assert_eq!(findings(&pki.right.mail(dane, records, &mx)), [expected]);
    }
    assert_eq!(
        findings(&pki.right.mail(DaneCheck::Off, &right, &mx)),
        [""; 0]
    );
}

#[test]
fn a_host_outside_the_mta_sts_policy_gets_no_mail() {
    let pki = pki();
    let judged = |sts| {
        let domain = [mail_domain("example.com", sts)];
        pki.right.mail(DaneCheck::Off, &[], &domain)
    };
    for (mode, mx, expected) in [
        (StsMode::Enforce, HOST, None),
        (StsMode::Enforce, "*.example.com", None),
        (
            StsMode::Enforce,
            "mx.example.net",
            Some("mta_sts_mismatch critical"),
        ),
        (
            StsMode::Testing,
            "mx.example.net",
            Some("mta_sts_mismatch warning"),
        ),
        (StsMode::None, "mx.example.net", None),
    ] {
        let found = findings(&judged(sts(mode, mx)));
        assert_eq!(found, Vec::from_iter(expected), "{mode:?} {mx}");
    }
    let fault = StsFault::HttpStatus { status: 404 };
    let unusable = judged(Some(Err(fault.clone())));
    assert_eq!(findings(&unusable), ["mta_sts_unusable warning"]);
    // Beside the last policy that senders could read, which they still apply.
    let mut domain = mail_domain("example.com", sts(StsMode::Enforce, "mx.example.net"));
    domain.sts_fault = Some(fault.clone());
    let both = findings(&pki.right.mail(DaneCheck::Off, &[], &[domain]));
    assert_eq!(
        both,
        ["mta_sts_mismatch critical", "mta_sts_unusable warning"]
    );
    // The first mail host reports it, and no other.
    let mut domain = mail_domain("example.com", Some(Err(fault)));
    domain.hosts.insert(0, "first.example.com".parse().unwrap());
    let judged = pki.right.mail(DaneCheck::Off, &[], &[domain]);
    assert_eq!(findings(&judged), [""; 0]);
}

#[test]
fn dane_does_not_replace_trust_for_mta_sts() {
    let pki = pki();
    let leaf = self_signed(&key());
    let case = pki.right.expecting(pin(&leaf)).serving([leaf.clone()]);
    let records = [record([3, 1, 1], &leaf)];
    for (mode, expected) in [
        (StsMode::Enforce, "mta_sts_mismatch critical"),
        (StsMode::Testing, "mta_sts_mismatch warning"),
    ] {
        let domain = [mail_domain("example.com", sts(mode, HOST))];
        let judged = case.mail(DaneCheck::On, &records, &domain);
        assert_eq!(findings(&judged), [expected, "self_signed info"]);
        // Without DANE, the finding about trust suffices.
        let judged = case.mail(DaneCheck::Off, &records, &domain);
        assert_eq!(findings(&judged), ["self_signed critical"]);
    }
    let domain = [mail_domain("example.com", sts(StsMode::None, HOST))];
    let judged = case.mail(DaneCheck::On, &records, &domain);
    assert_eq!(findings(&judged), ["self_signed info"]);
}

fn any_record() -> impl Strategy<Value = TlsaRecord> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..70),
        Just(vec![7; 32]),
        Just(vec![7; 64]),
    ];
    (0..5_u8, 0..3_u8, 0..4_u8, data).prop_map(|(usage, selector, matching_type, data)| {
        TlsaRecord {
            usage,
            selector,
            matching_type,
            data,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn unrelated_tlsa_records_neither_match_nor_prevent_a_match(
        mut records in prop::collection::vec(any_record(), 0..8),
        selector in 0..2_u8,
        at: prop::sample::Index,
    ) {
        let pki = &*PKI;
        let is_usable = |r: &TlsaRecord| r.association().is_ok();
        let matched = pki.right.matched_of(&records);
        prop_assert_eq!(matched, records.iter().any(is_usable).then_some(false));
        // No digest is stronger than SHA-512, so its record matches regardless of the others.
        let place = at.index(records.len() + 1);
        records.insert(place, record([3, selector, 2], &pki.leaf()));
        prop_assert_eq!(pki.right.matched_of(&records), Some(true));
        records.reverse();
        prop_assert_eq!(pki.right.matched_of(&records), Some(true));
    }
}

static PKI: std::sync::LazyLock<Pki> = std::sync::LazyLock::new(pki);

impl Case {
    fn matched_of(&self, records: &[TlsaRecord]) -> Option<bool> {
        self.dane(records).dane.unwrap().matched
    }
}
