//! The work for a hostile chain, and the size of its result, are bounded.

use rcgen::{CertificateParams, Issuer};

use super::paths::{Chain, ca, extension, node, refused, same, server, trusting};
use super::*;
use crate::finding::{Client, Code};
use crate::judge::clients::Opinion;
use crate::judge::links::{Links, Signatures};
use crate::judge::{MAX_FINDINGS, is_cheap, judge_within};

const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];

/// Returns a DER element.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let octets = content.len().to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let digits = &octets[zeros..];
    let length = match digits {
        [] => vec![0],
        [short @ ..0x80] => vec![*short],
        _ => [&[0x80 | u8::try_from(digits.len()).unwrap()][..], digits].concat(),
    };
    [&[tag][..], &length, content].concat()
}

/// Returns a Name with this number of parts.
fn name(parts: usize) -> Vec<u8> {
    let value = [&[6, 1, 0x2a][..], &element(0x0c, b"a")].concat();
    let part = element(0x31, &element(0x30, &value));
    element(0x30, &part.repeat(parts))
}

/// Adds the exclusion of `count` names of this kind to an authority.
fn excluding(tag: u8, base: &[u8], count: usize) -> impl Fn(&mut CertificateParams) {
    let subtree = element(0x30, &element(tag, base));
    let value = element(0x30, &element(0xa1, &subtree.repeat(count)));
    move |params| {
        let constraints = extension(NAME_CONSTRAINTS, true, &value);
        params.custom_extensions.push(constraints);
    }
}

/// Sets the alternative names of a leaf: its host, and these others.
fn naming(others: &[u8]) -> impl Fn(&mut CertificateParams) {
    let names = [&element(0x82, HOST.as_bytes()), others].concat();
    let value = element(0x30, &names);
    move |params| {
        params.subject_alt_names.clear();
        let names = extension(SUBJECT_ALT_NAME, false, &value);
        params.custom_extensions.push(names);
    }
}

/// Returns the units of the budget of comparisons that judging a case takes.
fn comparisons(case: &Case) -> usize {
    let signatures = Signatures::default();
    let expected = Arc::new(case.expected.clone());
    let observation = observation(&case.host, Outcome::Served(Box::new(case.served())));
    let (trust, rules) = (&case.trust, &case.rules);
    judge_within(
        &signatures,
        Some(&expected),
        observation,
        trust,
        rules,
        case.now,
    );
    Links::new(trust, &signatures).comparisons().spent()
}

/// Returns a leaf below several cross-certificates of one authority, which the authority at the top
/// issued.
fn crossed(
    count: usize,
    top: impl FnOnce(&mut CertificateParams),
    leaf: impl FnOnce(&mut CertificateParams),
) -> Case {
    let root = node("Root", None, |p| {
        ca(p);
        top(p);
    });
    let mid = node("Mid", Some(&root), ca);
    let leaf = node(HOST, Some(&mid), |p| {
        server(p);
        leaf(p);
    });
    let mut served = vec![leaf.certificate, mid.certificate.clone()];
    for serial in 1..count {
        let mut params = mid.params.clone();
        params.serial_number = Some((serial as u64).into());
        let issuer = Issuer::from_params(&root.params, &root.key);
        let signed = params.signed_by(&mid.key, &issuer).unwrap();
        served.push(Certificate::from_der(signed.der().to_vec()));
    }
    served.push(root.certificate);
    trusting(&[], &served)
}

#[test]
fn names_are_compared_once_however_many_paths_there_are() {
    let spent = |count: usize| {
        let case = crossed(count, excluding(0xa4, &name(1), 50), same);
        comparisons(&case)
    };
    let one = spent(1);
    // The leaf has a subject and an alternative name, and each intermediate a subject.
    assert!((150..=250).contains(&one), "{one}");
    for count in [2, 6] {
        let more = spent(count);
        assert!(more <= one + 60 * (count - 1), "{count}: {more}");
    }
}

#[test]
fn a_long_base_takes_more_of_the_budget_than_a_short_one() {
    let spent = |parts| {
        let chain = Chain::new(same, excluding(0xa4, &name(parts), 100), same);
        comparisons(&chain.case())
    };
    let (short, long) = (spent(1), spent(200));
    assert!(long > 10 * short, "{short} {long}");
}

#[test]
fn a_chain_that_exhausts_the_comparisons_is_not_trusted() {
    let names = element(0x82, b"a").repeat(4_000);
    let chain = Chain::new(same, excluding(0x82, b"b", 100), naming(&names));
    let case = chain.case();
    refused(
        &case,
        "untrusted_root",
        "has more name constraints than are compared",
    );
    assert_eq!(comparisons(&case), crate::judge::path::MAX_COMPARISONS);
    let judged = case.judged();
    let accepts = |client| {
        let opinions = judged.clients.as_ref().unwrap();
        let mut opinions = opinions.iter();
        opinions.any(|(of, opinion)| of == client && *opinion == Opinion::Accepts)
    };
    assert!(!accepts(Client::Openssl) && !accepts(Client::Go));
}

#[test]
fn constraints_of_a_chain_of_many_names_within_the_budget_are_compared() {
    let names = element(0x82, b"a").repeat(1_000);
    let case = Chain::new(same, excluding(0x82, b"b", 100), naming(&names)).case();
    assert_eq!(case.flags().trusted, Some(true), "{:?}", case.codes());
}

#[test]
fn chain_with_many_name_constraints_is_not_cheap() {
    let cheap = |count| {
        let case = Chain::new(same, excluding(0x82, b"b", count), same).case();
        is_cheap(&case.expected, &case.served(), &case.trust)
    };
    assert!(cheap(64));
    assert!(!cheap(65));
}

#[test]
fn an_excluded_domain_that_a_wildcard_covers_is_found_among_many_names() {
    let names = [element(0x82, b"a").repeat(500), element(0x82, b"*.B.test")].concat();
    let case = |base: &[u8]| Chain::new(same, excluding(0x82, base, 40), naming(&names)).case();
    refused(&case(b"c.b.test"), "untrusted_root", "*.B.test");
    assert_eq!(case(b"c.d.test").flags().trusted, Some(true));
}

#[test]
fn long_name_is_shortened_in_a_message() {
    let name = [&b"x.".repeat(2_000)[..], b"b.test"].concat();
    let names = element(0x82, &name);
    let case = Chain::new(same, excluding(0x82, b"b.test", 1), naming(&names)).case();
    let (message, _) = case.reported("untrusted_root");
    assert!(message.contains("x.…`"), "{message}");
    assert!(message.len() < 1_000, "{message}");
}

/// TLS 1.3 adds the extensions of each certificate, and the context.
#[test]
fn size_of_the_certificate_message_counts_for_java() {
    const MAX: usize = 32_768;
    let padded = |size: usize| {
        let chain = Chain::new(same, same, |params: &mut CertificateParams| {
            let value = element(4, &vec![0; size]);
            let padding = extension(&[1, 3, 6, 1, 4, 1, 55_555, 1], false, &value);
            params.custom_extensions.push(padding);
        });
        chain.case()
    };
    let message = |case: &Case| 3 + case.served.iter().map(|c| 3 + c.der().len()).sum::<usize>();
    let mut padding = 30_000;
    // The length of the signatures is random.
    let case = loop {
        let case = padded(padding);
        let size = message(&case);
        if (MAX - 2..=MAX).contains(&size) {
            break case;
        }
        padding = padding + MAX - 1 - size;
    };
    for (version, suite, is_refused) in [
        (
            TlsVersion::Tls12,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            false,
        ),
        (TlsVersion::Tls13, "TLS_AES_128_GCM_SHA256", true),
    ] {
        let judged = case.judged_with(version, suite, KeyProof::Handshake, Parameters::default());
        let mut refusals = judged.clients.as_ref().unwrap().refusals();
        assert_eq!(
            refusals.any(|(client, _)| client == Client::Java),
            is_refused
        );
    }
}

#[test]
fn a_leaf_with_many_invalid_names_keeps_a_bounded_number_of_deviations() {
    let names: Vec<u8> = (0..2_000)
        .flat_map(|n| element(0x82, format!("\u{1b}{n}").as_bytes()))
        .collect();
    let chain = Chain::new(same, same, naming(&names));
    let facts = chain.leaf.certificate.facts().unwrap();
    assert_eq!(facts.remarks.len() + facts.oddities.len(), 64);
}

/// Adds unknown critical extensions with these numbers as the last arc.
fn with_unknown(numbers: impl Iterator<Item = u64>) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        for number in numbers {
            let unknown = extension(&[1, 3, 6, 1, 4, 1, 55_555, number], true, &[5, 0]);
            params.custom_extensions.push(unknown);
        }
    }
}

#[test]
fn a_repeated_fault_is_reported_once() {
    let repeated = std::iter::repeat_n(1, 500);
    let case = Chain::new(same, same, with_unknown(repeated)).case();
    let judged = case.judged();
    let untrusted = |f: &&crate::finding::Finding| f.code() == Code::UntrustedRoot;
    // The unknown extension, and that it is there more than once.
    assert_eq!(judged.findings.iter().filter(untrusted).count(), 2);
    assert_eq!(judged.severity(), Severity::Critical);
}

#[test]
fn many_faulty_extensions_are_reported_as_a_number() {
    let case = Chain::new(same, same, with_unknown(1..=300)).case();
    let judged = case.judged();
    assert!(judged.findings.len() <= 25, "{}", judged.findings.len());
    refused(&case, "untrusted_root", "has 280 more faulty extensions");
    refused(&case, "untrusted_root", "1.3.6.1.4.1.55555.20");
}

#[test]
fn findings_of_many_faulty_certificates_are_bounded_and_the_severest_kept() {
    let root = node("Root", None, ca);
    let mut nodes = vec![root];
    for n in 0..10 {
        let issuer = nodes.last().unwrap();
        nodes.push(node(&format!("Mid {n}"), Some(issuer), |p| {
            ca(p);
            with_unknown(1..=30)(p);
            // The validity has not begun.
            p.not_before = p.not_after;
        }));
    }
    let leaf = node(HOST, nodes.last(), server);
    let above = nodes.iter().skip(1).rev().map(|n| n.certificate.clone());
    let unrelated = node("Unrelated", None, ca).certificate;
    let served = std::iter::once(leaf.certificate).chain(above);
    let served: Vec<_> = served.chain([unrelated]).collect();
    let case = trusting(&[&nodes[0]], &served);
    let judged = case.judged();
    assert_eq!(judged.findings.len(), MAX_FINDINGS + 1);
    refused(
        &case,
        "nonconformant_certificate",
        "more findings, which are not listed",
    );
    // The findings of each code are represented, whatever its severity.
    for code in [Code::NotYetValid, Code::UnrelatedCertificate] {
        let mut codes = judged.findings.iter().map(|f| f.code());
        assert!(codes.any(|found| found == code), "{code}");
    }
}
