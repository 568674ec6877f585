//! The path from a leaf to its root.

use proptest::prelude::*;

use super::*;
use crate::judge::{PathEntry, Role, ServedPath, served_path};

fn path(certificates: &[Certificate], roots: &[&Authority]) -> ServedPath {
    let (leaf, rest) = certificates.split_first().unwrap();
    let served = Served {
        leaf: leaf.clone(),
        rest: rest.to_vec(),
        tls_version: TlsVersion::Tls13,
        cipher_suite: "".into(),
        alpn: None,
        revocation: Revocation::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
        failure: None,
        ech: None,
    };
    served_path(&served, &store(roots.iter().map(|root| &root.certificate)))
}

/// Returns a short description of each rung.
fn entries(path: &ServedPath) -> Vec<String> {
    let entry = |entry: &PathEntry| match entry {
        PathEntry::Served {
            certificate,
            place,
            role,
        } => format!("{place} {role:?} {}", certificate.facts().unwrap().name()),
        PathEntry::Root(root) => format!("root {}", root.name),
        PathEntry::Missing(issuer) => format!("missing {issuer}"),
    };
    path.entries.iter().map(entry).collect()
}

fn aside(path: &ServedPath) -> Vec<usize> {
    path.aside.iter().map(|(place, _)| *place).collect()
}

#[test]
fn correct_chain_ends_at_the_unserved_root() {
    let pki = pki();
    let path = path(&[pki.leaf(), pki.mid.cert()], &[&pki.root]);
    let way = [
        "1 Leaf www.example.com",
        "2 Intermediate Intermediate",
        "root CN=Root",
    ];
    assert_eq!(entries(&path), way);
    assert!(aside(&path).is_empty());
    let Some(PathEntry::Root(root)) = path.entries.last() else {
        panic!("{path:?}");
    };
    assert_eq!(root.certificate, Some(pki.root.cert()));
    assert_eq!(root.key, pki.root.certificate.facts().unwrap().key);
}

#[test]
fn path_names_the_missing_issuer() {
    let pki = pki();
    let missing = ["1 Leaf www.example.com", "missing CN=Intermediate"];
    assert_eq!(entries(&path(&[pki.leaf()], &[&pki.root])), missing);
    // The trusted root has another key.
    let namesake = root("Root");
    let chain = [pki.leaf(), pki.mid.cert()];
    let way = entries(&path(&chain, &[&namesake]));
    assert_eq!(way.last().unwrap(), "missing CN=Root");
}

#[test]
fn served_trusted_root_is_distinguished_from_an_untrusted_one() {
    let pki = pki();
    let chain = [pki.leaf(), pki.mid.cert(), pki.root.cert()];
    // A client does not need the root, but it is served.
    let trusted = path(&chain, &[&pki.root]);
    assert_eq!(entries(&trusted).last().unwrap(), "3 TrustedRoot Root");
    assert!(aside(&trusted).is_empty());
    let strange = path(&chain, &[]);
    assert_eq!(entries(&strange).last().unwrap(), "3 StrangeRoot Root");
    assert!(aside(&strange).is_empty());
}

#[test]
fn path_of_a_self_signed_leaf_is_the_leaf_alone() {
    let leaf = self_signed(&key());
    let alone = path(std::slice::from_ref(&leaf), &[]);
    assert_eq!(alone.entries.len(), 1);
}

#[test]
fn malformed_leaf_ends_the_path() {
    let pki = pki();
    let bytes = Certificate::from_der(vec![1, 2, 3]);
    let path = path(&[bytes, pki.mid.cert()], &[&pki.root]);
    assert_eq!((path.entries.len(), aside(&path)), (1, vec![2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_served_certificate_is_on_or_off_the_path(
        shuffled in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        trusted in any::<bool>(),
    ) {
        let pki = pki();
        let lower = pki.mid.below("Lower");
        let leaf = lower.leaf(HOST, days(1, 200)).certificate;
        let stranger = root("Stranger");
        let crossed = stranger.cross_sign(&pki.mid, long()).unwrap();
        let all = [lower.cert(), pki.mid.cert(), pki.root.cert(), crossed, stranger.cert(), lower.cert()];
        let mut served = vec![leaf];
        served.extend(shuffled.iter().map(|&at| all[at].clone()));
        let roots: &[&Authority] = if trusted { &[&pki.root] } else { &[] };
        let path = path(&served, roots);
        let mut places: Vec<usize> = path.entries.iter().filter_map(|entry| match entry {
            PathEntry::Served { place, certificate, .. } => {
                assert_eq!(*certificate, served[*place - 1]);
                Some(*place)
            }
            _ => None,
        }).collect();
        places.extend(aside(&path));
        places.sort_unstable();
        prop_assert_eq!(places, (1..=served.len()).collect::<Vec<_>>());
        let is_trusted_root = matches!(path.entries.last(), Some(PathEntry::Served { role: Role::TrustedRoot, .. }));
        prop_assert_eq!(trusted, is_trusted_root);
    }
}
