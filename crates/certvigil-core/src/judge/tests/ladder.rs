//! The path from a leaf to its root.

use proptest::prelude::*;

use super::*;
use crate::judge::{Ladder, Role, Rung, climb};

fn ladder(certificates: &[Certificate], roots: &[&Authority]) -> Ladder {
    let (leaf, rest) = certificates.split_first().unwrap();
    let served = Served {
        leaf: leaf.clone(),
        rest: rest.to_vec(),
        tls_version: TlsVersion::Tls13,
        cipher_suite: String::new(),
        alpn: None,
        revocation: Revocation::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
    };
    climb(&served, &store(roots.iter().map(|root| &root.certificate)))
}

/// Returns a short description of each rung.
fn rungs(ladder: &Ladder) -> Vec<String> {
    let rung = |rung: &Rung| match rung {
        Rung::Served {
            certificate,
            place,
            role,
        } => format!("{place} {role:?} {}", certificate.facts().unwrap().name()),
        Rung::Root(root) => format!("root {}", root.name),
        Rung::Missing(issuer) => format!("missing {issuer}"),
    };
    ladder.rungs.iter().map(rung).collect()
}

fn aside(ladder: &Ladder) -> Vec<usize> {
    ladder.aside.iter().map(|(place, _)| *place).collect()
}

#[test]
fn a_right_chain_ends_at_the_root_that_is_not_served() {
    let pki = pki();
    let ladder = ladder(&[pki.leaf(), pki.mid.cert()], &[&pki.root]);
    let way = [
        "1 Leaf www.example.com",
        "2 Intermediate Intermediate",
        "root CN=Root",
    ];
    assert_eq!(rungs(&ladder), way);
    assert!(aside(&ladder).is_empty());
    let Some(Rung::Root(root)) = ladder.rungs.last() else {
        panic!("{ladder:?}");
    };
    assert_eq!(root.certificate, Some(pki.root.cert()));
    assert_eq!(root.key, pki.root.certificate.facts().unwrap().key);
}

#[test]
fn what_is_missing_is_named() {
    let pki = pki();
    let missing = ["1 Leaf www.example.com", "missing CN=Intermediate"];
    assert_eq!(rungs(&ladder(&[pki.leaf()], &[&pki.root])), missing);
    // The trusted root has another key.
    let namesake = root("Root");
    let chain = [pki.leaf(), pki.mid.cert()];
    let way = rungs(&ladder(&chain, &[&namesake]));
    assert_eq!(way.last().unwrap(), "missing CN=Root");
}

#[test]
fn a_served_root_is_told_from_a_strange_one() {
    let pki = pki();
    let chain = [pki.leaf(), pki.mid.cert(), pki.root.cert()];
    // A client does not need the root, but it is served.
    let trusted = ladder(&chain, &[&pki.root]);
    assert_eq!(rungs(&trusted).last().unwrap(), "3 TrustedRoot Root");
    assert!(aside(&trusted).is_empty());
    let strange = ladder(&chain, &[]);
    assert_eq!(rungs(&strange).last().unwrap(), "3 StrangeRoot Root");
    assert!(aside(&strange).is_empty());
}

#[test]
fn a_self_signed_leaf_is_all_there_is() {
    let leaf = self_signed(&key());
    let alone = ladder(std::slice::from_ref(&leaf), &[]);
    assert_eq!(alone.rungs.len(), 1);
}

#[test]
fn bytes_that_are_no_certificate_are_a_rung() {
    let pki = pki();
    let bytes = Certificate::from_der(vec![1, 2, 3]);
    let ladder = ladder(&[bytes, pki.mid.cert()], &[&pki.root]);
    assert_eq!((ladder.rungs.len(), aside(&ladder)), (1, vec![2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_served_certificate_is_on_the_way_or_aside(
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
        let ladder = ladder(&served, roots);
        let mut places: Vec<usize> = ladder.rungs.iter().filter_map(|rung| match rung {
            Rung::Served { place, certificate, .. } => {
                assert_eq!(*certificate, served[*place - 1]);
                Some(*place)
            }
            _ => None,
        }).collect();
        places.extend(aside(&ladder));
        places.sort_unstable();
        prop_assert_eq!(places, (1..=served.len()).collect::<Vec<_>>());
        let is_trusted_root = matches!(ladder.rungs.last(), Some(Rung::Served { role: Role::TrustedRoot, .. }));
        prop_assert_eq!(trusted, is_trusted_root);
    }
}
