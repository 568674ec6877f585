//! Change history: the results of each endpoint, with the first and the last time of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use rusqlite::{
    Connection, Row, Statement, Transaction, TransactionBehavior, named_params, params,
};
use serde::{Deserialize, Serialize};

use crate::finding::{MaterialChange, Severity};
use crate::judge::{Judged, Verdict, material_changes};
use crate::model::{Hostname, Timestamp};
use crate::observation::{Outcome, Reported};

use super::leaf_row::{self, AddLeaf, LEAF_COLUMNS, leaf_columns};
use super::{Store, StoreError};

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

/// Statements of one call, each prepared once.
struct Notes<'a> {
    last: Statement<'a>,
    keep: Statement<'a>,
    add_endpoint: Statement<'a>,
    update_labels: Statement<'a>,
    add_leaf: AddLeaf<'a>,
    add_span: Statement<'a>,
    trim: Statement<'a>,
}

impl<'a> Notes<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            last: transaction.prepare(
                "SELECT e.id, s.id, l.sha256, s.told, s.error_kind, s.correct, s.chained, e.labels,
                        l.id IS NOT NULL AND l.key IS NULL
                 FROM endpoints e
                 LEFT JOIN spans s ON s.id = (SELECT max(id) FROM spans WHERE endpoint = e.id)
                 LEFT JOIN leaves l ON l.id = s.leaf
                 WHERE e.certificate = ? AND e.hostname = ? AND e.ip = ? AND e.port = ? AND e.protocol = ?
                 AND e.key_type = ? AND e.vantage = ?",
            )?,
            // `last_seen` does not go back if the clock is set back.
            keep: transaction.prepare(
                "UPDATE spans SET last_seen = max(last_seen, ?2), severity = ?3 WHERE id = ?1",
            )?,
            add_endpoint: transaction.prepare(
                "INSERT INTO endpoints (certificate, hostname, ip, port, protocol, key_type, vantage)
                 VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            )?,
            update_labels: transaction.prepare("UPDATE endpoints SET labels = ?2 WHERE id = ?1")?,
            add_leaf: AddLeaf::new(transaction)?,
            add_span: transaction.prepare(
                "INSERT INTO spans (endpoint, is_first, first_seen, last_seen, leaf, told, error_kind, error,
                                    correct, chained, severity)
                 VALUES (:endpoint, :is_first, :now, :now, :leaf, :told, :error_kind, :error,
                         :correct, :chained, :severity)",
            )?,
            trim: transaction.prepare(
                "DELETE FROM spans WHERE endpoint = ?1 AND id <=
                 (SELECT id FROM spans WHERE endpoint = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?,
        })
    }

    fn add(&mut self, judged: &Judged, now: Timestamp) -> rusqlite::Result<()> {
        let target = &judged.observation.target;
        let hostname = target.hostname.to_string();
        let ip = judged.observation.ip.map(|ip| ip.to_string());
        let endpoint = params![
            target.certificate,
            hostname,
            ip.unwrap_or_default(),
            target.port,
            target.protocol.name(),
            judged.observation.key_type.name(),
            judged.observation.vantage.as_str()
        ];
        let seen_row = SeenRow::of(judged);
        let severity = judged.severity().name();
        let known = self
            .last
            .query_map(endpoint, Last::read)?
            .next()
            .transpose()?;
        let id = match &known {
            Some(last) => last.endpoint,
            None => self.add_endpoint.query_row(endpoint, |row| row.get(0))?,
        };
        let labels = labels_text(&judged.notes.labels);
        if known.as_ref().map_or("{}", |last| &last.labels) != labels {
            self.update_labels.execute(params![id, labels])?;
        }
        if let Some(Last {
            span: Some(span),
            seen_row: last,
            is_leaf_partial,
            ..
        }) = &known
            && *last == seen_row
        {
            if *is_leaf_partial && let Outcome::Served(served) = &judged.observation.outcome {
                self.add_leaf.certificate(&served.leaf)?;
            }
            self.keep.execute(params![span, now.0, severity])?;
            return Ok(());
        }
        let (leaf, error) = match &judged.observation.outcome {
            Outcome::Served(served) => (Some(self.add_leaf.certificate(&served.leaf)?), None),
            Outcome::Reported(_) => (None, None),
            Outcome::Failed(error) => (None, Some(shortened(&error.message))),
        };
        self.add_span.execute(named_params! {
            ":endpoint": id,
            ":is_first": known.is_none(),
            ":now": now.0,
            ":leaf": leaf,
            ":told": seen_row.reported,
            ":error_kind": seen_row.error_kind,
            ":error": error,
            ":correct": seen_row.correct,
            ":chained": seen_row.chained,
            ":severity": severity,
        })?;
        self.trim.execute(params![id, MAX_SPANS_OF_ENDPOINT])?;
        Ok(())
    }
}

/// Parts of a result that are compared to decide whether two results of one endpoint are the same.
#[derive(PartialEq)]
struct SeenRow {
    leaf: Option<String>,
    reported: Option<String>,
    error_kind: Option<String>,
    correct: Option<bool>,
    chained: Option<bool>,
}

impl SeenRow {
    fn of(judged: &Judged) -> Self {
        let flags = match judged.verdict {
            Verdict::Conclusive(flags) => Some(flags),
            Verdict::Inconclusive(_) => None,
        };
        let (mut leaf, mut reported, mut error_kind) = (None, None, None);
        match &judged.observation.outcome {
            Outcome::Served(served) => leaf = Some(served.leaf.sha256().to_string()),
            Outcome::Reported(word) => {
                reported = serde_json::to_string(&ReportedForm::from(*word)).ok()
            }
            Outcome::Failed(error) => error_kind = Some(error.kind.name().to_owned()),
        }
        Self {
            leaf,
            reported,
            error_kind,
            correct: flags.map(|f| f.correct),
            chained: flags.map(|f| f.chained),
        }
    }
}

/// Known endpoint, with its last result.
struct Last {
    endpoint: i64,
    span: Option<i64>,
    seen_row: SeenRow,
    labels: String,
    /// An older version wrote the row of its leaf, without some of its fields.
    is_leaf_partial: bool,
}

impl Last {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            endpoint: row.get(0)?,
            span: row.get(1)?,
            seen_row: SeenRow {
                leaf: row.get(2)?,
                reported: row.get(3)?,
                error_kind: row.get(4)?,
                correct: row.get(5)?,
                chained: row.get(6)?,
            },
            labels: row.get(7)?,
            is_leaf_partial: row.get(8)?,
        })
    }
}

/// [`Reported`] as it is stored.
#[derive(Serialize, Deserialize)]
struct ReportedForm {
    correct: bool,
    chained: bool,
    dummy: bool,
}

impl From<Reported> for ReportedForm {
    fn from(reported: Reported) -> Self {
        let Reported {
            correct,
            chained,
            dummy,
        } = reported;
        Self {
            correct,
            chained,
            dummy,
        }
    }
}

/// Returns labels as they are stored.
fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).unwrap_or_else(|_| "{}".into())
}

/// Returns a text, shortened to the maximum that is kept.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Columns that [`Seen::read`] reads, of a span and of its previous span.
macro_rules! columns_of {
    ($span:literal, $leaf:literal) => {
        concat!(
            leaf_columns!($leaf),
            ", ",
            $span,
            ".told, ",
            $span,
            ".error_kind, ",
            $span,
            ".error, ",
            $span,
            ".correct, ",
            $span,
            ".chained"
        )
    };
}
/// Number of columns in `columns_of`.
const SEEN_COLUMNS: usize = LEAF_COLUMNS + 5;

/// Condition of spans whose result needs attention. A severity that this version does not know is
/// shown too.
const PROBLEMS: &str = "AND s.severity NOT IN ('ok', 'info')";

fn spans(
    connection: &Connection,
    query: &Query,
    and_condition: &str,
) -> rusqlite::Result<Vec<Span>> {
    let named = "s.endpoint IN (SELECT id FROM endpoints WHERE certificate = :name
                 UNION SELECT id FROM endpoints WHERE hostname = :host)";
    let condition = match query.name {
        Some(_) => named,
        None => ":name IS NULL AND :host IS NULL",
    };
    let sql = format!(
        "SELECT e.certificate, e.hostname, e.ip, e.port, e.vantage,
                s.first_seen, s.last_seen, s.severity, s.is_first, b.id, e.protocol, e.key_type, e.labels,
                {}, {}, {}
         FROM spans s
         JOIN endpoints e ON e.id = s.endpoint
         LEFT JOIN leaves l ON l.id = s.leaf
         LEFT JOIN spans b ON b.id = (SELECT max(id) FROM spans WHERE endpoint = s.endpoint AND id < s.id)
         LEFT JOIN leaves m ON m.id = b.leaf
         LEFT JOIN leaves p ON p.id = (SELECT leaf FROM spans WHERE endpoint = s.endpoint AND id < s.id
                                       AND leaf IS NOT NULL ORDER BY id DESC LIMIT 1)
         WHERE {condition} AND s.first_seen >= :since {and_condition}
         ORDER BY s.id DESC LIMIT :limit",
        columns_of!("s", "l"),
        columns_of!("b", "m"),
        leaf_columns!("p"),
    );
    // Names are stored as [`Hostname`] writes them: in lower case, and international names as
    // A-labels.
    let host = query
        .name
        .as_ref()
        .map(|name| match name.parse::<Hostname>() {
            Ok(hostname) => hostname.to_string(),
            Err(_) => name.clone(),
        });
    let mut select = connection.prepare(&sql)?;
    let values = named_params! {
        ":name": query.name,
        ":host": host,
        ":since": query.since.map_or(i64::MIN, |t| t.0),
        ":limit": i64::try_from(query.limit).unwrap_or(i64::MAX),
    };
    let rows = select.query_map(values, Span::read)?;
    let mut spans = rows.collect::<rusqlite::Result<Vec<Span>>>()?;
    spans.reverse();
    Ok(spans)
}

impl Span {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        const OWN: usize = 13;
        const PREVIOUS_LEAF: usize = OWN + 2 * SEEN_COLUMNS;
        let ip: String = row.get(2)?;
        let severity: String = row.get(7)?;
        let labels: String = row.get(12)?;
        let leaves = (
            leaf_row::read(row, PREVIOUS_LEAF)?,
            leaf_row::read(row, OWN)?,
        );
        let replacement = match &leaves {
            (Some(before), Some(after)) if before.sha256 != after.sha256 => {
                Some(Replacement::of(material_changes(before, after)))
            }
            _ => None,
        };
        let (seen, correct, chained) = Seen::read(row, OWN)?;
        let before = match (row.get(8)?, row.get::<_, Option<i64>>(9)?) {
            (true, _) => Before::Nothing,
            (false, None) => Before::Forgotten,
            (false, Some(_)) => {
                let (seen, correct, chained) = Seen::read(row, OWN + SEEN_COLUMNS)?;
                Before::Was {
                    seen,
                    correct,
                    chained,
                }
            }
        };
        Ok(Self {
            certificate: row.get(0)?,
            hostname: row.get(1)?,
            ip: ip.parse().ok(),
            port: row.get(3)?,
            protocol: row.get(10)?,
            key_type: row.get(11)?,
            vantage: row.get(4)?,
            first_seen: Timestamp(row.get(5)?),
            last_seen: Timestamp(row.get(6)?),
            seen,
            correct,
            chained,
            severity: severity_named(&severity),
            before,
            replacement,
            labels: serde_json::from_str(&labels).unwrap_or_default(),
        })
    }
}

impl fmt::Display for Replacement {
    /// Writes the kind of the change, and the reasons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::MaterialChange(changes) = self else {
            return f.write_str("renewal");
        };
        f.write_str("material change: ")?;
        for (position, change) in changes.iter().enumerate() {
            let separator = if position > 0 { "; " } else { "" };
            write!(f, "{separator}{change}")?;
        }
        Ok(())
    }
}

impl Replacement {
    fn of(changes: Vec<MaterialChange>) -> Self {
        match changes.is_empty() {
            true => Self::Renewal,
            false => Self::MaterialChange(changes),
        }
    }
}

impl Seen {
    fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<(Self, Option<bool>, Option<bool>)> {
        const OTHERS: usize = LEAF_COLUMNS;
        let sha256: Option<String> = row.get(at)?;
        let reported: Option<String> = row.get(at + OTHERS)?;
        let seen = match (sha256, reported) {
            (Some(sha256), _) => Self::Served {
                sha256,
                subject: row.get(at + 1)?,
                issuer: row.get(at + 2)?,
                issuer_common_name: row.get(at + 3)?,
                serial: row.get(at + 4)?,
                not_before: row.get::<_, Option<i64>>(at + 5)?.map(Timestamp),
                not_after: row.get::<_, Option<i64>>(at + 6)?.map(Timestamp),
            },
            (None, Some(reported)) => {
                let ReportedForm {
                    correct,
                    chained,
                    dummy,
                } = serde_json::from_str(&reported).map_err(|e| {
                    let text = rusqlite::types::Type::Text;
                    rusqlite::Error::FromSqlConversionFailure(at + OTHERS, text, Box::new(e))
                })?;
                Self::Reported {
                    correct,
                    chained,
                    dummy,
                }
            }
            (None, None) => Self::Failed {
                error_kind: row.get(at + OTHERS + 1)?,
                error: row
                    .get::<_, Option<String>>(at + OTHERS + 2)?
                    .unwrap_or_default(),
            },
        };
        Ok((seen, row.get(at + OTHERS + 3)?, row.get(at + OTHERS + 4)?))
    }
}

/// Returns the severity with this name, and [`Severity::Unknown`] for a name that this version does
/// not know.
fn severity_named(name: &str) -> Severity {
    let known = [
        Severity::Ok,
        Severity::Info,
        Severity::Warning,
        Severity::Critical,
    ];
    let found = known.into_iter().find(|severity| severity.name() == name);
    found.unwrap_or(Severity::Unknown)
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
