//! The cases: a valid path with one change each, and pairs of changes.

use crate::clients::spec::Case;

mod constraints;
mod encodings;
mod extensions;
mod hosts;
mod keys;
mod names;
mod pairs;
mod policies;
mod shapes;
mod signatures;
mod stores;
mod structure;
mod usage;
mod validity;

type Change = Box<dyn Fn(&mut Case)>;

/// Changes of the valid path by the name of the case.
#[derive(Default)]
struct Corpus {
    changes: Vec<(String, Change)>,
}

impl Corpus {
    fn add(&mut self, id: impl Into<String>, change: impl Fn(&mut Case) + 'static) {
        self.changes.push((id.into(), Box::new(change)));
    }

    fn apply(&self, id: &str, case: &mut Case) {
        let (_, change) = self
            .changes
            .iter()
            .find(|(known, _)| known == id)
            .unwrap_or_else(|| panic!("no change {id}"));
        change(case);
    }
}

/// All cases, in the order of the record.
pub(crate) fn cases() -> Vec<Case> {
    let mut corpus = Corpus::default();
    corpus.add("valid", |_| ());
    constraints::add(&mut corpus);
    usage::add(&mut corpus);
    names::constraints(&mut corpus);
    names::distinguished(&mut corpus);
    policies::add(&mut corpus);
    extensions::add(&mut corpus);
    hosts::add(&mut corpus);
    validity::add(&mut corpus);
    signatures::add(&mut corpus);
    keys::add(&mut corpus);
    structure::add(&mut corpus);
    shapes::add(&mut corpus);
    encodings::add(&mut corpus);
    stores::add(&mut corpus);
    let mut cases: Vec<Case> = corpus
        .changes
        .iter()
        .map(|(id, change)| {
            let mut case = Case::standard(id);
            change(&mut case);
            case
        })
        .collect();
    cases.extend(pairs::cases(&corpus));
    cases
}
