//! Who switched when: what each endpoint was seen to serve, from when until when.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rusqlite::{
    Connection, Row, Statement, Transaction, TransactionBehavior, named_params, params,
};
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::finding::Severity;
use crate::judge::{Judged, Verdict};
use crate::model::{Hostname, Timestamp};
use crate::observation::{Outcome, Told};

use super::Store;

/// Spans that are kept of one endpoint. One that changes at every look, such as two servers behind one
/// address that disagree, has shown itself long before.
pub const MAX_SPANS_OF_ENDPOINT: u32 = 1000;
/// Spans that are kept in all; [`Store::prune`] drops the oldest beyond. A name whose addresses are others
/// at every look makes new endpoints without end.
pub const MAX_SPANS: u32 = 1_000_000;
/// What is kept of a text that a server chose: a name in its certificate, an error.
const MAX_TEXT_CHARS: usize = 500;

/// What is asked of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// A certificate's or a host's name; `None` is everything.
    pub name: Option<String>,
    /// Only what changed then or later.
    pub since: Option<Timestamp>,
    /// How many spans at most: the newest.
    pub limit: usize,
}

/// From when until when an endpoint looked the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The inventory's name for the certificate.
    pub certificate: String,
    /// The name that was asked for.
    pub hostname: String,
    /// The address, unless the name had none.
    pub ip: Option<IpAddr>,
    /// The port, of TCP or of UDP as the protocol has it.
    pub port: u16,
    /// The protocol's name.
    pub protocol: String,
    /// Which kind of key was asked for.
    pub key_type: String,
    /// Where the looks were taken from.
    pub vantage: String,
    /// The first look that saw this.
    pub first_seen: Timestamp,
    /// The last look that saw this.
    pub last_seen: Timestamp,
    /// What was seen.
    pub seen: Seen,
    /// Whether it was the expected certificate; `None` where there was none to judge.
    pub correct: Option<bool>,
    /// Whether its chain was complete; `None` where there was none to judge.
    pub chained: Option<bool>,
    /// The severity at the last look.
    pub severity: Severity,
    /// What was seen before.
    pub before: Before,
}

/// What looks saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A certificate. What could not be read from it is `None`.
    Served {
        /// The SHA-256 of its DER, in lower-case hexadecimal.
        sha256: String,
        /// The subject's distinguished name.
        subject: Option<String>,
        /// The issuer's distinguished name.
        issuer: Option<String>,
        /// The issuer's common name.
        issuer_common_name: Option<String>,
        /// The serial number in lower-case hexadecimal.
        serial: Option<String>,
        /// The first moment of validity.
        not_before: Option<Timestamp>,
        /// The last moment of validity.
        not_after: Option<Timestamp>,
    },
    /// A remote vantage's word.
    Told {
        /// The correct certificate was served.
        correct: bool,
        /// The correct chain was served.
        chained: bool,
        /// The certificate was a temporary one.
        dummy: bool,
    },
    /// No certificate.
    Failed {
        /// The error kind's name.
        error_kind: String,
        /// The first such error in words.
        error: String,
    },
}

/// What an endpoint was seen to serve before a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it had not been looked at.
    Nothing,
    /// Something that is kept no more.
    Forgotten,
    /// This.
    Was {
        /// What was seen.
        seen: Seen,
        /// Whether it was the expected certificate.
        correct: Option<bool>,
        /// Whether its chain was complete.
        chained: Option<bool>,
    },
}

impl Store {
    /// Notes what looks saw. A look that saw the same as the last one of its endpoint only moves
    /// `last_seen` (and the severity): the same leaf, the same word or the same kind of error, and as correct
    /// and as chained as then. One transaction for all.
    ///
    /// # Errors
    /// Where the database cannot be written. None of it is noted then.
    pub fn note(&self, results: &[Judged], now: Timestamp) -> Result<(), String> {
        self.note_each(results.iter().map(|judged| (judged, now)))
    }

    /// Notes results as [`Store::note`] does, each with the end of its probe.
    ///
    /// # Errors
    /// The database cannot be written. None of the results is noted then.
    pub fn note_each<'a>(
        &self,
        results: impl Iterator<Item = (&'a Judged, Timestamp)> + Clone,
    ) -> Result<(), String> {
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
        note().map_err(|e| self.told(&e))
    }

    /// What was seen when, oldest first. Where there is more than the limit, the oldest are left out.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn history(&self, query: &Query) -> Result<Vec<Span>, String> {
        let connection = self.connection();
        spans(&connection, query).map_err(|e| self.told(&e))
    }

    /// The names of the certificates and hosts that there is history of.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn names(&self) -> Result<BTreeSet<String>, String> {
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
        read().map_err(|e| self.told(&e))
    }

    /// Drops the spans that were last seen before that time, and the oldest beyond [`MAX_SPANS`]. Says how
    /// many there were.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn prune(&self, before: Timestamp) -> Result<usize, String> {
        let mut connection = self.connection();
        prune_to(&mut connection, before, MAX_SPANS).map_err(|e| self.told(&e))
    }
}

/// The statements of one call, each prepared once.
struct Notes<'a> {
    last: Statement<'a>,
    keep: Statement<'a>,
    add_endpoint: Statement<'a>,
    add_leaf: Statement<'a>,
    add_span: Statement<'a>,
    trim: Statement<'a>,
}

impl<'a> Notes<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            last: transaction.prepare(
                "SELECT e.id, s.id, l.sha256, s.told, s.error_kind, s.correct, s.chained
                 FROM endpoints e
                 LEFT JOIN spans s ON s.id = (SELECT max(id) FROM spans WHERE endpoint = e.id)
                 LEFT JOIN leaves l ON l.id = s.leaf
                 WHERE e.certificate = ? AND e.hostname = ? AND e.ip = ? AND e.port = ? AND e.protocol = ?
                 AND e.key_type = ? AND e.vantage = ?",
            )?,
            // A clock that was set back takes nothing back.
            keep: transaction.prepare(
                "UPDATE spans SET last_seen = max(last_seen, ?2), severity = ?3 WHERE id = ?1",
            )?,
            add_endpoint: transaction.prepare(
                "INSERT INTO endpoints (certificate, hostname, ip, port, protocol, key_type, vantage)
                 VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            )?,
            // The update that changes nothing is there for its RETURNING.
            add_leaf: transaction.prepare(
                "INSERT INTO leaves (sha256, subject, issuer, issuer_common_name, serial, not_before, not_after)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256 RETURNING id",
            )?,
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
        let sight = Sight::of(judged);
        let severity = judged.severity().name();
        let known = self
            .last
            .query_map(endpoint, Last::read)?
            .next()
            .transpose()?;
        if let Some(Last {
            span: Some(span),
            sight: last,
            ..
        }) = &known
            && *last == sight
        {
            self.keep.execute(params![span, now.0, severity])?;
            return Ok(());
        }
        let id = match &known {
            Some(last) => last.endpoint,
            None => self.add_endpoint.query_row(endpoint, |row| row.get(0))?,
        };
        let (leaf, error) = match &judged.observation.outcome {
            Outcome::Served(served) => (Some(self.leaf(&served.leaf)?), None),
            Outcome::Told(_) => (None, None),
            Outcome::Failed(error) => (None, Some(shortened(&error.message))),
        };
        self.add_span.execute(named_params! {
            ":endpoint": id,
            ":is_first": known.is_none(),
            ":now": now.0,
            ":leaf": leaf,
            ":told": sight.told,
            ":error_kind": sight.error_kind,
            ":error": error,
            ":correct": sight.correct,
            ":chained": sight.chained,
            ":severity": severity,
        })?;
        self.trim.execute(params![id, MAX_SPANS_OF_ENDPOINT])?;
        Ok(())
    }

    fn leaf(&mut self, leaf: &Certificate) -> rusqlite::Result<i64> {
        let facts = leaf.facts().ok();
        let validity = facts.and_then(crate::certificate::Facts::validity);
        let text =
            |of: fn(&crate::certificate::Facts) -> Option<&str>| facts.and_then(of).map(shortened);
        let values = params![
            leaf.sha256().to_string(),
            text(|f| Some(&f.subject)),
            text(|f| Some(&f.issuer)),
            text(|f| f.issuer_common_name.as_deref()),
            text(|f| Some(&f.serial)),
            validity.map(|(begin, _)| begin.0),
            validity.map(|(_, end)| end.0),
        ];
        self.add_leaf.query_row(values, |row| row.get(0))
    }
}

/// What makes two looks at one endpoint the same.
#[derive(PartialEq)]
struct Sight {
    leaf: Option<String>,
    told: Option<String>,
    error_kind: Option<String>,
    correct: Option<bool>,
    chained: Option<bool>,
}

impl Sight {
    fn of(judged: &Judged) -> Self {
        let flags = match judged.verdict {
            Verdict::Conclusive(flags) => Some(flags),
            Verdict::Inconclusive(_) => None,
        };
        let (mut leaf, mut told, mut error_kind) = (None, None, None);
        match &judged.observation.outcome {
            Outcome::Served(served) => leaf = Some(served.leaf.sha256().to_string()),
            Outcome::Told(word) => told = serde_json::to_string(&Word::from(*word)).ok(),
            Outcome::Failed(error) => error_kind = Some(error.kind.name().to_owned()),
        }
        Self {
            leaf,
            told,
            error_kind,
            correct: flags.map(|f| f.correct),
            chained: flags.map(|f| f.chained),
        }
    }
}

/// An endpoint that is known, with the last that was seen of it.
struct Last {
    endpoint: i64,
    span: Option<i64>,
    sight: Sight,
}

impl Last {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            endpoint: row.get(0)?,
            span: row.get(1)?,
            sight: Sight {
                leaf: row.get(2)?,
                told: row.get(3)?,
                error_kind: row.get(4)?,
                correct: row.get(5)?,
                chained: row.get(6)?,
            },
        })
    }
}

/// [`Told`] in the form that is kept.
#[derive(Serialize, Deserialize)]
struct Word {
    correct: bool,
    chained: bool,
    dummy: bool,
}

impl From<Told> for Word {
    fn from(told: Told) -> Self {
        let Told {
            correct,
            chained,
            dummy,
        } = told;
        Self {
            correct,
            chained,
            dummy,
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The columns that [`Seen::read`] takes, of a span and of the one before it.
macro_rules! columns_of {
    ($span:literal, $leaf:literal) => {
        concat!(
            $leaf,
            ".sha256, ",
            $leaf,
            ".subject, ",
            $leaf,
            ".issuer, ",
            $leaf,
            ".issuer_common_name, ",
            $leaf,
            ".serial, ",
            $leaf,
            ".not_before, ",
            $leaf,
            ".not_after, ",
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
/// How many they are.
const SEEN_COLUMNS: usize = 12;

fn spans(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Span>> {
    let named = "s.endpoint IN (SELECT id FROM endpoints WHERE certificate = :name
                 UNION SELECT id FROM endpoints WHERE hostname = :host)";
    let condition = match query.name {
        Some(_) => named,
        None => ":name IS NULL AND :host IS NULL",
    };
    let sql = format!(
        "SELECT e.certificate, e.hostname, e.ip, e.port, e.vantage,
                s.first_seen, s.last_seen, s.severity, s.is_first, b.id, e.protocol, e.key_type, {}, {}
         FROM spans s
         JOIN endpoints e ON e.id = s.endpoint
         LEFT JOIN leaves l ON l.id = s.leaf
         LEFT JOIN spans b ON b.id = (SELECT max(id) FROM spans WHERE endpoint = s.endpoint AND id < s.id)
         LEFT JOIN leaves m ON m.id = b.leaf
         WHERE {condition} AND s.first_seen >= :since
         ORDER BY s.id DESC LIMIT :limit",
        columns_of!("s", "l"),
        columns_of!("b", "m"),
    );
    // Names are kept as they are looked up: lower-case, and international ones in their ASCII form.
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
        const OWN: usize = 12;
        let ip: String = row.get(2)?;
        let severity: String = row.get(7)?;
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
        })
    }
}

impl Seen {
    fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<(Self, Option<bool>, Option<bool>)> {
        let sha256: Option<String> = row.get(at)?;
        let told: Option<String> = row.get(at + 7)?;
        let seen = match (sha256, told) {
            (Some(sha256), _) => Self::Served {
                sha256,
                subject: row.get(at + 1)?,
                issuer: row.get(at + 2)?,
                issuer_common_name: row.get(at + 3)?,
                serial: row.get(at + 4)?,
                not_before: row.get::<_, Option<i64>>(at + 5)?.map(Timestamp),
                not_after: row.get::<_, Option<i64>>(at + 6)?.map(Timestamp),
            },
            (None, Some(told)) => {
                let Word {
                    correct,
                    chained,
                    dummy,
                } = serde_json::from_str(&told).map_err(|e| {
                    let text = rusqlite::types::Type::Text;
                    rusqlite::Error::FromSqlConversionFailure(at + 7, text, Box::new(e))
                })?;
                Self::Told {
                    correct,
                    chained,
                    dummy,
                }
            }
            (None, None) => Self::Failed {
                error_kind: row.get(at + 8)?,
                error: row.get::<_, Option<String>>(at + 9)?.unwrap_or_default(),
            },
        };
        Ok((seen, row.get(at + 10)?, row.get(at + 11)?))
    }
}

/// A severity by its name. One that this version does not know was written by none.
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
        transaction.execute(
            "DELETE FROM leaves WHERE NOT EXISTS (SELECT 1 FROM spans WHERE leaf = leaves.id)",
            [],
        )?;
    }
    transaction.commit()?;
    Ok(old + beyond)
}
