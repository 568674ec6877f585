//! Tests of databases of older versions.

use super::*;
use crate::store::{Query, Replacement};

/// Dump of a database that schema 1 wrote.
const SCHEMA_1: &str = include_str!("schema-1.sql");

fn old(folder: &TempDir) {
    raw(folder).execute_batch(SCHEMA_1).unwrap();
}

/// Current keys of the entries in it, in the order in which they were fetched.
const KEYS: &str = include_str!("schema-1-keys.txt");

#[test]
fn schema_1_entries_are_recalled_by_current_keys() {
    let folder = folder();
    old(&folder);
    let error = Store::open_to_read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("older certvigil"), "{error}");
    let mut all = open(&folder).recall().unwrap();
    all.sort_by_key(|(_, said)| said[0].fetched);
    let keys: Vec<&str> = all.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, KEYS.lines().collect::<Vec<_>>());
    for (position, (_, said)) in all.iter().enumerate() {
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].changed.is_some(), position % 2 == 0);
        assert!(said[0].loaded.expected.instances().is_some());
    }
    let migrated = raw(&folder);
    assert_eq!(count(&migrated, "mentions"), 14);
    // The database is migrated once, and can be read afterwards.
    open(&folder);
    assert_eq!(
        Store::open_to_read(folder.path())
            .unwrap()
            .recall()
            .unwrap()
            .len(),
        14
    );
}

/// Dump of a database that schema 2 wrote, without rows.
const SCHEMA_2: &str = include_str!("schema-2.sql");

#[test]
fn history_of_schema_2_is_read_and_its_leaf_completed() {
    let folder = folder();
    let old = raw(&folder);
    old.execute_batch(SCHEMA_2).unwrap();
    let leaf = certificate(0);
    let (not_before, not_after) = leaf.facts().unwrap().validity().unwrap();
    let rows = format!(
        "INSERT INTO endpoints VALUES (1, 'example', 'a.example', '192.0.2.1', 443, 'https', 'any', 'local');
         INSERT INTO leaves VALUES (1, '{}', 'CN=a.example', 'CN=Intermediate', 'Intermediate', '01', {}, {});
         INSERT INTO spans VALUES (1, 1, 1, {now}, {now}, 1, NULL, NULL, NULL, 1, 1, 'ok');",
        leaf.sha256(),
        not_before.0,
        not_after.0,
        now = NOW.0,
    );
    old.execute_batch(&rows).unwrap();
    drop(old);
    let error = Store::open_to_read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("older certvigil"), "{error}");
    let changes = |store: &Store| -> Vec<Option<Replacement>> {
        let query = Query {
            name: None,
            since: None,
            limit: 10,
        };
        let spans = store.history(&query).unwrap();
        assert!(spans.iter().all(|span| span.labels.is_empty()));
        spans.into_iter().map(|span| span.replacement).collect()
    };
    let store = open(&folder);
    assert!(store.known_leaves().unwrap().is_empty());
    // The old row has no names, so the new certificate is not compared with it.
    store.note(&[history::saw(6, true, true)], at(1)).unwrap();
    assert_eq!(changes(&store), [None, None]);
    // Another probe of the old certificate completes its row.
    store.note(&[history::saw(0, true, true)], at(2)).unwrap();
    assert_eq!(
        changes(&store),
        [None, Some(Replacement::Renewal), Some(Replacement::Renewal)]
    );
}

#[test]
fn leaf_of_schema_2_is_completed_by_a_probe_without_a_change() {
    let folder = folder();
    let old = raw(&folder);
    old.execute_batch(SCHEMA_2).unwrap();
    drop(old);
    let store = open(&folder);
    store.note(&[history::saw(0, true, true)], NOW).unwrap();
    raw(&folder)
        .execute_batch("UPDATE leaves SET key = NULL, names = NULL, issuer_organization = NULL")
        .unwrap();
    store.note(&[history::saw(0, true, true)], at(1)).unwrap();
    let keys: i64 = raw(&folder)
        .query_one(
            "SELECT count(*) FROM leaves WHERE key IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(keys, 1);
}

#[test]
fn unconvertible_schema_1_key_is_kept() {
    let folder = folder();
    old(&folder);
    let change = "UPDATE remembered SET key = 'new_source x' WHERE key = 'sslmate *';
                  UPDATE mentions SET key = 'new_source x' WHERE key = 'sslmate *'";
    raw(&folder).execute_batch(change).unwrap();
    let all = open(&folder).recall().unwrap();
    assert_eq!(all.len(), 14);
    assert!(all.iter().any(|(key, _)| key == "new_source x"));
}

#[test]
fn failed_migration_changes_nothing() {
    // The first migration fails, or one after another has converted the keys.
    for existing in ["entries", "known_leaves"] {
        let folder = folder();
        old(&folder);
        raw(&folder)
            .execute_batch(&format!("CREATE TABLE {existing} (x)"))
            .unwrap();
        let before = std::fs::read(folder.path().join(FILE_NAME)).unwrap();
        Store::open(folder.path()).unwrap_err().to_string();
        let version: i64 = raw(&folder)
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 1, "{existing}");
        assert!(before.len() > 4096);
        let of_old = raw(&folder)
            .query_one(
                "SELECT count(*) FROM remembered WHERE key = 'sslmate *'",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap();
        assert_eq!(of_old, 1, "{existing}");
    }
}
