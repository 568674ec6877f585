//! Last results of the sources. They are used after a restart if a source is unreachable then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Fingerprint};
use crate::config::FoundPlace;
use crate::error::Cause;
use crate::instance::{Expectation, Expected, Instance, Instances, Pins, SourceKind, State};
use crate::model::{Protocol, Timestamp, path_of_text};
use crate::source::Loaded;

use super::error::ContentError;
use super::{Store, StoreError};

/// Time for which the instances of an entry are kept after it was last in the configuration: 30
/// days. A reload without the entry loses nothing if the entry returns within this time.
pub const FORGET_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Result of a source, its time, and the time since which it has been expected.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Result of the source.
    pub loaded: Loaded,
    /// Time of the last request that returned this result.
    pub fetched: Timestamp,
    /// Time of the last change of the expected instance; `None` if no other instance was known
    /// before.
    pub changed: Option<Timestamp>,
}

impl Store {
    /// Replaces the stored results of an entry's source with these, in one transaction.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written. The earlier results are still stored
    /// then.
    pub fn remember(&self, key: &str, remembered: &[Remembered]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        self.remember_in(&mut connection, key, remembered)
            .map_err(|e| self.failed(e))
    }

    fn remember_in(
        &self,
        connection: &mut Connection,
        key: &str,
        remembered: &[Remembered],
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut certificates = BTreeMap::new();
        let old = take_out(&transaction, key)?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO remembered (key, position, fetched, changed, content) VALUES (?, ?, ?, ?, ?)",
            )?;
            for (position, one) in (0_i64..).zip(remembered) {
                let content = Content::of(&one.loaded, &mut certificates);
                let content = serde_json::to_string(&content)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                let changed = one.changed.map(|t| t.0);
                insert.execute(params![key, position, one.fetched.0, changed, content])?;
            }
            let mut keep = transaction
                .prepare("INSERT OR IGNORE INTO certificates (sha256, der) VALUES (?, ?)")?;
            let mut mention =
                transaction.prepare("INSERT INTO mentions (key, sha256) VALUES (?, ?)")?;
            for (sha256, certificate) in &certificates {
                keep.execute(params![sha256, certificate.der()])?;
                mention.execute(params![key, sha256])?;
            }
        }
        clear_out(&transaction, &old)?;
        transaction.commit()
    }

    /// Returns all stored results by key. An item that cannot be read is logged and omitted.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn recall(&self) -> Result<Vec<(String, Vec<Remembered>)>, StoreError> {
        let connection = self.connection();
        let mut certificates = Kept::new(&connection);
        let read = || {
            let mut select = connection.prepare(
                "SELECT key, fetched, changed, content FROM remembered ORDER BY key, position",
            )?;
            let rows = select.query_map([], ItemRow::read)?;
            rows.collect::<rusqlite::Result<Vec<ItemRow>>>()
        };
        let mut all: Vec<(String, Vec<Remembered>)> = Vec::new();
        for row in read().map_err(|e| self.failed(e))? {
            let item = match row.item(&mut certificates) {
                Ok(item) => item,
                Err(error) => {
                    tracing::warn!(
                        "{}: what was kept of `{}` cannot be read and is left out: {error}",
                        self.file.display(),
                        row.key
                    );
                    continue;
                }
            };
            match all.last_mut() {
                Some((key, items)) if *key == row.key => items.push(item),
                _ => all.push((row.key, vec![item])),
            }
        }
        Ok(all)
    }

    /// Records that these entries are configured as of `now`, and deletes the results of entries
    /// that were last configured more than [`FORGET_AFTER`] ago. This is one transaction.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written.
    pub fn configured(&self, keys: &BTreeSet<String>, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.connection();
        configured_in(&mut connection, keys, now).map_err(|e| self.failed(e))
    }
}

fn configured_in(
    connection: &mut Connection,
    keys: &BTreeSet<String>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut mark = transaction.prepare(
            "INSERT INTO entries (key, last_configured) VALUES (?, ?)
             ON CONFLICT (key) DO UPDATE SET last_configured = excluded.last_configured",
        )?;
        for key in keys {
            mark.execute(params![key, now.0])?;
        }
    }
    // It is not known when these entries were last configured, so their time starts now.
    transaction.execute(
        "INSERT OR IGNORE INTO entries (key, last_configured) SELECT DISTINCT key, ? FROM remembered",
        [now.0],
    )?;
    let delay = i64::try_from(FORGET_AFTER.as_secs()).unwrap_or(i64::MAX);
    let forgotten = {
        let mut delete =
            transaction.prepare("DELETE FROM entries WHERE last_configured < ? RETURNING key")?;
        let forgotten = delete.query_map([now.0.saturating_sub(delay)], |row| row.get(0))?;
        forgotten.collect::<rusqlite::Result<Vec<String>>>()?
    };
    for key in &forgotten {
        let old = take_out(&transaction, key)?;
        clear_out(&transaction, &old)?;
    }
    transaction.commit()
}

/// Deletes the items of a key. Returns the fingerprints of the certificates that they referred to,
/// which are not deleted.
fn take_out(connection: &Connection, key: &str) -> rusqlite::Result<Vec<String>> {
    connection.execute("DELETE FROM remembered WHERE key = ?", [key])?;
    let mut delete = connection.prepare("DELETE FROM mentions WHERE key = ? RETURNING sha256")?;
    let old = delete.query_map([key], |row| row.get(0))?;
    old.collect()
}

/// Deletes those of these certificates that no item refers to.
fn clear_out(connection: &Connection, old: &[String]) -> rusqlite::Result<()> {
    let mut delete = connection.prepare(
        "DELETE FROM certificates WHERE sha256 = ?1
         AND NOT EXISTS (SELECT 1 FROM mentions WHERE sha256 = ?1)",
    )?;
    for sha256 in old {
        delete.execute([sha256])?;
    }
    Ok(())
}

struct ItemRow {
    key: String,
    fetched: i64,
    changed: Option<i64>,
    /// Raw value: another program may have written something that is not text.
    content: rusqlite::types::Value,
}

impl ItemRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            fetched: row.get(1)?,
            changed: row.get(2)?,
            content: row.get(3)?,
        })
    }

    fn item(&self, certificates: &mut Kept<'_>) -> Result<Remembered, ContentError> {
        let rusqlite::types::Value::Text(text) = &self.content else {
            return Err(ContentError::NoText);
        };
        let content: Content = serde_json::from_str(text)?;
        Ok(Remembered {
            loaded: content.loaded(certificates)?,
            fetched: Timestamp(self.fetched),
            changed: self.changed.map(Timestamp),
        })
    }
}

/// Stored certificates, each read once.
struct Kept<'a> {
    connection: &'a Connection,
    known: HashMap<String, Certificate>,
}

impl<'a> Kept<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            known: HashMap::new(),
        }
    }

    fn get(&mut self, sha256: &str) -> Result<Certificate, ContentError> {
        if let Some(certificate) = self.known.get(sha256) {
            return Ok(certificate.clone());
        }
        let query = "SELECT der FROM certificates WHERE sha256 = ?";
        let der: Option<Vec<u8>> = self
            .connection
            .query_row(query, [sha256], |row| row.get(0))
            .optional()?;
        let der = der.ok_or_else(|| ContentError::Missing(sha256.to_owned()))?;
        let certificate = Certificate::from_der(der);
        // A stored certificate becomes an expected one, so it must match its fingerprint.
        if certificate.sha256().to_string() != sha256 {
            return Err(ContentError::Changed(sha256.to_owned()));
        }
        self.known.insert(sha256.to_owned(), certificate.clone());
        Ok(certificate)
    }
}

/// Certificates by their SHA-256.
type Certificates = BTreeMap<String, Certificate>;

/// [`Loaded`] as it is stored. The enumerations of other modules are mirrored here, so that
/// renaming one of their variants does not silently make stored items unreadable.
#[derive(Serialize, Deserialize)]
struct Content {
    name: String,
    common_name: Option<String>,
    hostnames: Vec<String>,
    /// Absent in results that were stored before it existed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    found: Vec<FoundForm>,
    awaited: Option<u64>,
    #[serde(with = "SourceForm")]
    source: SourceKind,
    expected: ExpectedForm,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SourceKind", rename_all = "snake_case")]
enum SourceForm {
    Sslmate,
    Download,
    Pem,
    Fingerprint,
    PublicKey,
    Trust,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExpectedForm {
    Instances(Box<InstancesForm>),
    Fingerprints(Vec<String>),
    PublicKeys(Vec<String>),
    TrustOnly,
}

#[derive(Serialize, Deserialize)]
struct InstancesForm {
    expected: InstanceForm,
    also_accepted: Vec<InstanceForm>,
    pending: Option<InstanceForm>,
    previous: Vec<InstanceForm>,
}

#[derive(Serialize, Deserialize)]
struct InstanceForm {
    id: Option<u64>,
    #[serde(with = "StateForm")]
    state: State,
    leaf: String,
    chain: Vec<String>,
    root: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "State", rename_all = "snake_case")]
enum StateForm {
    Pending,
    Active,
    Expired,
    Revoked,
    Canceled,
    Unknown,
}

impl Content {
    /// Returns the stored form of a result, and adds its certificates to `certificates`.
    fn of(loaded: &Loaded, certificates: &mut Certificates) -> Self {
        let mut instance = |instance: &Instance| InstanceForm::of(instance, certificates);
        let expected = match &loaded.expected.what {
            Expectation::Instances(i) => ExpectedForm::Instances(Box::new(InstancesForm {
                expected: instance(&i.expected),
                also_accepted: i.also_accepted.iter().map(&mut instance).collect(),
                pending: i.pending.as_ref().map(&mut instance),
                previous: i.previous.iter().map(&mut instance).collect(),
            })),
            Expectation::Fingerprints(pins) => ExpectedForm::Fingerprints(texts(pins)),
            Expectation::PublicKeys(keys) => ExpectedForm::PublicKeys(texts(keys)),
            Expectation::TrustOnly => ExpectedForm::TrustOnly,
        };
        Self {
            name: loaded.name.clone(),
            common_name: loaded.common_name.clone(),
            hostnames: texts(&loaded.hostnames),
            found: loaded.found.iter().map(FoundForm::of).collect(),
            awaited: loaded.awaited,
            source: loaded.expected.source,
            expected,
        }
    }

    fn loaded(self, certificates: &mut Kept<'_>) -> Result<Loaded, ContentError> {
        let what = match self.expected {
            ExpectedForm::Instances(i) => Expectation::Instances(Box::new(Instances {
                expected: i.expected.instance(certificates)?,
                also_accepted: all(i.also_accepted, |i| i.instance(certificates))?,
                pending: i.pending.map(|i| i.instance(certificates)).transpose()?,
                previous: all(i.previous, |i| i.instance(certificates))?,
            })),
            ExpectedForm::Fingerprints(pins) => Expectation::Fingerprints(at_least_one(pins)?),
            ExpectedForm::PublicKeys(keys) => Expectation::PublicKeys(at_least_one(keys)?),
            ExpectedForm::TrustOnly => Expectation::TrustOnly,
        };
        Ok(Loaded {
            name: self.name,
            common_name: self.common_name,
            expected: Arc::new(Expected {
                source: self.source,
                what,
            }),
            hostnames: all(self.hostnames, |h| parsed(&h))?,
            found: all(self.found, FoundForm::place)?,
            awaited: self.awaited,
        })
    }
}

/// [`FoundPlace`] as it is stored. `protocol` is `file` for a file.
#[derive(Serialize, Deserialize)]
struct FoundForm {
    hostname: String,
    port: u16,
    protocol: String,
    names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsigned_srv: Option<String>,
}

impl FoundForm {
    fn of(place: &FoundPlace) -> Self {
        Self {
            hostname: place.hostname.to_string(),
            port: place.port,
            protocol: place.protocol.name().into(),
            names: texts(&place.names),
            unsigned_srv: place.unsigned_srv.clone(),
        }
    }

    fn place(self) -> Result<FoundPlace, ContentError> {
        let names = all(self.names, |name| parsed(&name))?;
        if self.protocol == Protocol::File.name() {
            return Ok(FoundPlace::file(path_of_text(&self.hostname), &names));
        }
        Ok(FoundPlace {
            hostname: parsed(&self.hostname)?,
            port: self.port,
            protocol: parsed(&self.protocol)?,
            names: names.into(),
            unsigned_srv: self.unsigned_srv,
        })
    }
}

impl InstanceForm {
    fn of(instance: &Instance, certificates: &mut Certificates) -> Self {
        let mut name = |certificate: &Certificate| {
            let sha256: Fingerprint = certificate.sha256();
            certificates.insert(sha256.to_string(), certificate.clone());
            sha256.to_string()
        };
        Self {
            id: instance.id,
            state: instance.state,
            leaf: name(&instance.leaf),
            chain: instance.chain.iter().map(&mut name).collect(),
            root: instance.root.as_ref().map(&mut name),
        }
    }

    fn instance(self, certificates: &mut Kept<'_>) -> Result<Instance, ContentError> {
        Ok(Instance {
            id: self.id,
            state: self.state,
            leaf: certificates.get(&self.leaf)?,
            chain: all(self.chain, |sha256| certificates.get(&sha256))?,
            root: self.root.map(|r| certificates.get(&r)).transpose()?,
        })
    }
}

fn texts<T: Display>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

fn all<T, U, E>(from: Vec<T>, read: impl FnMut(T) -> Result<U, E>) -> Result<Vec<U>, E> {
    from.into_iter().map(read).collect()
}

/// Parses pins. An empty list is an error: no certificate could match such an expectation.
fn at_least_one<T>(from: Vec<String>) -> Result<Pins<T>, ContentError>
where
    T: Ord + FromStr<Err: Into<Cause>>,
{
    if from.is_empty() {
        return Err(ContentError::NoPins);
    }
    from.iter().map(|text| parsed(text)).collect()
}

fn parsed<T: FromStr<Err: Into<Cause>>>(text: &str) -> Result<T, ContentError> {
    text.parse()
        .map_err(|error: T::Err| ContentError::Value(error.into()))
}
