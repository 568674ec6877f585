//! Unique names for certificates that several entries name the same at one place. Names often come
//! from sources, so the configuration cannot be rejected for it. Without unique names, one
//! certificate would hide the findings of the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Entry, SourceSettings};
use crate::model::{Protocol, Target};
use crate::source::source_name;

use super::Job;

/// Returns a name with which none of the targets of an entry's certificate is already taken.
/// Returns `None` if that is true for its present name: earlier certificates keep their names.
pub(crate) fn name_apart(
    entry: &Entry,
    targets: &[Arc<Target>],
    is_taken: impl Fn(&Target) -> bool,
) -> Option<String> {
    if !targets.iter().any(|target| is_taken(target)) {
        return None;
    }
    let name = &targets.first()?.certificate;
    let source = word(entry);
    let first = format!("{name} ({source})");
    let further = (2..).map(|number| format!("{name} ({source}, {number})"));
    let is_free = |name: &String| {
        let mut named = targets.iter().map(|target| Target {
            certificate: name.clone(),
            ..Target::clone(target)
        });
        !named.any(|target| is_taken(&target))
    };
    std::iter::once(first).chain(further).find(is_free)
}

/// Returns true if one of the targets has the name, host and port of this one. They are the labels of
/// its metrics. A result with equal labels would be lost, although another protocol is probed there,
/// or another name is expected.
pub(crate) fn has_labels_of<V>(targets: &BTreeMap<Arc<Target>, V>, target: &Target) -> bool {
    // Targets are ordered by these, then by their protocol, of which HTTPS is the first.
    let first = Target {
        protocol: Protocol::Https,
        names: Box::default(),
        ..target.clone()
    };
    targets
        .range::<Target, _>(&first..)
        .map(|(known, _)| known)
        .take_while(|known| {
            known.certificate == target.certificate
                && known.hostname == target.hostname
                && known.port == target.port
        })
        .any(|known| known.protocol.is_quic() == target.protocol.is_quic())
}

/// Returns true if `taker` names one certificate of the account that `whole` covers. Both are the
/// same certificate then, and the settings of the entry that names it apply.
pub(crate) fn is_named_by(taker: &Entry, whole: &Entry, target: &Target) -> bool {
    matches!(whole.source, SourceSettings::SslmateAll)
        && matches!(&taker.source, SourceSettings::Sslmate(cn) if *cn == target.certificate)
}

/// Returns the warning about a name that was changed.
pub(crate) fn describe(name: &str, target: &Target) -> String {
    format!(
        "two entries call their certificates `{}` at {} port {}: one of them is reported as `{name}`; give one its own `name`",
        target.certificate,
        target.hostname,
        target.port_label()
    )
}

/// Returns true for an entry of the whole account. Such entries get the names that the others
/// leave.
pub(crate) fn comes_late(entry: &Entry) -> bool {
    matches!(entry.source, SourceSettings::SslmateAll)
}

/// Gives the jobs unique names, so that no two have the same target, or targets of the same labels. Each job comes with the index
/// of its entry.
pub(super) fn disambiguate(entries: &[&Entry], jobs: &mut [(usize, Job)]) {
    let mut taken: BTreeMap<Arc<Target>, &Entry> = BTreeMap::new();
    for late in [false, true] {
        for (position, job) in &mut *jobs {
            let entry = entries.get(*position).copied();
            let Some(entry) = entry.filter(|e| comes_late(e) == late) else {
                continue;
            };
            if late {
                job.targets.retain(|target| {
                    let taker = taken.get(target);
                    !taker.is_some_and(|taker| is_named_by(taker, entry, target))
                });
            }
            let name = name_apart(entry, &job.targets, |target| has_labels_of(&taken, target));
            if let Some(name) = name {
                if let Some(target) = job.targets.first() {
                    tracing::info!("{}", describe(&name, target));
                }
                for target in &mut job.targets {
                    Arc::make_mut(target).certificate.clone_from(&name);
                }
                if let Ok(loaded) = &mut job.expectation {
                    Arc::make_mut(loaded).name = name;
                }
            }
            taken.extend(job.targets.iter().map(|target| (target.clone(), entry)));
        }
    }
}

fn word(entry: &Entry) -> String {
    let word = match &entry.source {
        SourceSettings::Pem(_) | SourceSettings::PemGlob(_) => {
            return source_name(entry).unwrap_or_default();
        }
        SourceSettings::Sslmate(_) | SourceSettings::SslmateAll => "sslmate",
        SourceSettings::Download(_) => "download",
        SourceSettings::Fingerprints(_) => "sha256",
        SourceSettings::PublicKeys(_) => "pubkey_sha256",
        SourceSettings::TrustOnly => "trust",
    };
    word.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::scan::job::targets_at;

    fn target(certificate: &str, host: &str) -> Arc<Target> {
        let hostnames = [host.parse().unwrap()];
        let entry = Entry::new(SourceSettings::TrustOnly);
        targets_at(&entry, certificate, &hostnames).remove(0)
    }

    #[test]
    fn certificate_name_changes_only_on_a_conflicting_target() {
        let entry = Entry::new(SourceSettings::Pem(vec!["two/site.pem".into()]));
        let mine = [target("site", "a.example"), target("site", "b.example")];
        let apart = |taken: &[Arc<Target>]| {
            name_apart(&entry, &mine, |target| taken.iter().any(|t| **t == *target))
        };
        assert_eq!(
            apart(&[target("site", "c.example"), target("other", "a.example")]),
            None
        );
        let mut taken = vec![target("site", "b.example")];
        assert_eq!(apart(&taken).as_deref(), Some("site (two/site.pem)"));
        taken.push(target("site (two/site.pem)", "a.example"));
        assert_eq!(apart(&taken).as_deref(), Some("site (two/site.pem, 2)"));
    }

    #[test]
    fn targets_that_differ_in_what_is_no_label_have_the_same_labels() {
        let at = |certificate: &str, port, protocol| {
            Target::new(certificate, "a.example".parse().unwrap(), port, protocol)
        };
        let one = at("web", 443, Protocol::Smtp);
        let named = Target {
            names: ["b.example".parse().unwrap()].into(),
            ..one.clone()
        };
        let taken = BTreeMap::from([(Arc::new(one.clone()), ())]);
        for (target, expected) in [
            (one, true),
            (named, true),
            (at("web", 443, Protocol::Https), true),
            (at("web", 443, Protocol::Lmtp), true),
            (at("web", 443, Protocol::H3), false),
            (at("web", 444, Protocol::Smtp), false),
            (at("mail", 443, Protocol::Smtp), false),
        ] {
            assert_eq!(has_labels_of(&taken, &target), expected, "{target:?}");
        }
        assert_eq!(Protocol::ALL.iter().min(), Some(&Protocol::Https));
    }

    #[test]
    fn named_entry_takes_precedence_over_the_whole_account() {
        let whole = Entry::new(SourceSettings::SslmateAll);
        let named = |cn: &str| Entry::new(SourceSettings::Sslmate(cn.into()));
        let of = target("a.example", "a.example");
        assert!(is_named_by(&named("a.example"), &whole, &of));
        assert!(!is_named_by(&named("b.example"), &whole, &of));
        assert!(!is_named_by(&whole, &named("a.example"), &of));
        assert!(!is_named_by(
            &Entry::new(SourceSettings::TrustOnly),
            &whole,
            &of
        ));
    }

    proptest! {
        /// In any order of entries, no two jobs have the same target, and no job loses one.
        #[test]
        fn every_entry_keeps_its_targets(all in proptest::collection::vec(("[ab]", "[ab]", 0..4_usize), 0..12)) {
            let sources = [
                SourceSettings::TrustOnly,
                SourceSettings::Pem(vec!["a.pem".into()]),
                SourceSettings::PemGlob("*.pem".into()),
                SourceSettings::Fingerprints([].into()),
            ];
            let mut taken: HashSet<Arc<Target>> = HashSet::new();
            for (name, host, source) in &all {
                let entry = Entry::new(sources[*source].clone());
                let mut mine = target(name, &format!("{host}.example"));
                let apart = name_apart(&entry, std::slice::from_ref(&mine), |t| taken.contains(t));
                if let Some(apart) = apart {
                    Arc::make_mut(&mut mine).certificate = apart;
                }
                prop_assert!(taken.insert(mine));
            }
            prop_assert_eq!(taken.len(), all.len());
        }
    }
}
