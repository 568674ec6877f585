//! Properties that hold for any served chain.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::certificate::FileError;
use crate::finding::{Code, Text};

/// A chain with two paths, and further certificates to serve.
struct TestData {
    cases: Vec<Case>,
    extras: Vec<Certificate>,
    ders: Vec<Vec<u8>>,
}

static TEST_DATA: LazyLock<TestData> = LazyLock::new(|| {
    let pki = pki();
    let low = pki.mid.below("Low");
    let leaf = low.leaf(HOST, days(100, 20)).certificate;
    let other_root = root("Other Root");
    let cross = other_root.cross_sign(&pki.mid, days(10, 20)).unwrap();
    let chain = [low.cert(), pki.mid.cert()];
    let expected = expect(Instances::only(instance(&leaf, &chain)));
    let right = pki
        .right
        .expecting(expected)
        .serving([leaf.clone(), low.cert(), pki.mid.cert()]);
    let both = right.trusting(store([&pki.root.certificate, &other_root.certificate]));
    let loop_back = low.cross_sign(&pki.mid, long()).unwrap();
    let odd = [
        "v1",
        "rsa1024",
        "sha1",
        "negative-serial",
        "md5",
        "brainpool-root",
        "two-faults",
    ];
    let mut extras = vec![
        leaf.clone(),
        low.cert(),
        pki.mid.cert(),
        pki.root.cert(),
        cross,
        other_root.cert(),
        loop_back,
        root("Root").cert(),
        pki.root.below("Low").cert(),
        self_signed(&key()),
        Certificate::from_der(vec![]),
        Certificate::from_der(vec![0x30; 40]),
    ];
    extras.extend(odd.map(testdata));
    let ders = extras.iter().map(|c| c.der().to_vec()).collect();
    let cases = vec![
        right.expecting(pin(&leaf)),
        right.expecting(Expected::trust_only()),
        both.expecting(pin_key(&leaf)),
        both.trusting(TrustStore::default()),
        both,
        right,
    ];
    TestData {
        cases,
        extras,
        ders,
    }
});

fn case() -> impl Strategy<Value = Case> {
    (0..TEST_DATA.cases.len()).prop_map(|at| TEST_DATA.cases[at].clone())
}

fn extras() -> impl Strategy<Value = Vec<Certificate>> {
    prop::collection::vec(
        (0..TEST_DATA.extras.len()).prop_map(|at| TEST_DATA.extras[at].clone()),
        0..8,
    )
}

/// Generates a damaged real certificate: bits flipped, truncated, or spliced with another.
fn damaged_der() -> impl Strategy<Value = Vec<u8>> {
    let der = || (0..TEST_DATA.ders.len()).prop_map(|at| TEST_DATA.ders[at].clone());
    let flips = prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6);
    prop_oneof![
        (der(), flips).prop_map(|(mut der, flips)| {
            for (at, bit) in flips {
                if !der.is_empty() {
                    let at = at.index(der.len());
                    der[at] ^= 1 << bit;
                }
            }
            der
        }),
        (der(), any::<prop::sample::Index>()).prop_map(|(mut der, at)| {
            der.truncate(at.index(der.len() + 1));
            der
        }),
        (der(), der(), any::<prop::sample::Index>()).prop_map(|(a, b, at)| {
            let at = at.index(a.len() + 1);
            [&a[..at], b.get(at..).unwrap_or_default()].concat()
        }),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// Checks the properties of every judgement.
fn check(judged: &Judged) -> Result<(), TestCaseError> {
    let order: Vec<_> = judged
        .findings
        .iter()
        .map(|f| (std::cmp::Reverse(f.severity), f.code()))
        .collect();
    prop_assert!(order.is_sorted(), "{:?}", judged.codes());
    for finding in &judged.findings {
        prop_assert!(finding.code().severities().contains(&finding.severity));
        let Text { message, hint } = finding.text();
        prop_assert!(!message.is_empty() && !hint.is_empty());
        let lines = format!("{message}{hint}");
        prop_assert!(!lines.chars().any(char::is_control), "{lines:?}");
    }
    let flags = judged.flags();
    let expectation = &judged.expected.as_ref().unwrap().what;
    if !flags.correct {
        prop_assert_eq!(
            judged.severity(),
            Severity::Critical,
            "{:?}",
            judged.codes()
        );
    }
    if *expectation == Expectation::TrustOnly {
        prop_assert_eq!(Some(flags.correct), flags.trusted);
    }
    if flags.trusted == Some(true) {
        prop_assert!(flags.chained && flags.hostname_match == Some(true));
        prop_assert!(flags.expired != Some(true) && flags.not_yet_valid != Some(true));
    } else {
        prop_assert!(
            judged.severity() >= Severity::Warning,
            "untrusted for no reason"
        );
    }
    for (flag, code) in [
        (flags.expired, Code::Expired),
        (flags.dummy.then_some(true), Code::DummyCertificate),
    ] {
        prop_assert_eq!(
            flag == Some(true),
            judged.findings.iter().any(|f| f.code() == code)
        );
    }
    Ok(())
}

/// Returns true for findings that depend on the order or the repetition of served certificates. Some
/// clients try only the first of several issuers.
fn of_order(code: Code) -> bool {
    matches!(
        code,
        Code::ChainOutOfOrder | Code::DuplicateCertificate | Code::RefusedByClients
    )
}

/// Returns the codes that do not depend on the order of the chain.
fn codes_without_order(judged: &Judged) -> Vec<(Code, Severity)> {
    let reported = judged.findings.iter().filter(|f| !of_order(f.code()));
    reported.map(|f| (f.code(), f.severity)).collect()
}

/// Two certificates of the issuer end the chain: one leads back to the leaf, and one to a root that
/// is not served.
#[test]
fn order_of_equally_bad_paths_affects_no_finding() {
    let of = |at: usize| TEST_DATA.extras[at].clone();
    let (leaf, rest) = (of(1), [0, 4, 6, 7, 8].map(of));
    for case in &TEST_DATA.cases {
        let in_order = |seed| {
            let mut rest = rest.to_vec();
            shuffle(&mut rest, seed);
            let judged = case.serving([vec![leaf.clone()], rest].concat()).judged();
            (codes_without_order(&judged), judged.verdict)
        };
        for seed in 1..50 {
            assert_eq!(in_order(seed), in_order(0), "{seed}");
        }
    }
}

#[test]
fn order_of_cross_certificates_does_not_change_the_path_of_the_findings() {
    let pki = pki();
    let crosses = ["One", "Two"].map(|name| root(name).cross_sign(&pki.mid, long()).unwrap());
    let leaf = pki.right.served[0].clone();
    let case = pki.right.expecting(Expected::trust_only());
    let case = case.trusting(TrustStore::default());
    let findings_of = |[a, b]: [usize; 2]| {
        let served = vec![leaf.clone(), crosses[a].clone(), crosses[b].clone()];
        let mut findings = case.serving(served).judged().findings;
        findings.retain(|finding| !of_order(finding.code()));
        findings
    };
    assert_eq!(findings_of([0, 1]), findings_of([1, 0]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn additional_certificates_in_any_order_break_no_chain(
        case in case(), extras in extras(), seed in any::<u64>(), copies in 0usize..3,
    ) {
        prop_assert!(case.flags().chained);
        let trusted = case.flags().trusted;
        let mut rest = case.served[1..].to_vec();
        rest.extend(rest.clone().into_iter().cycle().take(copies));
        rest.extend(extras.clone());
        shuffle(&mut rest, seed);
        let judged = case.serving([vec![case.served[0].clone()], rest].concat()).judged();
        prop_assert!(judged.flags().chained, "{:?}", judged.codes());
        // Clients cannot read a message with an empty entry.
        let has_empty = extras.iter().any(|c| c.der().is_empty());
        let is_trusted = judged.flags().trusted == Some(true);
        prop_assert!(trusted != Some(true) || is_trusted != has_empty);
        check(&judged)?;
    }

    #[test]
    fn order_of_the_chain_affects_only_order_findings(
        case in case(), leaf in 0..TEST_DATA.extras.len(), rest in extras(), seed in any::<u64>(),
    ) {
        let leaf = TEST_DATA.extras[leaf].clone();
        let mut shuffled = rest.clone();
        shuffle(&mut shuffled, seed);
        let a = case.serving([vec![leaf.clone()], rest].concat()).judged();
        let b = case.serving([vec![leaf], shuffled].concat()).judged();
        prop_assert_eq!(&a.verdict, &b.verdict);
        prop_assert_eq!(codes_without_order(&a), codes_without_order(&b));
        check(&a)?;
        check(&b)?;
    }

    #[test]
    fn arbitrary_served_bytes_are_judged_without_panic(
        case in case(), damaged_der in prop::collection::vec(damaged_der(), 1..5), behind in any::<bool>(),
    ) {
        let mut served: Vec<_> = damaged_der.into_iter().map(Certificate::from_der).collect();
        if behind {
            served.insert(0, case.served[0].clone());
        }
        let judged = case.serving(served).judged();
        check(&judged)?;
        let Outcome::Served(served) = &judged.observation.outcome else { unreachable!() };
        let is_right = served.leaf == case.served[0];
        if case.expected.accepts(&served.leaf).is_some() && case.expected.source != SourceKind::PublicKey {
            prop_assert_eq!(judged.flags().correct, is_right);
        }
    }

    #[test]
    fn signature_cache_does_not_change_the_verdict(
        case in case(), own in any::<bool>(), extras in extras(), seed in any::<u64>(), days in -500i64..4_000,
    ) {
        let mut served = if own { case.served.clone() } else { Vec::new() };
        served.extend(extras);
        shuffle(&mut served, seed);
        if served.is_empty() {
            served.push(TEST_DATA.extras[0].clone());
        }
        let now = Timestamp(now().0 + days * DAY);
        let case = case.serving(served).at(now);
        let remembering = [case.judged(), case.judged()];
        let uncached = case.uncached().judged();
        for judged in remembering {
            prop_assert_eq!(&judged.verdict, &uncached.verdict);
            prop_assert_eq!(&judged.findings, &uncached.findings);
        }
    }

    #[test]
    fn chain_is_judged_at_any_time(case in case(), now in any::<i64>()) {
        check(&case.at(Timestamp(now)).judged())?;
    }

    #[test]
    fn certificate_hashes_cover_the_exact_bytes(der in damaged_der()) {
        let certificate = Certificate::from_der(der.clone());
        prop_assert_eq!(certificate.der(), &der[..]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        prop_assert_eq!(certificate.sha256().to_string(), hex);
        if let Ok(facts) = certificate.facts() {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &facts.spki);
            let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            prop_assert_eq!(facts.public_key_hash.to_string(), hex);
            prop_assert!(der.windows(facts.spki.len()).any(|w| w == facts.spki));
        }
        match parse_certificates(certificate.to_pem().as_bytes()) {
            Ok(again) => {
                prop_assert_eq!(again.len(), 1);
                // Bytes after a certificate in its block are not part of it, as OpenSSL has it.
                prop_assert!(der.starts_with(again[0].der()));
            }
            Err(FileError::NotACertificate { line, .. }) => {
                prop_assert_eq!(line, 1);
                prop_assert!(certificate.facts().is_err());
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn pem_error_is_one_line(
        der in damaged_der(), junk in "(-----(BEGIN|END) (CERTIFICATE|RSA PRIVATE KEY|X)-----|[A-Za-z0-9+/=\n \\PC]){0,40}",
        cut in any::<prop::sample::Index>(),
    ) {
        let mut pem = format!("{junk}{}{junk}", Certificate::from_der(der).to_pem()).into_bytes();
        let _ = parse_certificates(&pem);
        pem.truncate(cut.index(pem.len()));
        if let Err(error) = parse_certificates(&pem) {
            let error = error.to_string();
            prop_assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
        }
    }
}

/// Shuffles by Fisher and Yates, with numbers of a linear congruential generator.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        items.swap(last, (seed >> 33) as usize % (last + 1));
    }
}
