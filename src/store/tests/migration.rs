//! Tests of databases of older versions.

use super::*;

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
    let folder = folder();
    old(&folder);
    raw(&folder)
        .execute_batch("CREATE TABLE entries (x)")
        .unwrap();
    let before = std::fs::read(folder.path().join(FILE_NAME)).unwrap();
    Store::open(folder.path()).unwrap_err().to_string();
    let version: i64 = raw(&folder)
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
    assert!(before.len() > 4096);
    let of_old = raw(&folder)
        .query_one(
            "SELECT count(*) FROM remembered WHERE key = 'sslmate *'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .unwrap();
    assert_eq!(of_old, 1);
}
