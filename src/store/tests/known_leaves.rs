//! Tests of the last leaves of each host.

use std::sync::Arc;

use super::*;
use crate::certificate::LeafRecord;
use crate::store::{KnownLeaf, Place};

fn place(hostname: &str) -> Place {
    Place {
        certificate: "example".into(),
        hostname: hostname.into(),
        port: 443,
        protocol: "https".into(),
        key_type: "any".into(),
    }
}

fn record(index: usize) -> Arc<LeafRecord> {
    Arc::new(LeafRecord::of(&certificate(index)).unwrap())
}

fn known(index: usize, replaced: Option<usize>) -> KnownLeaf {
    KnownLeaf {
        leaf: record(index),
        replaced: replaced.map(record),
        is_trusted: index == 0,
        first_seen: at(i64::try_from(index).unwrap()),
    }
}

#[test]
fn known_leaves_are_read_as_they_were_kept() {
    let folder = folder();
    let store = open(&folder);
    let of_a = [known(1, Some(0)), known(0, None)];
    let without_names = KnownLeaf {
        leaf: Arc::new(LeafRecord {
            names: None,
            ..LeafRecord::clone(&record(6))
        }),
        ..known(6, Some(2))
    };
    store
        .keep_leaves(&place("a.example"), &[known(6, None)])
        .unwrap();
    store.keep_leaves(&place("a.example"), &of_a).unwrap();
    store
        .keep_leaves(&place("b.example"), std::slice::from_ref(&without_names))
        .unwrap();
    drop(store);
    let all = Store::open_to_read(folder.path())
        .unwrap()
        .known_leaves()
        .unwrap();
    let wanted = [
        (place("a.example"), of_a.to_vec()),
        (place("b.example"), vec![without_names]),
    ];
    assert_eq!(all, wanted.into());
}

#[test]
fn known_leaves_go_with_the_history_of_their_host() {
    let folder = folder();
    let store = open(&folder);
    let judged = history::saw(0, true, true);
    store.note(&[judged], NOW).unwrap();
    store
        .keep_leaves(&place("a.example"), &[known(1, Some(0)), known(0, None)])
        .unwrap();
    store
        .keep_leaves(&place("b.example"), &[known(6, None)])
        .unwrap();
    // Nothing is old enough yet.
    store.prune(NOW).unwrap();
    assert_eq!(store.known_leaves().unwrap().len(), 2);
    store.prune(at(1)).unwrap();
    assert!(store.known_leaves().unwrap().is_empty());
    assert_eq!(count(&raw(&folder), "leaves"), 0);
}

#[test]
fn known_leaf_outlives_the_span_that_had_it() {
    let folder = folder();
    let store = open(&folder);
    store.note(&[history::saw(0, true, true)], NOW).unwrap();
    store.note(&[history::saw(6, true, true)], at(2)).unwrap();
    let leaves = [known(6, Some(1)), known(0, None)];
    store.keep_leaves(&place("a.example"), &leaves).unwrap();
    assert_eq!(store.prune(at(1)).unwrap(), 1);
    assert_eq!(store.known_leaves().unwrap()[&place("a.example")], leaves);
}
