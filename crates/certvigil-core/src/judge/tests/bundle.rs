//! Tests of the certificate file.

use proptest::prelude::*;

use super::*;
use crate::judge::{Bundle, ChainEnd};

/// A root, two intermediates in one path, and a leaf.
struct Line {
    root: Authority,
    upper: Authority,
    lower: Authority,
    leaf: Certificate,
}

fn line() -> Line {
    let root = root("Root");
    let upper = root.below("Upper");
    let lower = upper.below("Lower");
    let leaf = lower.leaf(HOST, days(1, 200)).certificate;
    Line {
        root,
        upper,
        lower,
        leaf,
    }
}

fn arrange(certificates: &[Certificate], roots: &[&Authority]) -> Bundle {
    let trust = store(roots.iter().map(|root| &root.certificate));
    Bundle::arrange(certificates, &trust, now()).unwrap()
}

/// Returns the certificates of the file, leaf first.
fn file(bundle: &Bundle) -> Vec<Certificate> {
    parse_certificates(bundle.to_pem().as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bundle_is_independent_of_the_order_in_the_file(
        shuffled in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let line = line();
        let stranger = root("Stranger");
        let other = line.root.below("Other");
        // Another certificate for the same authority, by another root.
        let crossed = stranger.cross_sign(&line.upper, long()).unwrap();
        let all = [
            line.leaf.clone(),
            line.lower.cert(),
            line.upper.cert(),
            line.root.cert(),
            crossed.clone(),
            stranger.cert(),
            other.cert(),
            line.lower.cert(),
            line.leaf.clone(),
        ];
        let certificates: Vec<_> = shuffled.iter().map(|at| all[*at].clone()).collect();
        let bundle = arrange(&certificates, &[&line.root]);
        prop_assert_eq!(&bundle.end, &ChainEnd::Complete);
        // The path to the trusted root precedes the path to the other.
        prop_assert_eq!(file(&bundle), [line.leaf, line.lower.cert(), line.upper.cert(), crossed]);
    }
}

/// Two certificates of one authority: OpenSSL uses the first, also if its name constraints do not
/// allow the leaf.
#[test]
fn usable_certificate_of_an_authority_precedes_an_unusable_one() {
    let line = line();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Lower");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("other.example".into())],
        excluded_subtrees: Vec::new(),
    });
    // The hashes of the certificates, and so their order by hash, differ each time.
    for _ in 0..8 {
        let signed = |key: &rcgen::KeyPair| params.signed_by(key, &line.upper.issuer());
        let signed = line.lower.key().signing(signed).unwrap();
        let unusable = Certificate::from_der(signed.der().to_vec());
        let certificates = [
            line.leaf.clone(),
            unusable.clone(),
            line.lower.cert(),
            line.upper.cert(),
        ];
        let bundle = arrange(&certificates, &[&line.root]);
        let expected = [
            line.leaf.clone(),
            line.lower.cert(),
            unusable,
            line.upper.cert(),
        ];
        assert_eq!(file(&bundle), expected);
    }
}

#[test]
fn incomplete_bundle_names_the_certificate_without_issuer() {
    let line = line();
    let leaf = || line.leaf.clone();
    let missing = |certificates: &[Certificate]| arrange(certificates, &[&line.root]).end;
    assert_eq!(missing(&[leaf()]), ChainEnd::Missing(leaf()));
    assert_eq!(
        missing(&[line.upper.cert(), leaf()]),
        ChainEnd::Missing(leaf())
    );
    let lower = line.lower.cert();
    assert_eq!(missing(&[leaf(), lower.clone()]), ChainEnd::Missing(lower));
    let whole = [leaf(), line.lower.cert(), line.upper.cert()];
    assert_eq!(missing(&whole), ChainEnd::Complete);
    // The chain ends below the first trusted certificate.
    let end = arrange(&whole[..1], &[&line.lower]).end;
    assert_eq!(end, ChainEnd::Complete);
}

#[test]
fn untrusted_root_is_reported_and_not_written() {
    let line = line();
    let all = [
        line.leaf.clone(),
        line.root.cert(),
        line.upper.cert(),
        line.lower.cert(),
    ];
    let bundle = arrange(&all, &[]);
    assert_eq!(bundle.end, ChainEnd::Untrusted(line.root.cert()));
    assert!(!file(&bundle).contains(&line.root.cert()));
}

#[test]
fn bundle_ends_at_a_loop_of_cross_signed_authorities() {
    let (a, b) = (root("A"), root("B"));
    let a_by_b = b.cross_sign(&a, long()).unwrap();
    let b_by_a = a.cross_sign(&b, long()).unwrap();
    let leaf = a.leaf(HOST, days(1, 200)).certificate;
    let all = [leaf.clone(), b_by_a.clone(), a_by_b.clone()];
    let bundle = arrange(&all, &[]);
    assert_eq!(bundle.end, ChainEnd::Circle);
    assert_eq!(file(&bundle), [leaf, a_by_b, b_by_a]);
    assert_eq!(arrange(&all, &[&b]).end, ChainEnd::Complete);
}

#[test]
fn bundle_of_a_self_signed_leaf_is_the_leaf_alone() {
    let leaf = self_signed(&key());
    let bundle = arrange(&[root("Root").cert(), leaf.clone()], &[]);
    assert_eq!(
        (file(&bundle), bundle.end),
        (vec![leaf], ChainEnd::Complete)
    );
    // Tools make them with CA:TRUE.
    let root = root("appliance.example");
    let bundle = arrange(&[root.cert()], &[]);
    assert_eq!(
        (file(&bundle), bundle.end),
        (vec![root.cert()], ChainEnd::Complete)
    );
}

#[test]
fn bundle_of_a_leaf_issued_by_a_root_is_the_leaf_alone() {
    let root = root("Root");
    let leaf = root.leaf(HOST, days(1, 200)).certificate;
    let bundle = arrange(&[root.cert(), leaf.clone()], &[&root]);
    assert_eq!(
        (file(&bundle), bundle.end),
        (vec![leaf], ChainEnd::Complete)
    );
}

#[test]
fn file_without_a_unique_leaf_is_refused() {
    let line = line();
    let second = line.lower.leaf("mail.example.com", days(1, 200));
    let arrange = |certificates: &[Certificate]| {
        let error = Bundle::arrange(certificates, &TrustStore::default(), now()).unwrap_err();
        error.to_string()
    };
    let two = [line.leaf.clone(), second.certificate, line.lower.cert()];
    let error = arrange(&two);
    assert!(
        error.contains("2 certificates that may be the leaf")
            && error.contains("`mail.example.com` (serial ")
            && error.contains(&format!("`{HOST}` (serial ")),
        "{error}"
    );
    let error = arrange(&[root("A").cert(), root("B").cert()]);
    assert!(error.contains("leave only one"), "{error}");
    let error = arrange(&[Certificate::from_der(b"no certificate".to_vec())]);
    assert!(
        error.starts_with("certificate 1 of the file is malformed"),
        "{error}"
    );
    assert_eq!(arrange(&[]), "there is no certificate");
}

#[test]
fn a_file_with_a_malformed_certificate_is_refused_with_its_position() {
    let line = line();
    let malformed = Certificate::from_der(vec![0x30, 0]);
    for certificates in [
        [line.leaf.clone(), malformed.clone(), line.lower.cert()],
        [line.lower.cert(), malformed, line.upper.cert()],
    ] {
        let error = Bundle::arrange(&certificates, &TrustStore::default(), now()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("certificate 2 of the file is malformed"),
            "{error}"
        );
    }
}

#[test]
fn certificate_with_the_issuers_name_but_another_key_is_not_used() {
    let line = line();
    let impostor = root("Lower");
    let bundle = arrange(&[line.leaf.clone(), impostor.cert()], &[&line.root]);
    assert_eq!(file(&bundle), std::slice::from_ref(&line.leaf));
    assert_eq!(bundle.end, ChainEnd::Missing(line.leaf));
}
