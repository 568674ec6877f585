//! Tests of the store, on real files.

mod history;
mod known_leaves;
mod migration;
mod opening;
mod remembered;

use std::sync::LazyLock;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::model::Timestamp;
use crate::testbed::authority::{Authority, Key, Validity};

use super::{FILE_NAME, Store};

const NOW: Timestamp = Timestamp(1_800_000_000);
const MINUTE: i64 = 60;

/// Returns the time this many minutes after `NOW`.
fn at(minutes: i64) -> Timestamp {
    Timestamp(NOW.0 + minutes * MINUTE)
}

/// Valid certificates, of which 4 and 5 cannot be parsed, 6 renews 0, and 7 was issued before
/// both.
static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let validity = Validity::around(NOW, 10, 80);
    let root = Authority::root("Root", validity).unwrap();
    let middle = root.intermediate("Intermediate", validity).unwrap();
    let issue = |name: &str, validity| {
        let issued = middle.issue(&[name.into()], validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    let leaf = |name| issue(name, validity);
    vec![
        leaf("a.example"),
        leaf("b.example"),
        middle.certificate.clone(),
        root.certificate,
        Certificate::from_der(Vec::new()),
        Certificate::from_der(vec![0x30, 0x80, 0]),
        leaf("a.example"),
        issue("a.example", Validity::around(NOW, 40, 50)),
    ]
});

fn certificate(index: usize) -> Certificate {
    CERTIFICATES[index].clone()
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path()).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Opens the database without the store, as another program would.
fn raw(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join(FILE_NAME)).unwrap()
}

fn count(connection: &Connection, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    connection.query_one(&query, [], |row| row.get(0)).unwrap()
}

/// Calls block, so they are made from other threads.
#[test]
fn the_store_is_shared_between_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Store>();
}
