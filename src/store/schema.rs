//! Tables of the database, and the migrations from older versions.

use rusqlite::{Connection, TransactionBehavior, params};

use super::key::EntryKey;

/// `cvgl` in ASCII: the application ID in the header of the database
/// (<https://www.sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i32 = 0x6376_676c;

/// Migrations, each from the previous version of the schema. The number of applied migrations is
/// the database's `user_version`. A released migration never changes; a change of the schema is a
/// new one.
const MIGRATIONS: [Migration; 3] = [Migration { sql: "
-- What sources said: an item of an entry, as JSON that names certificates by their SHA-256.
CREATE TABLE remembered (
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    changed INTEGER,
    content TEXT NOT NULL,
    PRIMARY KEY (key, position)
) WITHOUT ROWID;

-- Each certificate once, however many items name it.
CREATE TABLE certificates (
    sha256 TEXT PRIMARY KEY NOT NULL,
    der BLOB NOT NULL
);

-- Which entries name which certificates, so that what none does any more can go.
CREATE TABLE mentions (
    key TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES certificates,
    PRIMARY KEY (key, sha256)
) WITHOUT ROWID;
CREATE INDEX mentions_by_certificate ON mentions (sha256);

-- ip is empty where the name had no address: NULLs would all be different.
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    certificate TEXT NOT NULL,
    hostname TEXT NOT NULL,
    ip TEXT NOT NULL,
    port INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    key_type TEXT NOT NULL,
    vantage TEXT NOT NULL,
    UNIQUE (certificate, hostname, ip, port, protocol, key_type, vantage)
);
CREATE INDEX endpoints_by_hostname ON endpoints (hostname);

-- What can be told of a served leaf, each once; NULL is what could not be read.
CREATE TABLE leaves (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    subject TEXT,
    issuer TEXT,
    issuer_common_name TEXT,
    serial TEXT,
    not_before INTEGER,
    not_after INTEGER
);

-- From when until when an endpoint looked the same: a leaf, a remote vantage's word (JSON), or an error.
-- A later span of an endpoint has a greater id.
CREATE TABLE spans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint INTEGER NOT NULL REFERENCES endpoints,
    is_first INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    leaf INTEGER REFERENCES leaves,
    told TEXT,
    error_kind TEXT,
    error TEXT,
    correct INTEGER,
    chained INTEGER,
    severity TEXT NOT NULL,
    CHECK ((leaf IS NOT NULL) + (told IS NOT NULL) + (error_kind IS NOT NULL) = 1)
);
CREATE INDEX spans_by_endpoint ON spans (endpoint, id);
CREATE INDEX spans_by_leaf ON spans (leaf);
", then: None }, Migration { sql: "
-- When each entry was last in the configuration of a running monitor.
CREATE TABLE entries (
    key TEXT PRIMARY KEY NOT NULL,
    last_configured INTEGER NOT NULL
) WITHOUT ROWID;
", then: Some(encode_keys) }, Migration { sql: "
-- Fields of a leaf that decide whether its replacement is a renewal. names is a JSON list, and key has a
-- kind and a size; both are NULL if they are not known.
ALTER TABLE leaves ADD COLUMN issuer_organization TEXT;
ALTER TABLE leaves ADD COLUMN names TEXT;
ALTER TABLE leaves ADD COLUMN key TEXT;

-- Labels of the entry, as a JSON object.
ALTER TABLE endpoints ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';

-- Last leaves of the hosts of entries without an expected certificate; position 0 is the one that was seen
-- last. replaced is the leaf that this one replaced, while that is reported as a material change.
CREATE TABLE known_leaves (
    certificate TEXT NOT NULL,
    hostname TEXT NOT NULL,
    port INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    key_type TEXT NOT NULL,
    position INTEGER NOT NULL,
    leaf INTEGER NOT NULL REFERENCES leaves,
    replaced INTEGER REFERENCES leaves,
    is_trusted INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    PRIMARY KEY (certificate, hostname, port, protocol, key_type, position)
) WITHOUT ROWID;
CREATE INDEX known_leaves_by_leaf ON known_leaves (leaf);
CREATE INDEX known_leaves_by_replaced ON known_leaves (replaced);
", then: None }];

/// Migration: SQL statements, and a function for the part that SQL cannot do.
struct Migration {
    sql: &'static str,
    then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

/// Replaces the keys of schema 1 with [`EntryKey`]'s encoding. A key that cannot be parsed is not
/// changed, so that nothing is lost immediately. No entry has such a key, so its items are deleted
/// after [`FORGET_AFTER`](super::FORGET_AFTER).
fn encode_keys(connection: &Connection) -> rusqlite::Result<()> {
    let keys = {
        let mut select = connection
            .prepare("SELECT key FROM remembered UNION SELECT key FROM mentions ORDER BY key")?;
        let keys = select.query_map([], |row| row.get(0))?;
        keys.collect::<rusqlite::Result<Vec<String>>>()?
    };
    for old in keys {
        let Some(new) = EntryKey::of_schema_1(&old).map(|key| key.encode()) else {
            tracing::warn!("cannot convert the key `{old}` of a remembered entry; it is not used");
            continue;
        };
        for table in ["remembered", "mentions"] {
            let update = format!("UPDATE OR IGNORE {table} SET key = ? WHERE key = ?");
            connection.execute(&update, params![new, old])?;
        }
    }
    Ok(())
}

/// Reason why a database cannot be used.
pub(super) enum Unfit {
    /// Description of the problem, with advice other than to move the database away.
    Is(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks the integrity of a database, and applies the missing migrations.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), Unfit> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let found: String = transaction.query_one("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        // The first line only names the database.
        let found = found.lines().last().unwrap_or_default();
        return Err(Unfit::Is(format!(
            "it is damaged ({found}): stop certvigil and bring back a copy"
        )));
    }
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration.sql)?;
        if let Some(then) = migration.then {
            then(&transaction)?;
        }
    }
    if version < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let present = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", present)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Checks that a database has the current schema.
pub(super) fn expect_current(connection: &Connection) -> Result<(), Unfit> {
    let version = version(connection)?;
    if version == 0 {
        return Err(Unfit::Is(
            "it is empty: no monitor has recorded anything in it; start monitoring with it".into(),
        ));
    }
    if version < MIGRATIONS.len() {
        return Err(Unfit::Is(
            "an older certvigil wrote it: start monitoring with it once".into(),
        ));
    }
    Ok(())
}

/// Returns the number of migrations that were applied to a database.
pub(super) fn version(connection: &Connection) -> Result<usize, Unfit> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let version = number("user_version")?;
    let tables: i64 =
        connection.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = version == 0 && tables == 0;
    if !is_new && number("application_id")? != i64::from(APPLICATION_ID) {
        return Err(Unfit::Is(
            "it is the database of another program: give another --state-dir".into(),
        ));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(Unfit::Is(format!(
            "a newer certvigil wrote it (its schema is {version}, this version knows {}): use that version",
            MIGRATIONS.len()
        ))),
    }
}
