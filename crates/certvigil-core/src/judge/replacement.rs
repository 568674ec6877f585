//! Comparison of a leaf with the one that replaced it: a renewal, or more than that.

use std::collections::BTreeSet;

use crate::certificate::{Key, LeafRecord, dns_matches};
use crate::finding::MaterialChange;

/// Maximum domains of a certificate whose names count. One with more domains is shared by the
/// customers of a CDN, and loses the names of some of them with each renewal.
const MAX_DOMAINS: usize = 10;
/// Legal forms of organizations. Authorities change them: `Google Trust Services LLC` became
/// `Google Trust Services`, and `DigiCert Inc` became `DigiCert, Inc.`.
const LEGAL_FORMS: [&str; 18] = [
    "ab",
    "ag",
    "as",
    "bv",
    "co",
    "corp",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "limited",
    "llc",
    "ltd",
    "nv",
    "plc",
    "sa",
    "spa",
    "srl",
];

/// Returns the differences that a renewal does not have. The result is empty for a renewal: the same
/// issuing organization, at least the same names, and a key that is not weaker.
pub fn material_changes(before: &LeafRecord, after: &LeafRecord) -> Vec<MaterialChange> {
    let mut changes = Vec::new();
    if issuing_organization(before) != issuing_organization(after) {
        changes.push(MaterialChange::Issuer {
            before: before.issuer_name().to_owned(),
            after: after.issuer_name().to_owned(),
        });
    }
    if let (Some(old), Some(new)) = (&before.names, &after.names) {
        let lost = lost_names(old, new);
        if !lost.is_empty() {
            changes.push(MaterialChange::lost_names(&lost));
        }
    }
    if is_weaker(&before.key, &after.key) {
        changes.push(MaterialChange::WeakerKey {
            before: before.key.to_string(),
            after: after.key.to_string(),
        });
    }
    changes
}

/// Organization of an issuer, for comparison.
#[derive(Debug, PartialEq, Eq)]
enum Organization {
    /// Words of its name.
    Named(Vec<String>),
    /// Words of the common name of an issuer without an organization.
    CommonName(Vec<String>),
    /// The leaf is self-issued, or its issuer has no name.
    None,
}

/// Returns the issuing organization. Case, punctuation and the legal form do not count. The common
/// name counts only if there is no organization, and without its words that have a digit: it
/// changes when an authority replaces an intermediate (`R10`, `WR2`).
fn issuing_organization(leaf: &LeafRecord) -> Organization {
    let named = leaf.issuer_organization.as_deref().map(words);
    if let Some(mut words) = named.filter(|words| !words.is_empty()) {
        while let [_, .., last] = words.as_slice()
            && LEGAL_FORMS.contains(&last.as_str())
        {
            words.pop();
        }
        return Organization::Named(words);
    }
    let common_name = leaf.issuer_common_name.as_deref();
    match common_name.filter(|_| !leaf.is_self_issued()) {
        Some(name) => {
            let mut words = words(name);
            words.retain(|word| !word.contains(|c: char| c.is_ascii_digit()));
            Organization::CommonName(words)
        }
        None => Organization::None,
    }
}

/// Returns the words of a name in lower case. Full stops and apostrophes are part of a word that is
/// compared without them: `S.A.` is `sa`.
fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase().replace(['.', '\'', '’'], "");
    let words = name.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Returns the names of `before` that no name of `after` covers; none if `before` is the certificate
/// of a CDN.
fn lost_names<'a>(before: &'a [String], after: &[String]) -> Vec<&'a str> {
    let domains: BTreeSet<&str> = before.iter().map(|name| domain(name)).collect();
    if domains.len() > MAX_DOMAINS {
        return Vec::new();
    }
    let is_covered = |name: &str| after.iter().any(|new| dns_matches(new, name));
    let before = before.iter().map(String::as_str);
    before.filter(|name| !is_covered(name)).collect()
}

/// Returns the last two labels of a name.
fn domain(name: &str) -> &str {
    match name.rmatch_indices('.').nth(1) {
        Some((dot, _)) => name.get(dot + 1..).unwrap_or(name),
        None => name,
    }
}

/// Returns true if the new key has less security strength than the old one. Keys of other kinds, such
/// as ML-DSA, are not compared.
fn is_weaker(before: &Key, after: &Key) -> bool {
    let [old, new] = [before, after].map(security_bits);
    matches!((old, new), (Some(old), Some(new)) if new < old)
}

/// Returns the security strength of a key in bits (NIST SP 800-57 part 1, table 2). RSA 3072 to 7679
/// is as strong as P-256.
fn security_bits(key: &Key) -> Option<u32> {
    Some(match key {
        Key::Rsa(bits) | Key::RsaPss(bits) | Key::Dsa(bits) => match bits {
            15360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            _ => 0,
        },
        Key::Ec(_, bits) => match bits {
            512.. => 256,
            384.. => 192,
            256.. => 128,
            224.. => 112,
            160.. => 80,
            _ => 0,
        },
        Key::Other(name) => match name.as_str() {
            "Ed25519" => 128,
            "Ed448" => 224,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::certificate::Fingerprint;

    fn leaf(organization: Option<&str>, common_name: &str) -> LeafRecord {
        LeafRecord {
            sha256: Fingerprint::of(common_name.as_bytes()),
            subject: "CN=a.example".into(),
            issuer: format!("CN={common_name}"),
            issuer_organization: organization.map(str::to_owned),
            issuer_common_name: Some(common_name.to_owned()),
            serial: "01".into(),
            names: Some(vec!["a.example".into()]),
            key: Key::Rsa(2048),
            validity: None,
        }
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_is_lost_unless_it_or_a_wildcard_is_in_the_new_leaf() {
        let before = named(&["a.example", "www.a.example", "*.b.example"]);
        let after = named(&["A.example", "*.a.example", "x.b.example"]);
        assert_eq!(lost_names(&before, &after), ["*.b.example"]);
        let ip = named(&["192.0.2.1"]);
        assert_eq!(lost_names(&ip, &before), ["192.0.2.1"]);
        assert!(lost_names(&ip, &ip).is_empty());
    }

    #[test]
    fn names_of_a_certificate_with_many_domains_are_not_lost() {
        let of = |domains: usize| -> Vec<String> {
            let names =
                (0..domains).flat_map(|n| [format!("{n}.example"), format!("www.{n}.example")]);
            names.collect()
        };
        assert!(!lost_names(&of(MAX_DOMAINS), &of(1)).is_empty());
        assert!(lost_names(&of(MAX_DOMAINS + 1), &of(1)).is_empty());
        let hosts: Vec<String> = (0..50).map(|n| format!("{n}.a.example")).collect();
        assert_eq!(lost_names(&hosts, &of(1)).len(), 50);
    }

    #[test]
    fn renewal_by_another_intermediate_of_the_organization_is_not_another_issuer() {
        for (before, after) in [
            (
                leaf(Some("Let's Encrypt"), "R10"),
                leaf(Some("Let's Encrypt"), "R11"),
            ),
            (
                leaf(Some("Let's Encrypt"), "E5"),
                leaf(Some("LET’S  ENCRYPT"), "YE1"),
            ),
            (
                leaf(Some("Google Trust Services LLC"), "GTS CA 1C3"),
                leaf(Some("Google Trust Services"), "WR4"),
            ),
            (
                leaf(Some("DigiCert Inc"), "a"),
                leaf(Some("DigiCert, Inc."), "b"),
            ),
            (leaf(Some("ZeroSSL"), "a"), leaf(Some("ZeroSSL GmbH"), "b")),
            (
                leaf(Some("GlobalSign nv-sa"), "a"),
                leaf(Some("GlobalSign"), "b"),
            ),
            (leaf(None, "Office CA 1"), leaf(None, "Office CA G2")),
        ] {
            assert_eq!(material_changes(&before, &after), [], "{before:?}");
            assert_eq!(material_changes(&after, &before), [], "{after:?}");
        }
    }

    #[test]
    fn other_organization_is_another_issuer() {
        let before = leaf(Some("Let's Encrypt"), "R10");
        for after in [
            leaf(Some("Sectigo Limited"), "R10"),
            leaf(Some("Let's Encrypt Proxy"), "R10"),
            leaf(None, "R10"),
        ] {
            let issuer = after.issuer_name().to_owned();
            let is = material_changes(&before, &after);
            let wanted = MaterialChange::Issuer {
                before: "Let's Encrypt".into(),
                after: issuer,
            };
            assert_eq!(is, [wanted]);
        }
        // Only the legal form is left out, and never the whole name.
        assert_ne!(words("SA"), words("AG"));
        let [one, other] = ["SA", "AG"].map(|name| leaf(Some(name), "x"));
        assert_eq!(material_changes(&one, &other).len(), 1);
        let [one, other] = ["Office CA 1", "Proxy CA 1"].map(|name| leaf(None, name));
        assert_eq!(material_changes(&one, &other).len(), 1);
    }

    #[test]
    fn self_issued_leaves_without_an_organization_have_no_issuer_to_compare() {
        let self_issued = |name: &str| LeafRecord {
            subject: format!("CN={name}"),
            ..leaf(None, name)
        };
        let changes = material_changes(&self_issued("printer"), &self_issued("scanner"));
        assert_eq!(changes, []);
        let changes = material_changes(&self_issued("printer"), &leaf(None, "Office CA"));
        assert_eq!(changes.len(), 1);
    }

    #[test]
    fn key_of_less_strength_is_weaker() {
        let p256 = || Key::Ec("P-256".into(), 256);
        let p384 = || Key::Ec("P-384".into(), 384);
        let ed25519 = || Key::Other("Ed25519".into());
        for (before, after, is) in [
            (Key::Rsa(4096), Key::Rsa(2048), true),
            (Key::Rsa(3072), Key::Rsa(2048), true),
            (Key::Rsa(4096), Key::Rsa(3072), false),
            (Key::Rsa(2048), Key::RsaPss(2048), false),
            (Key::Rsa(2048), Key::Rsa(4096), false),
            (Key::Rsa(2048), p256(), false),
            (Key::Rsa(4096), p256(), false),
            (p256(), ed25519(), false),
            (ed25519(), Key::Rsa(2048), true),
            (p256(), Key::Rsa(4096), false),
            (p256(), Key::Rsa(2048), true),
            (p384(), p256(), true),
            (p256(), Key::Rsa(1024), true),
            (p256(), Key::Other("ML-DSA-44".into()), false),
        ] {
            assert_eq!(is_weaker(&before, &after), is, "{before:?} {after:?}");
        }
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        vec("(\\*\\.)?[ab](\\.[ab]){1,2}", 0..6)
    }

    fn key() -> impl Strategy<Value = Key> {
        let sizes = prop::sample::select(vec![224_usize, 256, 1024, 2048, 4096]);
        (0..4_u8, sizes).prop_map(|(kind, bits)| match kind {
            0 => Key::Rsa(bits),
            1 => Key::RsaPss(bits),
            2 => Key::Ec("curve".into(), bits),
            _ => Key::Other("kind".into()),
        })
    }

    proptest! {
        /// More names, in any order, are no loss; and no name is lost that is still there.
        #[test]
        fn added_names_are_not_a_loss(before in names(), mut more in names()) {
            more.extend(before.iter().rev().cloned());
            prop_assert_eq!(lost_names(&before, &more), Vec::<&str>::new());
            for lost in lost_names(&more, &before) {
                prop_assert!(!before.contains(&lost.to_owned()));
            }
        }

        /// A key is never weaker than itself, and two keys are never both weaker than the other.
        #[test]
        fn weaker_is_an_order(one in key(), other in key()) {
            prop_assert!(!is_weaker(&one, &one));
            prop_assert!(!(is_weaker(&one, &other) && is_weaker(&other, &one)));
        }
    }
}
