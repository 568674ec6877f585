//! Change history: the results of each endpoint, with the first and the last time of each.

mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::finding::{MaterialChange, Severity};
use crate::judge::Judged;
use crate::model::Timestamp;
use crate::observation::Reported;

use super::{Store, StoreError};

use read::{PROBLEMS, spans};
use write::Notes;

/// Maximum spans that are kept of one endpoint. An endpoint that changes at every probe, such as
/// two servers behind one address that disagree, is evident long before this limit.
pub const MAX_SPANS_OF_ENDPOINT: u32 = 1000;
/// Maximum spans that are kept in total; [`Store::prune`] drops the oldest beyond it. A name whose
/// addresses change at every probe creates new endpoints without limit.
pub const MAX_SPANS: u32 = 1_000_000;
/// Maximum characters that are kept of a text that a server chose: a name in its certificate, an
/// error.
const MAX_TEXT_CHARS: usize = 500;

/// Query of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Name of a certificate or of a host; `None` selects all.
    pub name: Option<String>,
    /// Selects only the changes at this time or later.
    pub since: Option<Timestamp>,
    /// Maximum number of spans; the newest are returned.
    pub limit: usize,
}

/// Period in which an endpoint had the same result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Name of the certificate in the inventory.
    pub certificate: String,
    /// Host name that was requested.
    pub hostname: String,
    /// IP address; `None` if the name did not resolve.
    pub ip: Option<IpAddr>,
    /// Port, TCP or UDP according to the protocol.
    pub port: u16,
    /// Name of the protocol.
    pub protocol: String,
    /// Key type that was requested.
    pub key_type: String,
    /// Vantage of the probes.
    pub vantage: String,
    /// Time of the first probe with this result.
    pub first_seen: Timestamp,
    /// Time of the last probe with this result.
    pub last_seen: Timestamp,
    /// Result of the probes.
    pub seen: Seen,
    /// True if it was the expected certificate; `None` if there was none to judge.
    pub correct: Option<bool>,
    /// True if its chain was complete; `None` if there was none to judge.
    pub chained: Option<bool>,
    /// Severity at the last probe.
    pub severity: Severity,
    /// Result before this span.
    pub before: Before,
    /// Comparison of the certificate with the one that the endpoint served before. `None` if it is
    /// the same, if there was none, or if an older version recorded one of them.
    pub replacement: Option<Replacement>,
    /// Labels of the entry at the last probe.
    pub labels: BTreeMap<String, String>,
}

/// Replacement of a certificate by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// A renewal.
    Renewal,
    /// A return to a certificate that was issued before the previous one, without a material change.
    Older,
    /// More than a renewal: the differences, at least one.
    MaterialChange(Vec<MaterialChange>),
}

/// Result of probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A certificate. A field that could not be read from it is `None`.
    Served {
        /// SHA-256 of its DER, in lower-case hexadecimal.
        sha256: String,
        /// Distinguished name of the subject.
        subject: Option<String>,
        /// Distinguished name of the issuer.
        issuer: Option<String>,
        /// Common name of the issuer.
        issuer_common_name: Option<String>,
        /// Serial number in lower-case hexadecimal.
        serial: Option<String>,
        /// Start of the validity.
        not_before: Option<Timestamp>,
        /// Expiry.
        not_after: Option<Timestamp>,
    },
    /// Result that a remote vantage reported.
    Reported {
        /// The correct certificate was served.
        correct: bool,
        /// The correct chain was served.
        chained: bool,
        /// The certificate was a temporary one.
        dummy: bool,
    },
    /// No certificate.
    Failed {
        /// Name of the error kind.
        error_kind: String,
        /// Message of the first such error.
        error: String,
    },
}

/// Result of an endpoint before a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// No result: the endpoint had not been probed before.
    Nothing,
    /// A result that is no longer kept.
    Forgotten,
    /// This result.
    Was {
        /// Result of the probes.
        seen: Seen,
        /// True if it was the expected certificate.
        correct: Option<bool>,
        /// True if its chain was complete.
        chained: Option<bool>,
    },
}

impl Store {
    /// Records the results of probes. If a probe has the same result as the last one of its
    /// endpoint, only `last_seen` and the severity are updated. Two results are the same if the
    /// leaf, the reported result or the kind of error is the same, and both are as correct and as
    /// complete as each other. All results are written in one transaction.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written. None of the results is recorded then.
    pub fn note(&self, results: &[Judged], now: Timestamp) -> Result<(), StoreError> {
        self.note_each(results.iter().map(|judged| (judged, now)))
    }

    /// Records results as [`Store::note`] does, each with the end of its probe.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written. None of the results is recorded then.
    pub fn note_each<'a>(
        &self,
        results: impl Iterator<Item = (&'a Judged, Timestamp)> + Clone,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let mut note = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut notes = Notes::new(&transaction)?;
            for (judged, at) in results.clone() {
                notes.add(judged, at)?;
            }
            drop(notes);
            transaction.commit()
        };
        note().map_err(|e| self.failed(e))
    }

    /// Returns the spans that match a query, oldest first. If there are more than the limit, the
    /// oldest are omitted.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn history(&self, query: &Query) -> Result<Vec<Span>, StoreError> {
        let connection = self.connection();
        spans(&connection, query, "").map_err(|e| self.failed(e))
    }

    /// Returns the spans that match a query and whose severity is warning, unknown or critical,
    /// oldest first. If there are more than the limit, the oldest are omitted.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn history_of_problems(&self, query: &Query) -> Result<Vec<Span>, StoreError> {
        let connection = self.connection();
        spans(&connection, query, PROBLEMS).map_err(|e| self.failed(e))
    }

    /// Returns the names of the certificates and hosts that have history.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare(
                "WITH seen AS (SELECT certificate, hostname FROM endpoints e
                               WHERE EXISTS (SELECT 1 FROM spans WHERE endpoint = e.id))
                 SELECT certificate FROM seen UNION SELECT hostname FROM seen",
            )?;
            let names = select.query_map([], |row| row.get(0))?;
            names.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|e| self.failed(e))
    }

    /// Deletes the spans that were last seen before that time, and the oldest beyond [`MAX_SPANS`].
    /// Returns the number of deleted spans.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written.
    pub fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let mut connection = self.connection();
        prune_to(&mut connection, before, MAX_SPANS).map_err(|e| self.failed(e))
    }
}

/// [`Reported`] as it is stored.
#[derive(Serialize, Deserialize)]
struct ReportedForm {
    correct: bool,
    chained: bool,
    dummy: bool,
}

impl From<&Reported> for ReportedForm {
    fn from(reported: &Reported) -> Self {
        let &Reported {
            correct,
            chained,
            dummy,
            peer: _,
        } = reported;
        Self {
            correct,
            chained,
            dummy,
        }
    }
}

/// Returns a text, shortened to the maximum that is kept.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Display for Replacement {
    /// Writes the kind of the change, and the reasons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = match self {
            Self::Renewal => return f.write_str("renewal"),
            Self::Older => return f.write_str("older certificate"),
            Self::MaterialChange(changes) => changes,
        };
        f.write_str("material change: ")?;
        for (position, change) in changes.iter().enumerate() {
            let separator = if position > 0 { "; " } else { "" };
            write!(f, "{separator}{change}")?;
        }
        Ok(())
    }
}

pub(super) fn prune_to(
    connection: &mut Connection,
    before: Timestamp,
    most: u32,
) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old = transaction.execute("DELETE FROM spans WHERE last_seen < ?", [before.0])?;
    let beyond = transaction.execute(
        "DELETE FROM spans WHERE id <= (SELECT id FROM spans ORDER BY id DESC LIMIT 1 OFFSET ?)",
        [most],
    )?;
    if old + beyond > 0 {
        transaction.execute(
            "DELETE FROM endpoints
             WHERE NOT EXISTS (SELECT 1 FROM spans WHERE endpoint = endpoints.id)",
            [],
        )?;
        // Hosts that have no history have not been probed for as long.
        transaction.execute(
            "DELETE FROM known_leaves AS k WHERE NOT EXISTS (
                 SELECT 1 FROM endpoints e WHERE e.certificate = k.certificate AND e.hostname = k.hostname
                 AND e.port = k.port AND e.protocol = k.protocol AND e.key_type = k.key_type)",
            [],
        )?;
        transaction.execute(
            "DELETE FROM leaves WHERE NOT EXISTS (SELECT 1 FROM spans WHERE leaf = leaves.id)
             AND NOT EXISTS (SELECT 1 FROM known_leaves WHERE leaf = leaves.id)
             AND NOT EXISTS (SELECT 1 FROM known_leaves WHERE replaced = leaves.id)",
            [],
        )?;
    }
    transaction.commit()?;
    Ok(old + beyond)
}
