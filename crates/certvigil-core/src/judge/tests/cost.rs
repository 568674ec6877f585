//! A hostile chain costs no more CPU time than allowed, and its trust is judged correctly.

use super::*;
use crate::judge::chain::{Chain, examine};
use crate::judge::is_cheap;
use crate::judge::links::{Links, SIGNATURE_BUDGET, Signatures};

/// Maximum certificates that a probe reads.
const MANY: usize = 100;

fn checks_of(served: &[Certificate], trust: &TrustStore) -> u32 {
    let signatures = Signatures::default();
    let links = Links::new(trust, &signatures);
    let _: Chain<'_> = examine(&served[0], &served[1..], None, &links);
    links.spent()
}

/// Returns a leaf and authorities of one name, each with its own key and signed by the next.
fn one_name(count: usize) -> Vec<Certificate> {
    let mut above = root("Same");
    let mut chain = vec![above.cert()];
    for _ in 1..count {
        above = above.below("Same");
        chain.push(above.cert());
    }
    chain.push(above.leaf(HOST, days(1, 200)).certificate);
    chain.reverse();
    chain
}

/// Returns a leaf and authorities that all signed each other. The first issued the leaf.
fn maze(count: usize) -> (Vec<Certificate>, Vec<Authority>) {
    let nodes: Vec<_> = (0..count).map(|n| root(&format!("Node {n}"))).collect();
    let mut served = vec![nodes[0].leaf(HOST, days(1, 200)).certificate];
    for below in &nodes {
        let others = nodes.iter().filter(|above| above.cert() != below.cert());
        served.extend(others.map(|above| above.cross_sign(below, long()).unwrap()));
    }
    (served, nodes)
}

#[test]
fn unrelated_certificates_cost_at_most_four_signature_checks() {
    let pki = pki();
    let strangers = (0..MANY).map(|n| root(&format!("Stranger {n}")).cert());
    let served: Vec<_> = pki.right.served.iter().cloned().chain(strangers).collect();
    let checks = checks_of(&served, &pki.right.trust);
    // Few checks are needed, because the names of the unrelated certificates do not match.
    assert!(checks <= 4, "{checks}");
}

#[test]
fn each_signature_is_checked_once() {
    let served = one_name(20);
    let trust = TrustStore::default();
    // At most every key with every certificate.
    let checks = checks_of(&served, &trust);
    assert!(checks <= 20 * 21, "{checks}");
    let chain = [served.clone(), served.clone(), served].concat();
    assert_eq!(checks_of(&chain, &trust), checks);
}

#[test]
fn hundred_certificates_with_one_name_stay_within_the_signature_budget() {
    let mut served = one_name(MANY - 1);
    served[1..].reverse();
    let trust = store([served.last().unwrap()]);
    assert!(checks_of(&served, &trust) <= SIGNATURE_BUDGET);
    let signatures = Signatures::default();
    let links = Links::new(&trust, &signatures);
    for issuer in &served {
        for subject in &served {
            links.issued(issuer, subject);
            links.is_anchored(subject);
        }
    }
    assert_eq!(links.spent(), SIGNATURE_BUDGET);
}

#[test]
fn trusted_root_is_found_among_many_cross_signed_authorities() {
    let (mut served, nodes) = maze(10);
    let trusted = root("Trusted");
    let way_out = trusted.cross_sign(&nodes[9], long()).unwrap();
    served.push(way_out);
    assert_eq!(served.len(), 92);
    let trust = store([&trusted.certificate]);
    // Each certificate is checked with one of ten keys: all other pairs of names do not match.
    let checks = checks_of(&served, &trust);
    assert!(checks as usize <= 2 * served.len(), "{checks}");
    let mut case = pki().right.trusting(trust).expecting(pin(&served[0]));
    for rotation in 0..3 {
        served[1..].rotate_left(rotation * 30);
        case = case.serving(served.clone());
        let flags = case.flags();
        assert!(flags.chained && flags.trusted == Some(true));
    }
    let nobody = case.trusting(store([&root("Nobody").certificate]));
    let flags = nobody.flags();
    assert!(!flags.chained && flags.trusted == Some(false));
}

/// The path builder gives up after a hundred signatures. It does not receive unrelated certificates
/// of the same name.
#[test]
fn certificates_with_the_same_name_do_not_exhaust_the_path_builder() {
    let pki = pki();
    let mut namesakes: Vec<_> = (0..MANY - 2)
        .map(|_| pki.root.below("Intermediate").cert())
        .collect();
    namesakes.insert(0, pki.leaf());
    namesakes.push(pki.mid.cert());
    let case = pki.right.serving(namesakes);
    let flags = case.flags();
    assert!(flags.chained && flags.trusted == Some(true));
    // Some clients follow the first issuer of the name, and Java refuses a chain of that length.
    assert_eq!(
        case.codes(),
        ["refused_by_clients", "unrelated_certificate"]
    );
}

#[test]
fn a_long_path_is_trusted() {
    let mut above = root("Top");
    let trust = store([&above.certificate]);
    let mut chain = Vec::new();
    for n in 0..7 {
        above = above.below(&format!("Level {n}"));
        chain.insert(0, above.cert());
    }
    let leaf = above.leaf(HOST, days(1, 200)).certificate;
    chain.insert(0, leaf.clone());
    let case = pki()
        .right
        .trusting(trust)
        .expecting(pin(&leaf))
        .serving(chain);
    assert!(case.flags().chained && case.flags().trusted == Some(true));
}

/// A caller that must not block judges other chains elsewhere.
#[test]
fn chain_is_cheap_unless_many_certificates_share_a_name() {
    let cheap = |case: &Case| is_cheap(&case.expected, &case.served(), &case.trust);
    let right = &pki().right;
    assert!(cheap(right));
    assert!(!cheap(&right.serving(one_name(9))));
    // Seven keys for each of seven certificates, until the results are remembered; a certificate
    // remembers four.
    let namesakes = right.serving(one_name(6));
    assert!(!cheap(&namesakes));
    namesakes.judged();
    assert!(!cheap(&namesakes));
    let few = right.serving(one_name(3));
    few.judged();
    assert!(cheap(&few));
    // Known issuers count as well as served ones.
    let mut instances = right.expected.instances().unwrap().clone();
    instances.expected.chain = one_name(20);
    let expected = Expected {
        source: SourceKind::Pem,
        what: Expectation::Instances(Box::new(instances)),
    };
    assert!(!is_cheap(&expected, &right.served(), &right.trust));
}
