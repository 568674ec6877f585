//! Queries of the history.

use rusqlite::{Connection, Row, named_params};

use crate::certificate::LeafRecord;
use crate::finding::Severity;
use crate::judge::material_changes;
use crate::model::{Hostname, Timestamp};

use super::super::leaf_row::{self, LEAF_COLUMNS, leaf_columns};
use super::{Before, Query, Replacement, ReportedForm, Seen, Span};

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
pub(super) const PROBLEMS: &str = "AND s.severity NOT IN ('ok', 'info')";

pub(super) fn spans(
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
                Some(Replacement::of(before, after))
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

impl Replacement {
    fn of(before: &LeafRecord, after: &LeafRecord) -> Self {
        let changes = material_changes(before, after);
        if !changes.is_empty() {
            return Self::MaterialChange(changes);
        }
        match (before.validity, after.validity) {
            (Some((before, _)), Some((after, _))) if after < before => Self::Older,
            _ => Self::Renewal,
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
