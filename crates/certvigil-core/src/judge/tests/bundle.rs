//! Tests of the certificate file.

use proptest::prelude::*;

use super::*;
use crate::judge::{Bundle, End};

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
    Bundle::arrange(certificates, &trust).unwrap()
}

/// Returns the certificates of the file, leaf first.
fn file(bundle: &Bundle) -> Vec<Certificate> {
    parse_certificates(bundle.to_pem().as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_the_file_plays_no_part(
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
        prop_assert_eq!(&bundle.end, &End::Complete);
        // The path to the trusted root precedes the path to the other.
        prop_assert_eq!(file(&bundle), [line.leaf, line.lower.cert(), line.upper.cert(), crossed]);
    }
}

#[test]
fn what_ends_early_says_whose_issuer_is_missing() {
    let line = line();
    let leaf = || line.leaf.clone();
    let missing = |certificates: &[Certificate]| arrange(certificates, &[&line.root]).end;
    assert_eq!(missing(&[leaf()]), End::Missing(leaf()));
    assert_eq!(missing(&[line.upper.cert(), leaf()]), End::Missing(leaf()));
    let lower = line.lower.cert();
    assert_eq!(missing(&[leaf(), lower.clone()]), End::Missing(lower));
    let whole = [leaf(), line.lower.cert(), line.upper.cert()];
    assert_eq!(missing(&whole), End::Complete);
    // The chain ends below the first trusted certificate.
    let end = arrange(&whole[..1], &[&line.lower]).end;
    assert_eq!(end, End::Complete);
}

#[test]
fn a_root_that_nobody_trusts_is_told_and_never_in_the_file() {
    let line = line();
    let all = [
        line.leaf.clone(),
        line.root.cert(),
        line.upper.cert(),
        line.lower.cert(),
    ];
    let bundle = arrange(&all, &[]);
    assert_eq!(bundle.end, End::Untrusted(line.root.cert()));
    assert!(!file(&bundle).contains(&line.root.cert()));
}

#[test]
fn two_authorities_that_issued_each_other_end() {
    let (a, b) = (root("A"), root("B"));
    let a_by_b = b.cross_sign(&a, long()).unwrap();
    let b_by_a = a.cross_sign(&b, long()).unwrap();
    let leaf = a.leaf(HOST, days(1, 200)).certificate;
    let all = [leaf.clone(), b_by_a.clone(), a_by_b.clone()];
    let bundle = arrange(&all, &[]);
    assert_eq!(bundle.end, End::Circle);
    assert_eq!(file(&bundle), [leaf, a_by_b, b_by_a]);
    assert_eq!(arrange(&all, &[&b]).end, End::Complete);
}

#[test]
fn a_self_signed_leaf_is_all_of_its_file() {
    let leaf = self_signed(&key());
    let bundle = arrange(&[root("Root").cert(), leaf.clone()], &[]);
    assert_eq!((file(&bundle), bundle.end), (vec![leaf], End::Complete));
    // Tools make them with CA:TRUE.
    let root = root("appliance.example");
    let bundle = arrange(&[root.cert()], &[]);
    assert_eq!(
        (file(&bundle), bundle.end),
        (vec![root.cert()], End::Complete)
    );
}

#[test]
fn a_leaf_below_a_root_stands_alone() {
    let root = root("Root");
    let leaf = root.leaf(HOST, days(1, 200)).certificate;
    let bundle = arrange(&[root.cert(), leaf.clone()], &[&root]);
    assert_eq!((file(&bundle), bundle.end), (vec![leaf], End::Complete));
}

#[test]
fn a_file_has_to_say_which_its_leaf_is() {
    let line = line();
    let second = line.lower.leaf("mail.example.com", days(1, 200));
    let arrange = |certificates: &[Certificate]| {
        let error = Bundle::arrange(certificates, &TrustStore::default()).unwrap_err();
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
        let error = Bundle::arrange(&certificates, &TrustStore::default()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("certificate 2 of the file is malformed"),
            "{error}"
        );
    }
}

#[test]
fn an_impostor_of_the_issuers_name_is_a_stranger() {
    let line = line();
    let impostor = root("Lower");
    let bundle = arrange(&[line.leaf.clone(), impostor.cert()], &[&line.root]);
    assert_eq!(file(&bundle), std::slice::from_ref(&line.leaf));
    assert_eq!(bundle.end, End::Missing(line.leaf));
}
