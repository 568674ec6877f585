//! Tests of opening a database, and of the errors if that fails.

use std::path::Path;
use std::time::Duration;

use rusqlite::params;

use super::*;

fn error_of(folder: &Path) -> String {
    let error = Store::open(folder).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn state_directory_is_created_for_its_owner_only() {
    let outer = folder();
    let inner = outer.path().join("var/state");
    Store::open(&inner).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&inner).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    Store::open(&inner).unwrap();
}

#[test]
fn file_as_state_directory_is_an_error() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(error_of(&file).starts_with(&format!(
        "--state-dir {} is not a directory; ",
        file.display()
    )));
    assert!(error_of(&file.join("x")).contains("cannot create the state directory"));
}

#[test]
fn foreign_or_damaged_database_is_reported_and_not_changed() {
    type Damage = fn(&TempDir);
    let cases: [(&str, Damage); 5] = [
        ("move the file away, with its -wal", |folder| {
            std::fs::write(folder.path().join(FILE_NAME), "x".repeat(5000)).unwrap();
        }),
        (
            "another program: give another --state-dir, or move",
            |folder| {
                raw(folder).execute_batch("CREATE TABLE x (y)").unwrap();
            },
        ),
        ("a newer certvigil wrote it (its schema is 99", |folder| {
            open(folder);
            raw(folder).pragma_update(None, "user_version", 99).unwrap();
        }),
        ("a newer certvigil wrote it (its schema is -1", |folder| {
            open(folder);
            raw(folder).pragma_update(None, "user_version", -1).unwrap();
        }),
        ("damaged", |folder| {
            open(folder);
            let file = folder.path().join(FILE_NAME);
            let mut bytes = std::fs::read(&file).unwrap();
            let page = 4096;
            bytes[page..page * 2].fill(0xaa);
            std::fs::write(&file, bytes).unwrap();
        }),
    ];
    for (expected, spoil) in cases {
        let folder = folder();
        spoil(&folder);
        let file = folder.path().join(FILE_NAME);
        let before = std::fs::read(&file).unwrap();
        let error = error_of(folder.path());
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("certvigil.db: "), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), before, "{expected}");
    }
}

#[test]
fn read_only_open_requires_an_existing_database() {
    let folder = folder();
    let error = Store::open_to_read(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("no such file: give the --state-dir"),
        "{error}"
    );
    assert!(!folder.path().join(FILE_NAME).exists());
    std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
    let error = Store::open_to_read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("it is empty"), "{error}");
}

#[test]
fn locked_database_is_reported() {
    let folder = folder();
    let store = open(&folder);
    store.connection().busy_timeout(Duration::ZERO).unwrap();
    let other = raw(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.prune(NOW).unwrap_err().to_string();
    assert!(error.contains("another process has held it"), "{error}");
    other
        .execute(
            "INSERT INTO certificates VALUES (?, ?)",
            params!["x", [0_u8]],
        )
        .unwrap();
}

#[test]
fn a_second_monitor_is_refused_while_the_first_runs() {
    let folder = folder();
    let first = open(&folder);
    let error = error_of(folder.path());
    assert!(error.contains("another certvigil monitor"), "{error}");
    assert!(error.contains("another --state-dir"), "{error}");
    Store::open_to_read(folder.path()).unwrap();
    drop(first);
    open(&folder);
}
