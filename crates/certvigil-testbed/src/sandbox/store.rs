//! Storage of a sandbox: one SQLite database, in a folder or in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::account::{Account, CertificateRecord, Delivery, InstanceRecord, Numbers};
use super::authority::StoredAuthority;

/// Name of the database file in its folder.
pub const FILE_NAME: &str = "sandbox.db";

/// `cvsb` in ASCII: the application ID in the header of the database.
const APPLICATION_ID: i32 = 0x6376_7362;
/// Version of the schema, in `user_version`.
const VERSION: i32 = 1;
/// Maximum time for which opening waits for another process.
const PATIENCE: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE certificates (
    cn TEXT PRIMARY KEY NOT NULL,
    content TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    cn TEXT NOT NULL REFERENCES certificates,
    content TEXT NOT NULL
);
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY,
    content TEXT NOT NULL
);
CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    content TEXT NOT NULL
) WITHOUT ROWID;
";

/// Reason for which the account cannot be read or stored.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be created.
    #[error("cannot create the folder {}: {error}; check its owner and permissions", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
    /// Another process uses the database.
    #[error("{}: another sandbox uses this folder; stop it, or give another --state-dir", .0.display())]
    InUse(PathBuf),
    /// The file is the database of another program or version.
    #[error("{}: it is not the database of this version of the sandbox; give another --state-dir", .0.display())]
    Foreign(PathBuf),
    /// SQLite failed.
    #[error("{}: {error}; check the disk and the permissions, or move the file away to begin with an empty account", .file.display())]
    Sqlite {
        /// The database file.
        file: PathBuf,
        /// Cause.
        error: rusqlite::Error,
    },
    /// A row does not contain what this version writes.
    #[error("{}: a row is damaged: {error}; move the file away to begin with an empty account", .file.display())]
    Content {
        /// The database file.
        file: PathBuf,
        /// Cause.
        error: serde_json::Error,
    },
}

/// The database. Only one process uses it.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    file: PathBuf,
}

/// Cause of an error of this module.
enum Cause {
    Sqlite(rusqlite::Error),
    Content(serde_json::Error),
    Foreign,
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Cause {
    fn from(error: serde_json::Error) -> Self {
        Self::Content(error)
    }
}

impl Store {
    /// Opens the database of a folder, and creates both if they are missing. Only the owner may
    /// access a new folder. Without a folder, the database is in memory.
    ///
    /// # Errors
    /// If the folder or the database cannot be used.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, StoreError> {
        let (file, opened) = match folder {
            None => (PathBuf::from(":memory:"), Connection::open_in_memory()),
            Some(folder) => {
                make_folder(folder).map_err(|error| StoreError::Folder {
                    folder: folder.to_owned(),
                    error,
                })?;
                let file = folder.join(FILE_NAME);
                let opened = Connection::open(&file);
                (file, opened)
            }
        };
        let prepared = opened.map_err(Cause::from).and_then(|mut connection| {
            prepare(&mut connection)?;
            Ok(connection)
        });
        match prepared {
            Ok(connection) => Ok(Self { connection, file }),
            Err(cause) => Err(explain(&file, cause)),
        }
    }

    /// Reads the account.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn account(&self) -> Result<Account, StoreError> {
        let read = || -> Result<Account, Cause> {
            let mut certificates: BTreeMap<String, CertificateRecord> = BTreeMap::new();
            for (cn, record) in self.rows::<String, _>("SELECT cn, content FROM certificates")? {
                certificates.insert(cn, record);
            }
            let all = "SELECT cn, content FROM instances ORDER BY id";
            for (cn, instance) in self.rows::<String, InstanceRecord>(all)? {
                if let Some(record) = certificates.get_mut(&cn) {
                    record.instances.push(Arc::new(instance));
                }
            }
            let deliveries = "SELECT number, content FROM deliveries";
            let deliveries = self.rows::<i64, Delivery>(deliveries)?;
            Ok(Account {
                numbers: self.setting::<Numbers>("numbers")?.unwrap_or_default(),
                certificates: certificates
                    .into_iter()
                    .map(|(cn, record)| (cn, Arc::new(record)))
                    .collect(),
                deliveries: deliveries
                    .into_iter()
                    .map(|(number, delivery)| (number.unsigned_abs(), Arc::new(delivery)))
                    .collect(),
            })
        };
        read().map_err(|cause| explain(&self.file, cause))
    }

    /// Stores the difference between two states of the account. Returns true if there is one.
    ///
    /// # Errors
    /// If the database cannot be written. It is then unchanged.
    pub(super) fn save(&mut self, before: &Account, after: &Account) -> Result<bool, StoreError> {
        let file = self.file.clone();
        let mut write = || -> Result<bool, Cause> {
            let changes = Changes::between(before, after);
            if changes.is_empty() {
                return Ok(false);
            }
            let behavior = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            changes.write(&transaction, after)?;
            transaction.commit()?;
            Ok(true)
        };
        write().map_err(|cause| explain(&file, cause))
    }

    /// Returns the stored authority.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn authority(&self) -> Result<Option<StoredAuthority>, StoreError> {
        let read = self.setting("authority");
        read.map_err(|cause| explain(&self.file, cause))
    }

    /// Stores the authority.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub(super) fn save_authority(&self, authority: &StoredAuthority) -> Result<(), StoreError> {
        let written = set(&self.connection, "authority", authority);
        written.map_err(|cause| explain(&self.file, cause))
    }

    fn rows<K: rusqlite::types::FromSql, T: DeserializeOwned>(
        &self,
        query: &str,
    ) -> Result<Vec<(K, T)>, Cause> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let content: String = row.get(1)?;
            all.push((row.get(0)?, serde_json::from_str(&content)?));
        }
        Ok(all)
    }

    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Cause> {
        let query = "SELECT name, content FROM settings";
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (key, content): (String, String) = (row.get(0)?, row.get(1)?);
            if key == name {
                return Ok(Some(serde_json::from_str(&content)?));
            }
        }
        Ok(None)
    }
}

/// Rows that differ between two states of an account.
struct Changes<'a> {
    certificates: Vec<(&'a String, &'a CertificateRecord)>,
    instances: Vec<(&'a String, &'a InstanceRecord)>,
    deliveries: Vec<(u64, &'a Delivery)>,
    removed_deliveries: Vec<u64>,
    removed_certificates: Vec<&'a String>,
    are_numbers_changed: bool,
}

impl<'a> Changes<'a> {
    fn between(before: &'a Account, after: &'a Account) -> Self {
        let mut changes = Self {
            certificates: Vec::new(),
            instances: Vec::new(),
            deliveries: Vec::new(),
            removed_deliveries: Vec::new(),
            removed_certificates: Vec::new(),
            are_numbers_changed: before.numbers != after.numbers,
        };
        for (cn, record) in &after.certificates {
            let known = before.certificates.get(cn);
            if known.is_some_and(|known| Arc::ptr_eq(known, record)) {
                continue;
            }
            changes.certificates.push((cn, record));
            for (at, instance) in record.instances.iter().enumerate() {
                let known = known.and_then(|known| known.instances.get(at));
                if !known.is_some_and(|known| Arc::ptr_eq(known, instance)) {
                    changes.instances.push((cn, instance));
                }
            }
        }
        for (number, delivery) in &after.deliveries {
            let known = before.deliveries.get(number);
            if !known.is_some_and(|known| Arc::ptr_eq(known, delivery)) {
                changes.deliveries.push((*number, delivery));
            }
        }
        let mut numbers = before.deliveries.keys();
        let is_gone = |number: &&u64| !after.deliveries.contains_key(*number);
        changes.removed_deliveries = numbers.by_ref().filter(is_gone).copied().collect();
        let is_gone = |cn: &&String| !after.certificates.contains_key(*cn);
        changes.removed_certificates = before.certificates.keys().filter(is_gone).collect();
        changes
    }

    fn is_empty(&self) -> bool {
        self.certificates.is_empty()
            && self.deliveries.is_empty()
            && self.removed_deliveries.is_empty()
            && self.removed_certificates.is_empty()
            && !self.are_numbers_changed
    }

    fn write(&self, transaction: &Transaction<'_>, after: &Account) -> Result<(), Cause> {
        for cn in &self.removed_certificates {
            transaction.execute("DELETE FROM instances WHERE cn = ?", params![cn])?;
            transaction.execute("DELETE FROM certificates WHERE cn = ?", params![cn])?;
        }
        for (cn, record) in &self.certificates {
            transaction.execute(
                "INSERT INTO certificates (cn, content) VALUES (?1, ?2)
                 ON CONFLICT (cn) DO UPDATE SET content = ?2",
                params![cn, serde_json::to_string(record)?],
            )?;
        }
        for (cn, instance) in &self.instances {
            transaction.execute(
                "INSERT OR REPLACE INTO instances (id, cn, content) VALUES (?, ?, ?)",
                params![row(instance.id), cn, serde_json::to_string(instance)?],
            )?;
        }
        for (number, delivery) in &self.deliveries {
            transaction.execute(
                "INSERT OR REPLACE INTO deliveries (number, content) VALUES (?, ?)",
                params![row(*number), serde_json::to_string(delivery)?],
            )?;
        }
        for number in &self.removed_deliveries {
            let delete = "DELETE FROM deliveries WHERE number = ?";
            transaction.execute(delete, params![row(*number)])?;
        }
        set(transaction, "numbers", &after.numbers)
    }
}

fn set(connection: &Connection, name: &str, value: &impl Serialize) -> Result<(), Cause> {
    connection.execute(
        "INSERT OR REPLACE INTO settings (name, content) VALUES (?, ?)",
        params![name, serde_json::to_string(value)?],
    )?;
    Ok(())
}

/// Returns a number as SQLite stores it.
fn row(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn prepare(connection: &mut Connection) -> Result<(), Cause> {
    connection.busy_timeout(PATIENCE)?;
    // This process keeps its lock until it ends, so that a second one is refused.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let number = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get(0));
    let (application, version): (i32, i32) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        transaction.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 && version == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if application != APPLICATION_ID || version != VERSION {
        return Err(Cause::Foreign);
    }
    transaction.commit()?;
    Ok(())
}

fn explain(file: &Path, cause: Cause) -> StoreError {
    let file = file.to_owned();
    match cause {
        Cause::Foreign => StoreError::Foreign(file),
        Cause::Content(error) => StoreError::Content { file, error },
        Cause::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(file),
            Some(ErrorCode::NotADatabase) => StoreError::Foreign(file),
            _ => StoreError::Sqlite { file, error },
        },
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
