//! Rows of the table of leaves.

use rusqlite::{Connection, Row, Statement, params};

use crate::certificate::{Certificate, Fingerprint, Key, LeafRecord};
use crate::model::Timestamp;

use super::history::shortened;

/// Columns of a leaf that [`read`] reads, of the table with this alias.
macro_rules! leaf_columns {
    ($table:literal) => {
        concat!(
            $table,
            ".sha256, ",
            $table,
            ".subject, ",
            $table,
            ".issuer, ",
            $table,
            ".issuer_common_name, ",
            $table,
            ".serial, ",
            $table,
            ".not_before, ",
            $table,
            ".not_after, ",
            $table,
            ".issuer_organization, ",
            $table,
            ".names, ",
            $table,
            ".key"
        )
    };
}
pub(super) use leaf_columns;

/// Number of columns in `leaf_columns`.
pub(super) const LEAF_COLUMNS: usize = 10;

/// Statement that adds leaves.
pub(super) struct AddLeaf<'a>(Statement<'a>);

impl<'a> AddLeaf<'a> {
    pub(super) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        // A row of an older version lacks the columns that the update sets. `RETURNING` returns no
        // row for `DO NOTHING`.
        let statement = connection.prepare(
            "INSERT INTO leaves (sha256, subject, issuer, issuer_common_name, serial, not_before, not_after,
                                 issuer_organization, names, key)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (sha256) DO UPDATE SET issuer_organization = excluded.issuer_organization,
                 names = excluded.names, key = excluded.key
             RETURNING id",
        )?;
        Ok(Self(statement))
    }

    /// Adds a certificate. Returns its row.
    pub(super) fn certificate(&mut self, leaf: &Certificate) -> rusqlite::Result<i64> {
        let record = LeafRecord::of(leaf);
        self.put(leaf.sha256(), record.as_ref())
    }

    /// Adds a leaf. Returns its row.
    pub(super) fn record(&mut self, leaf: &LeafRecord) -> rusqlite::Result<i64> {
        self.put(leaf.sha256, Some(leaf))
    }

    fn put(&mut self, sha256: Fingerprint, record: Option<&LeafRecord>) -> rusqlite::Result<i64> {
        let validity = record.and_then(|r| r.validity);
        let names = record.and_then(|r| r.names.as_ref());
        let optional = |text: fn(&LeafRecord) -> Option<&String>| {
            record.and_then(text).map(|text| shortened(text))
        };
        let values = params![
            sha256.to_string(),
            record.map(|r| shortened(&r.subject)),
            record.map(|r| shortened(&r.issuer)),
            optional(|r| r.issuer_common_name.as_ref()),
            record.map(|r| shortened(&r.serial)),
            validity.map(|(begin, _)| begin.0),
            validity.map(|(_, end)| end.0),
            optional(|r| r.issuer_organization.as_ref()),
            names.and_then(|names| serde_json::to_string(names).ok()),
            record.map(|r| key_text(&r.key)),
        ];
        self.0.query_row(values, |row| row.get(0))
    }
}

/// Reads the record of a leaf from its columns, which begin at `at`. Returns `None` if an older
/// version wrote the row, or if the certificate could not be read.
pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<LeafRecord>> {
    let sha256: Option<String> = row.get(at)?;
    let sha256 = sha256.and_then(|sha256| sha256.parse().ok());
    let key: Option<String> = row.get(at + 9)?;
    let key = key.and_then(|key| key_of(&key));
    let (Some(sha256), Some(key)) = (sha256, key) else {
        return Ok(None);
    };
    let time = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(Timestamp));
    let text = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(at)?.unwrap_or_default());
    let names: Option<String> = row.get(at + 8)?;
    Ok(Some(LeafRecord {
        sha256,
        subject: text(at + 1)?,
        issuer: text(at + 2)?,
        issuer_common_name: row.get(at + 3)?,
        serial: text(at + 4)?,
        validity: time(at + 5)?.zip(time(at + 6)?),
        issuer_organization: row.get(at + 7)?,
        names: names.and_then(|names| serde_json::from_str(&names).ok()),
        key,
    }))
}

/// Returns a key as it is stored: its kind, its size, and the name of its curve.
fn key_text(key: &Key) -> String {
    match key {
        Key::Rsa(bits) => format!("rsa {bits}"),
        Key::RsaPss(bits) => format!("rsa_pss {bits}"),
        Key::Dsa(bits) => format!("dsa {bits}"),
        Key::Ec(curve, bits) => format!("ec {bits} {curve}"),
        Key::Other(name) => format!("other {name}"),
    }
}

fn key_of(text: &str) -> Option<Key> {
    let (kind, rest) = text.split_once(' ')?;
    Some(match kind {
        "rsa" => Key::Rsa(rest.parse().ok()?),
        "rsa_pss" => Key::RsaPss(rest.parse().ok()?),
        "dsa" => Key::Dsa(rest.parse().ok()?),
        "ec" => {
            let (bits, curve) = rest.split_once(' ')?;
            Key::Ec(curve.into(), bits.parse().ok()?)
        }
        "other" => Key::Other(rest.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_key_is_read_as_it_was() {
        for key in [
            Key::Rsa(2048),
            Key::RsaPss(3072),
            Key::Dsa(1024),
            Key::Ec("P-256".into(), 256),
            Key::Other("1.2.3 (unreadable)".into()),
        ] {
            assert_eq!(key_of(&key_text(&key)), Some(key));
        }
        assert_eq!(key_of("future 1"), None);
    }
}
