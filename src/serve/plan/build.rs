//! Creation of a plan: from the known certificates of each entry to the targets to probe, and their
//! names. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Entry;
use crate::model::Target;
use crate::scan::names::{comes_late, describe, has_labels_of, is_named_by, name_apart};
use crate::scan::{targets, targets_of_failed};
use crate::source::{FetchError, Loaded};

use super::super::expectations::{Kept, Watch};
use super::{Plan, Planned};

/// Plan, and the warnings about names in it.
pub(in crate::serve) struct Planning {
    /// The plan.
    pub(in crate::serve) plan: Plan,
    /// One line for each certificate whose name was changed because another target has it.
    pub(in crate::serve) warnings: BTreeSet<String>,
}

/// Creates the plan of all entries; `order` has their keys in the order of the configuration. Targets
/// that are in the plan `before` are shared with it.
pub(in crate::serve) fn plan_all(
    watches: &BTreeMap<Arc<str>, Arc<Watch>>,
    order: &[Arc<str>],
    before: &Plan,
) -> Planning {
    let mut draft = Draft {
        before,
        all: watches,
        watches: watches.clone(),
        targets: BTreeMap::new(),
        warnings: BTreeSet::new(),
    };
    for late in [false, true] {
        for key in order {
            if let Some(watch) = watches.get(key)
                && comes_late(&watch.entry) == late
            {
                draft.add(key, watch);
            }
        }
    }
    Planning {
        // A map of sorted keys has full nodes; one that keys were added to has half of that.
        plan: Plan::new(draft.watches, draft.targets.into_iter().collect(), before),
        warnings: draft.warnings,
    }
}

struct Draft<'a> {
    before: &'a Plan,
    all: &'a BTreeMap<Arc<str>, Arc<Watch>>,
    /// Copy of `all`, in which each certificate has the name of its targets.
    watches: BTreeMap<Arc<str>, Arc<Watch>>,
    targets: BTreeMap<Arc<Target>, Planned>,
    warnings: BTreeSet<String>,
}

impl Draft<'_> {
    fn add(&mut self, key: &Arc<str>, watch: &Watch) {
        for (position, kept) in watch.kept.iter().enumerate() {
            let loaded = &kept.loaded;
            let mut kept = kept.clone();
            let targets = targets(&watch.entry, loaded);
            let (targets, name) = self.named(&watch.entry, targets);
            if let Some(name) = name {
                kept.loaded = Arc::new(Loaded {
                    name,
                    ..Loaded::clone(loaded)
                });
                let planned = self.watches.get_mut(key).map(Arc::make_mut);
                if let Some(place) = planned.and_then(|watch| watch.kept.get_mut(position)) {
                    *place = kept.clone();
                }
            }
            self.plan(key, targets, &Ok(kept));
        }
        for (position, failed) in watch.failures.iter().enumerate() {
            let targets = targets_of_failed(&watch.entry, failed);
            let (targets, name) = self.named(&watch.entry, targets);
            if let Some(name) = name
                && let Some(watch) = self.watches.get_mut(key)
                && let Some(place) = Arc::make_mut(watch).failures.get_mut(position)
            {
                place.name = name;
            }
            self.plan(key, targets, &Err(failed.error.clone()));
        }
    }

    /// Returns the targets that no other entry has. Their certificate gets a new name if the name
    /// is in use; the new name is returned too.
    fn named(
        &mut self,
        entry: &Entry,
        mut targets: Vec<Arc<Target>>,
    ) -> (Vec<Arc<Target>>, Option<String>) {
        if comes_late(entry) {
            targets.retain(|target| {
                let taker = self.targets.get(&**target);
                let taker = taker.and_then(|planned| self.all.get(&planned.key));
                !taker.is_some_and(|taker| is_named_by(&taker.entry, entry, target))
            });
        }
        let name = name_apart(entry, &targets, |target| {
            has_labels_of(&self.targets, target)
        });
        if let (Some(name), Some(first)) = (&name, targets.first()) {
            self.warnings.insert(describe(name, first));
            for target in &mut targets {
                Arc::make_mut(target).certificate.clone_from(name);
            }
        }
        (targets, name)
    }

    fn plan(
        &mut self,
        key: &Arc<str>,
        targets: Vec<Arc<Target>>,
        expectation: &Result<Kept, Arc<FetchError>>,
    ) {
        for target in targets {
            let planned = Planned {
                key: key.clone(),
                expectation: expectation.clone(),
            };
            let known = self.before.targets.get_key_value(&target);
            let target = known.map_or(target, |(known, _)| known.clone());
            self.targets.insert(target, planned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceSettings;
    use crate::source::{Failed, SourceError};

    fn failing(source: SourceSettings, name: &str, host: &str) -> Watch {
        let mut entry = Entry::new(source);
        entry.hostnames = vec![host.parse().unwrap()];
        let mut watch = Watch::new(entry);
        watch.failures.push(Failed {
            name: name.into(),
            hostnames: watch.entry.hostnames.clone(),
            found: Vec::new(),
            error: Arc::new(FetchError::File(SourceError::Timeout)),
            may_pass: true,
            is_gone: false,
        });
        watch
    }

    fn names(watches: &[(&str, Watch)]) -> (Vec<(String, String)>, usize) {
        let order: Vec<Arc<str>> = watches.iter().map(|(key, _)| Arc::from(*key)).collect();
        let all = watches
            .iter()
            .map(|(key, watch)| (Arc::from(*key), Arc::new(watch.clone())));
        let planned = plan_all(&all.collect(), &order, &Plan::default());
        let targets = planned.plan.targets.iter();
        let each =
            targets.map(|(target, planned)| (planned.key.to_string(), target.certificate.clone()));
        let mut each: Vec<(String, String)> = each.collect();
        each.sort();
        (each, planned.warnings.len())
    }

    #[test]
    fn first_configured_entry_keeps_its_name_on_a_conflict() {
        let trust = || failing(SourceSettings::TrustOnly, "a", "a.example");
        let (planned, warnings) = names(&[("z", trust()), ("b", trust()), ("c", trust())]);
        let named = |key: &str, name: &str| (key.to_owned(), name.to_owned());
        assert_eq!(
            planned,
            [
                named("b", "a (trust)"),
                named("c", "a (trust, 2)"),
                named("z", "a")
            ]
        );
        assert_eq!(warnings, 2);
    }

    #[test]
    fn unchanged_targets_are_shared_with_the_plan_before() {
        let keys: [Arc<str>; 2] = ["a".into(), "b".into()];
        let watch = |name: &str| {
            let host = format!("{name}.example");
            Arc::new(failing(SourceSettings::TrustOnly, name, &host))
        };
        let one = BTreeMap::from([(keys[0].clone(), watch("a"))]);
        let two: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), watch(key))).collect();
        let first = plan_all(&one, &keys[..1], &Plan::default()).plan;
        let second = plan_all(&two, &keys, &first).plan;
        let third = plan_all(&two, &keys, &second).plan;
        let targets = |plan: &Plan| plan.targets.keys().cloned().collect::<Vec<_>>();
        assert_eq!(targets(&second).len(), 2);
        assert!(Arc::ptr_eq(&targets(&first)[0], &targets(&second)[0]));
        assert!(!Arc::ptr_eq(&first.by_place, &second.by_place));
        assert!(Arc::ptr_eq(&second.by_place, &third.by_place));
    }

    #[test]
    fn whole_account_entry_takes_only_certificates_without_an_entry() {
        let cn = "a.example";
        let named = failing(SourceSettings::Sslmate(cn.into()), cn, cn);
        let mut whole = failing(SourceSettings::SslmateAll, cn, cn);
        let other = failing(SourceSettings::SslmateAll, "b.example", "b.example");
        whole.failures.extend(other.failures);
        let (planned, warnings) = names(&[("* first", whole), ("named", named)]);
        let wanted = [("* first", "b.example"), ("named", cn)];
        assert_eq!(
            planned,
            wanted.map(|(key, name)| (key.to_owned(), name.to_owned()))
        );
        assert_eq!(warnings, 0);
    }
}
