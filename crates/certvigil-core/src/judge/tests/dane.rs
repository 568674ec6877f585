//! Tests of TLSA records.

use std::slice::from_ref;

use aws_lc_rs::digest;
use proptest::prelude::*;

use crate::tlsa::{Tlsa, TlsaRecord};

use super::super::dane as judge_dane;
use super::*;
use crate::judge::Signatures;

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
        judge_dane(
            &mut judged,
            &tlsa,
            &self.trust,
            self.now,
            &Signatures::default(),
        );
        judged
    }

    fn dane(&self, records: &[TlsaRecord]) -> Judged {
        self.with_tlsa(true, records.to_vec())
    }

    fn matched(&self, records: &[TlsaRecord]) -> Option<bool> {
        let judged = self.dane(records);
        let matched = judged.dane.as_ref().unwrap().matched;
        let told = judged
            .codes()
            .iter()
            .any(|c| c.starts_with("tlsa_mismatch"));
        assert_eq!(told, matched == Some(false), "{judged:?}");
        matched
    }
}

#[test]
fn every_way_of_naming_the_leaf_is_understood() {
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
fn usage_3_asks_for_nothing_but_the_leaf() {
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
        let (message, hint) = nobodys.dane(&[record]).told("tlsa_mismatch");
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
fn usage_2_needs_its_authority_served_and_a_valid_path_to_it() {
    let pki = pki();
    let alone = pki.right.trusting(TrustStore::default());
    for selector in 0..2 {
        for matching in 0..3 {
            let of_mid = record([2, selector, matching], &pki.mid.cert());
            assert_eq!(alone.matched(from_ref(&of_mid)), Some(true), "{of_mid}");
            // Without the intermediate: a complete certificate in the record need not be served.
            let bare = alone.serving([pki.leaf()]);
            let is_whole = (selector, matching) == (0, 0);
            assert_eq!(bare.matched(from_ref(&of_mid)), Some(is_whole), "{of_mid}");
            if !is_whole {
                let (message, hint) = bare.dane(&[of_mid]).told("tlsa_mismatch");
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
    let told = |case: &Case| case.dane(&of_mid).told("tlsa_mismatch").0;
    let others = pki.mid.leaf("other.example", days(1, 100)).certificate;
    let wrong_name = alone
        .expecting(pin(&others))
        .serving([others, pki.mid.cert()]);
    assert!(told(&wrong_name).contains("not valid for www.example.com"));
    let expired = alone.at(Timestamp(now().0 + 300 * DAY));
    assert!(told(&expired).contains("no valid path to it"));
    // The authority is served, but not above the leaf.
    let stranger = root("Stranger").leaf(HOST, days(1, 100)).certificate;
    let beside = alone
        .expecting(pin(&stranger))
        .serving([stranger, pki.mid.cert()]);
    assert!(told(&beside).contains("no valid path to it"));
}

#[test]
fn a_root_that_a_record_names_is_served_for_a_reason() {
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
fn of_two_digests_the_stronger_counts() {
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
fn what_cannot_be_used_is_passed_over_and_told_of_where_there_is_nothing_else() {
    let pki = pki();
    let right = record([3, 1, 1], &pki.leaf());
    assert_eq!(pki.right.matched(&[unusable(), right.clone()]), Some(true));
    let judged = pki.right.dane(&[unusable()]);
    assert_eq!(judged.codes(), ["tlsa_mismatch!warning"]);
    assert_eq!(judged.dane.as_ref().unwrap().matched, None);
    let (message, hint) = judged.told("tlsa_mismatch");
    assert!(message.contains("wrong length"), "{message}");
    assert!(hint.contains(&format!("{NAME} IN TLSA {right}")), "{hint}");
    // Without records there is no finding.
    let judged = pki.right.dane(&[]);
    assert_eq!(judged.codes(), [""; 0]);
    assert_eq!(judged.dane.unwrap().matched, None);
}

#[test]
fn without_dnssec_nobody_is_kept_out() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let wrong = vec![record([3, 1, 1], &other)];
    let judged = pki.right.with_tlsa(true, wrong.clone());
    assert_eq!(judged.codes(), ["tlsa_mismatch"]);
    assert!(!judged.told("tlsa_mismatch").0.contains("DNSSEC"));
    let judged = pki.right.with_tlsa(false, wrong);
    assert_eq!(judged.codes(), ["tlsa_mismatch!warning"]);
    let (message, hint) = judged.told("tlsa_mismatch");
    assert!(message.contains("pass over such records"), "{message}");
    assert!(hint.contains("sign the zone"), "{hint}");
}

#[test]
fn a_mismatch_says_who_is_behind() {
    let pki = pki();
    let old = pki.mid.leaf(HOST, days(100, 50)).certificate;
    let new = pki.leaf();
    let line = |of: &Certificate| format!("{NAME} IN TLSA {}", record([3, 1, 1], of));
    let told = |case: &Case, records: &[TlsaRecord]| case.dane(records).told("tlsa_mismatch");

    // The server is outdated: DNS already has the new record.
    let behind = pki.right.serving([old.clone(), pki.mid.cert()]);
    let (message, hint) = told(&behind, &[record([3, 1, 1], &new)]);
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
    let (message, hint) = told(&pki.right, &[record([3, 1, 1], &old)]);
    assert!(
        message.starts_with("the served certificate does not fit"),
        "{message}"
    );
    assert!(hint.contains(&line(&new)), "{hint}");
    // Both are outdated: the record to publish is that of the certificate to install.
    let third = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let (message, hint) = told(&behind, &[record([3, 1, 1], &third)]);
    assert!(message.starts_with("neither"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");

    let mut instances = Instances::only(instance(&new, &[pki.mid.cert()]));
    instances.previous.push(instance(&old, &[]));
    let known = pki.right.expecting(expect(instances.clone()));
    let (message, hint) = told(&known, &[record([3, 1, 1], &old)]);
    assert!(message.contains("previous instance"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");
    instances.pending = Some(pending(&third));
    let known = pki.right.expecting(expect(instances));
    let (message, hint) = told(&known, &[record([3, 1, 1], &third)]);
    assert!(message.contains("pending instance"), "{message}");
    assert!(hint.contains(&line(&new)), "{hint}");
}

#[test]
fn looser_expectations_name_the_record_that_they_can() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(1, 100)).certificate;
    let behind = pki.right.serving([other.clone(), pki.mid.cert()]);
    let stranger = [record([3, 1, 1], &pki.mid.cert())];
    let hint = |case: &Case| case.dane(&stranger).told("tlsa_mismatch").1;
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
        let (message, _) = judged.told("tlsa_mismatch");
        assert!(
            message.contains("for the expected certificate"),
            "{message}"
        );
    }
}

#[test]
fn what_shows_no_certificate_is_not_held_against_records() {
    let pki = pki();
    let tlsa = Arc::new(Tlsa {
        name: NAME.into(),
        records: vec![record([3, 1, 1], &pki.mid.cert())],
        authenticated: true,
    });
    let error = crate::observation::LookError::new(crate::observation::ErrorKind::TlsAlert, "no");
    let expected = Arc::new(pki.right.expected.clone());
    let look = observation(HOST, Outcome::Failed(error));
    let mut judged = judge(
        Some(&expected),
        look,
        &pki.right.trust,
        &Rules::default(),
        now(),
    );
    let before = judged.codes();
    judge_dane(
        &mut judged,
        &tlsa,
        &pki.right.trust,
        now(),
        &Signatures::default(),
    );
    assert_eq!(judged.codes(), before);
    assert_eq!(judged.dane.unwrap().matched, None);
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
    fn strangers_records_never_match_and_never_unmatch(
        mut records in prop::collection::vec(any_record(), 0..8),
        selector in 0..2_u8,
        at: prop::sample::Index,
    ) {
        let pki = &*WORLD;
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

static WORLD: std::sync::LazyLock<Pki> = std::sync::LazyLock::new(pki);

impl Case {
    fn matched_of(&self, records: &[TlsaRecord]) -> Option<bool> {
        self.dane(records).dane.unwrap().matched
    }
}
