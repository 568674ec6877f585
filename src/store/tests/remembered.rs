//! Tests of the stored results of sources.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind, State};
use crate::model::Hostname;
use crate::source::Loaded;
use crate::store::{FORGET_AFTER, Remembered};

fn instance(leaf: usize, chain: &[usize]) -> Instance {
    Instance {
        id: Some(331),
        state: State::Active,
        leaf: certificate(leaf),
        chain: chain.iter().copied().map(certificate).collect(),
        root: Some(certificate(3)),
    }
}

fn remembered(name: &str, what: Expectation) -> Remembered {
    Remembered {
        loaded: Loaded {
            name: name.into(),
            common_name: Some("a.example".into()),
            expected: Arc::new(Expected {
                source: SourceKind::Sslmate,
                what,
            }),
            hostnames: vec!["a.example".parse().unwrap(), "::1".parse().unwrap()],
            found: Vec::new(),
            awaited: Some(332),
        },
        fetched: NOW,
        changed: None,
    }
}

fn one(name: &str, leaf: usize) -> Remembered {
    let instances = Instances::only(instance(leaf, &[2]));
    remembered(name, Expectation::Instances(Box::new(instances)))
}

fn assert_same(left: &[Remembered], right: &[Remembered]) {
    assert_eq!(left.len(), right.len());
    for (a, b) in left.iter().zip(right) {
        assert_eq!(a.loaded.name, b.loaded.name);
        assert_eq!(a.loaded.common_name, b.loaded.common_name);
        assert_eq!(a.loaded.expected, b.loaded.expected);
        assert_eq!(a.loaded.hostnames, b.loaded.hostnames);
        assert_eq!(a.loaded.awaited, b.loaded.awaited);
        assert_eq!((a.fetched, a.changed), (b.fetched, b.changed));
    }
}

fn keys(store: &Store) -> Vec<String> {
    let all = store.recall().unwrap();
    all.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn last_remembered_results_are_recalled_after_a_restart() {
    let folder = folder();
    let store = open(&folder);
    store
        .remember("x", &[one("old", 0), one("gone", 1)])
        .unwrap();
    store.remember("y", &[one("y", 1)]).unwrap();
    store
        .remember("x", &[one("new", 1), one("last", 0)])
        .unwrap();
    store.remember("empty", &[]).unwrap();
    drop(store);
    let all = open(&folder).recall().unwrap();
    let [(x, of_x), (y, of_y)] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!((x.as_str(), y.as_str()), ("x", "y"));
    assert_same(of_x, &[one("new", 1), one("last", 0)]);
    assert_same(of_y, &[one("y", 1)]);
}

#[test]
fn certificate_is_stored_once_while_it_is_referenced() {
    let folder = folder();
    let store = open(&folder);
    let other = raw(&folder);
    store.remember("x", &[one("x", 0), one("too", 0)]).unwrap();
    store.remember("y", &[one("y", 0)]).unwrap();
    assert_eq!(count(&other, "certificates"), 3);
    store.remember("x", &[one("x", 1)]).unwrap();
    assert_eq!(count(&other, "certificates"), 4);
    store.remember("y", &[one("y", 1)]).unwrap();
    assert_eq!(count(&other, "certificates"), 3);
    store.remember("x", &[]).unwrap();
    assert_eq!(keys(&store), ["y"]);
    assert_eq!(count(&other, "certificates"), 3);
    store.remember("y", &[]).unwrap();
    assert_eq!(count(&other, "certificates"), 0);
    assert_eq!(count(&other, "mentions"), 0);
}

#[test]
fn an_entry_is_forgotten_only_after_the_delay() {
    let folder = folder();
    let store = open(&folder);
    let delay = i64::try_from(FORGET_AFTER.as_secs()).unwrap();
    let both = BTreeSet::from(["x".to_owned(), "y".to_owned()]);
    let only_y = BTreeSet::from(["y".to_owned()]);
    store.configured(&both, NOW).unwrap();
    store.remember("x", &[one("x", 0)]).unwrap();
    store.remember("y", &[one("y", 1)]).unwrap();
    // It is not known when this entry was last configured, so its time starts with the first
    // record.
    store.remember("unknown", &[one("z", 1)]).unwrap();
    let after = |seconds: i64| Timestamp(NOW.0 + seconds);
    store.configured(&only_y, after(delay)).unwrap();
    assert_eq!(keys(&store), ["unknown", "x", "y"]);
    // A reload adds the entry again: its time starts again.
    store.configured(&both, after(delay)).unwrap();
    store.configured(&only_y, after(2 * delay)).unwrap();
    assert_eq!(keys(&store), ["unknown", "x", "y"]);
    store.configured(&only_y, after(2 * delay + 1)).unwrap();
    assert_eq!(keys(&store), ["y"]);
    assert_eq!(count(&raw(&folder), "entries"), 1);
    // An entry that was configured until now is not deleted, however late the next record is.
    store
        .configured(&BTreeSet::new(), after(3 * delay))
        .unwrap();
    assert_eq!(keys(&store), ["y"]);
}

#[test]
fn unreadable_remembered_entry_is_skipped() {
    let changes = [
        "UPDATE remembered SET content = '{}' WHERE key = 'x'",
        "UPDATE remembered SET content = x'ff' WHERE key = 'x'",
        "UPDATE remembered SET content = replace(content, 'active', 'asleep') WHERE key = 'x'",
        // Write access to the database is not enough to change the expected certificate.
        "UPDATE certificates SET der = x'3000' WHERE sha256 IN
             (SELECT sha256 FROM mentions WHERE key = 'x' EXCEPT SELECT sha256 FROM mentions WHERE key = 'y')",
        "PRAGMA foreign_keys = OFF; DELETE FROM certificates WHERE sha256 IN
             (SELECT sha256 FROM mentions WHERE key = 'x' EXCEPT SELECT sha256 FROM mentions WHERE key = 'y')",
    ];
    for change in changes {
        let folder = folder();
        let store = open(&folder);
        store.remember("x", &[one("x", 0)]).unwrap();
        store.remember("y", &[one("y", 1)]).unwrap();
        assert_eq!(keys(&store), ["x", "y"]);
        raw(&folder).execute_batch(change).unwrap();
        assert_eq!(keys(&store), ["y"], "{change}");
    }
}

#[test]
fn empty_fingerprint_list_is_not_an_expectation() {
    let folder = folder();
    let store = open(&folder);
    let pins = [certificate(0).sha256()].into();
    let said = remembered("x", Expectation::Fingerprints(pins));
    store.remember("x", &[said]).unwrap();
    raw(&folder)
        .execute_batch(
            "UPDATE remembered SET content = json_set(content, '$.expected', json('{\"fingerprints\":[]}'))",
        )
        .unwrap();
    assert_eq!(keys(&store), [""; 0]);
}

fn any_certificate() -> impl Strategy<Value = Certificate> {
    select(CERTIFICATES.clone())
}

fn any_instance() -> impl Strategy<Value = Instance> {
    let state = select(vec![
        State::Pending,
        State::Active,
        State::Expired,
        State::Revoked,
        State::Canceled,
        State::Unknown,
    ]);
    let (leaf, chain, root) = (
        any_certificate(),
        vec(any_certificate(), 0..4),
        option::of(any_certificate()),
    );
    let parts = (option::of(any::<u64>()), state, leaf, chain, root);
    parts.prop_map(|(id, state, leaf, chain, root)| Instance {
        id,
        state,
        leaf,
        chain,
        root,
    })
}

fn any_expectation() -> impl Strategy<Value = Expectation> {
    let instances = (
        any_instance(),
        vec(any_instance(), 0..3),
        option::of(any_instance()),
        vec(any_instance(), 0..3),
    );
    let instances = instances.prop_map(|(expected, also_accepted, pending, previous)| {
        Expectation::Instances(Box::new(Instances {
            expected,
            also_accepted,
            pending,
            previous,
        }))
    });
    let bytes = || vec(any::<[u8; 4]>(), 1..4);
    prop_oneof![
        4 => instances,
        1 => bytes().prop_map(|all| Expectation::Fingerprints(
            all.iter().map(|b| Fingerprint::of(b)).collect()
        )),
        1 => bytes().prop_map(|all| Expectation::PublicKeys(
            all.iter().map(|b| PublicKeyHash::of(b)).collect()
        )),
        1 => Just(Expectation::TrustOnly),
    ]
}

fn any_hostname() -> impl Strategy<Value = Hostname> {
    prop_oneof![
        "[a-z0-9_]{1,9}(-[a-z0-9]{1,3})?(\\.[a-z]{2,9}){1,3}"
            .prop_filter_map("no host", |text| text.parse().ok()),
        any::<std::net::IpAddr>().prop_map(Hostname::Ip),
        Just("bücher.example".parse().unwrap()),
    ]
}

fn any_remembered() -> impl Strategy<Value = Remembered> {
    let source = select(vec![
        SourceKind::Sslmate,
        SourceKind::Download,
        SourceKind::Pem,
        SourceKind::Fingerprint,
        SourceKind::PublicKey,
        SourceKind::Trust,
    ]);
    let said = (
        any::<String>(),
        option::of(any::<String>()),
        vec(any_hostname(), 0..4),
        option::of(any::<u64>()),
    );
    let times = (any::<i64>(), option::of(any::<i64>()));
    (said, source, any_expectation(), times).prop_map(
        |((name, common_name, hostnames, awaited), source, what, (fetched, changed))| Remembered {
            loaded: Loaded {
                name,
                common_name,
                expected: Arc::new(Expected { source, what }),
                hostnames,
                found: Vec::new(),
                awaited,
            },
            fetched: Timestamp(fetched),
            changed: changed.map(Timestamp),
        },
    )
}

static SHARED: LazyLock<(TempDir, Store)> = LazyLock::new(|| {
    let folder = folder();
    let store = open(&folder);
    (folder, store)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn remembered_results_round_trip(
        key in any::<String>(),
        said in vec(any_remembered(), 1..4),
    ) {
        let (_, store) = &*SHARED;
        for (old, _) in store.recall().unwrap() {
            store.remember(&old, &[]).unwrap();
        }
        store.remember(&key, &said).unwrap();
        let all = store.recall().unwrap();
        prop_assert_eq!(all.len(), 1);
        prop_assert_eq!(&all[0].0, &key);
        assert_same(&all[0].1, &said);
    }
}
