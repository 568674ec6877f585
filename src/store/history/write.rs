//! Recording of results: a new span, or another probe of the last one.

use std::collections::BTreeMap;

use rusqlite::{Row, Statement, Transaction, named_params, params};

use crate::judge::{Judged, Verdict};
use crate::model::Timestamp;
use crate::observation::Outcome;

use super::super::leaf_row::AddLeaf;
use super::{MAX_SPANS_OF_ENDPOINT, ReportedForm, shortened};

/// Statements of one call, each prepared once.
pub(super) struct Notes<'a> {
    last: Statement<'a>,
    keep: Statement<'a>,
    add_endpoint: Statement<'a>,
    update_labels: Statement<'a>,
    add_leaf: AddLeaf<'a>,
    add_span: Statement<'a>,
    trim: Statement<'a>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
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

    pub(super) fn add(&mut self, judged: &Judged, now: Timestamp) -> rusqlite::Result<()> {
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
                reported = serde_json::to_string(&ReportedForm::from(word)).ok()
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

/// Returns labels as they are stored.
fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).unwrap_or_else(|_| "{}".into())
}
