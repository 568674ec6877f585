//! Comparison of a leaf with the one that replaced it: a renewal, or more than that.

use crate::certificate::{Facts, Key, San, dns_matches};

/// A difference between a leaf and its replacement that a renewal does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaterialChange {
    /// Another organization is the issuer. `None` is an issuer without an organization.
    Issuer {
        /// Issuer of the replaced leaf.
        before: Option<String>,
        /// Issuer of the new leaf.
        after: Option<String>,
    },
    /// Names for which the new leaf is not valid.
    LostNames(Vec<San>),
    /// A key that is smaller, or weak by today's rules.
    WeakerKey {
        /// Key of the replaced leaf.
        before: Key,
        /// Key of the new leaf.
        after: Key,
    },
}

/// Returns the differences that a renewal does not have. The result is empty for a renewal: the same
/// issuing organization, at least the same names, and a key that is not weaker.
pub fn material_changes(before: &Facts, after: &Facts) -> Vec<MaterialChange> {
    let mut changes = Vec::new();
    let [old, new] = [before, after].map(|facts| facts.issuer_organization.as_deref());
    if is_other_organization(old, new) {
        changes.push(MaterialChange::Issuer {
            before: old.map(str::to_owned),
            after: new.map(str::to_owned),
        });
    }
    let lost = lost_names(&before.sans, &after.sans);
    if !lost.is_empty() {
        changes.push(MaterialChange::LostNames(lost));
    }
    if is_weaker(&before.key, &after.key) {
        changes.push(MaterialChange::WeakerKey {
            before: before.key.clone(),
            after: after.key.clone(),
        });
    }
    changes
}

/// Returns true if the organizations differ. Case and repeated white space do not count (RFC 5280,
/// section 7.1). Issuers without an organization are not distinguished: the names of intermediates
/// change with renewals.
fn is_other_organization(before: Option<&str>, after: Option<&str>) -> bool {
    let normal = |name: &str| {
        let words: Vec<&str> = name.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    before.map(normal) != after.map(normal)
}

/// Returns the names of `before` that no name of `after` covers.
fn lost_names(before: &[San], after: &[San]) -> Vec<San> {
    let is_covered = |name: &San| {
        after.iter().any(|new| match (new, name) {
            (San::Dns(new), San::Dns(name)) => dns_matches(new, name),
            _ => new == name,
        })
    };
    let lost = before.iter().filter(|name| !is_covered(name));
    lost.cloned().collect()
}

/// Returns true if the new key is a smaller one of the same kind, or weak where the old one was not.
/// Sizes of different kinds are not compared: a change from RSA 4096 to P-256 is usual.
fn is_weaker(before: &Key, after: &Key) -> bool {
    let is_smaller = match (before, after) {
        (Key::Rsa(old) | Key::RsaPss(old), Key::Rsa(new) | Key::RsaPss(new))
        | (Key::Dsa(old), Key::Dsa(new))
        | (Key::Ec(_, old), Key::Ec(_, new)) => new < old,
        _ => false,
    };
    is_smaller || (after.is_weak() && !before.is_weak())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn dns(name: &str) -> San {
        San::Dns(name.into())
    }

    #[test]
    fn name_is_lost_unless_it_or_a_wildcard_is_in_the_new_leaf() {
        let before = [dns("a.example"), dns("www.a.example"), dns("*.b.example")];
        let after = [dns("A.example"), dns("*.a.example"), dns("x.b.example")];
        assert_eq!(lost_names(&before, &after), [dns("*.b.example")]);
        let ip = San::Ip([192, 0, 2, 1].into());
        assert_eq!(lost_names(std::slice::from_ref(&ip), &before), [ip]);
    }

    #[test]
    fn intermediate_of_the_same_organization_is_not_another_issuer() {
        assert!(!is_other_organization(
            Some("Let's Encrypt"),
            Some("LET'S  ENCRYPT")
        ));
        assert!(!is_other_organization(None, None));
        assert!(is_other_organization(Some("Let's Encrypt"), Some("Proxy")));
        assert!(is_other_organization(Some("Let's Encrypt"), None));
    }

    #[test]
    fn smaller_or_weak_key_is_weaker() {
        let p256 = || Key::Ec("P-256".into(), 256);
        let p384 = || Key::Ec("P-384".into(), 384);
        for (before, after, is) in [
            (Key::Rsa(4096), Key::Rsa(2048), true),
            (Key::Rsa(2048), Key::RsaPss(2048), false),
            (Key::Rsa(2048), Key::Rsa(4096), false),
            (p384(), p256(), true),
            (Key::Rsa(4096), p256(), false),
            (p256(), Key::Rsa(1024), true),
            (p256(), Key::Other("ML-DSA-44".into()), false),
        ] {
            assert_eq!(is_weaker(&before, &after), is, "{before:?} {after:?}");
        }
    }

    fn names() -> impl Strategy<Value = Vec<San>> {
        vec("(\\*\\.)?[ab](\\.[ab]){1,2}".prop_map(San::Dns), 0..6)
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
            prop_assert_eq!(lost_names(&before, &more), []);
            for lost in lost_names(&more, &before) {
                prop_assert!(!before.contains(&lost));
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
