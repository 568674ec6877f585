//! Last leaves of the hosts of entries without an expected certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, TransactionBehavior, params};

use crate::certificate::LeafRecord;
use crate::model::Timestamp;
use crate::observation::Observation;

use super::leaf_row::{self, AddLeaf, LEAF_COLUMNS, leaf_columns};
use super::{Store, StoreError};

/// Host and port with a requested key type, at all addresses together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the certificate in the inventory.
    pub certificate: String,
    /// Host name, or the path of a file.
    pub hostname: String,
    /// Port.
    pub port: u16,
    /// Name of the protocol.
    pub protocol: String,
    /// Name of the requested key type.
    pub key_type: String,
}

impl Place {
    /// Returns the place of an observation.
    pub fn of(observation: &Observation) -> Self {
        let target = &observation.target;
        Self {
            certificate: target.certificate.clone(),
            hostname: target.hostname.to_string(),
            port: target.port,
            protocol: target.protocol.name().into(),
            key_type: observation.key_type.name().into(),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            certificate: row.get(0)?,
            hostname: row.get(1)?,
            port: row.get(2)?,
            protocol: row.get(3)?,
            key_type: row.get(4)?,
        })
    }
}

/// Leaf that a place has served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLeaf {
    /// The leaf.
    pub leaf: Arc<LeafRecord>,
    /// The leaf that it replaced, if that is more than a renewal and the earlier leaf has not been
    /// served since.
    pub replaced: Option<Arc<LeafRecord>>,
    /// True if the chain was trusted in some probe.
    pub is_trusted: bool,
    /// Time of the first probe that saw it.
    pub first_seen: Timestamp,
}

impl Store {
    /// Replaces the known leaves of a place, in one transaction.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written. The earlier leaves are still stored then.
    pub fn keep_leaves(&self, place: &Place, leaves: &[KnownLeaf]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        keep_in(&mut connection, place, leaves).map_err(|e| self.failed(e))
    }

    /// Returns the known leaves of all places, the last seen first.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn known_leaves(&self) -> Result<BTreeMap<Place, Vec<KnownLeaf>>, StoreError> {
        let connection = self.connection();
        known_in(&connection).map_err(|e| self.failed(e))
    }
}

fn keep_in(
    connection: &mut Connection,
    place: &Place,
    leaves: &[KnownLeaf],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Place {
        certificate,
        hostname,
        port,
        protocol,
        key_type,
    } = place;
    transaction.execute(
        "DELETE FROM known_leaves
         WHERE certificate = ? AND hostname = ? AND port = ? AND protocol = ? AND key_type = ?",
        params![certificate, hostname, port, protocol, key_type],
    )?;
    {
        let mut add_leaf = AddLeaf::new(&transaction)?;
        let mut insert = transaction.prepare(
            "INSERT INTO known_leaves (certificate, hostname, port, protocol, key_type, position,
                                       leaf, replaced, is_trusted, first_seen)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for (position, known) in (0_i64..).zip(leaves) {
            let leaf = add_leaf.record(&known.leaf)?;
            let replaced = known.replaced.as_ref();
            let replaced = replaced.map(|leaf| add_leaf.record(leaf)).transpose()?;
            insert.execute(params![
                certificate,
                hostname,
                port,
                protocol,
                key_type,
                position,
                leaf,
                replaced,
                known.is_trusted,
                known.first_seen.0
            ])?;
        }
    }
    transaction.commit()
}

fn known_in(connection: &Connection) -> rusqlite::Result<BTreeMap<Place, Vec<KnownLeaf>>> {
    const OWN: usize = 7;
    let mut select = connection.prepare(concat!(
        "SELECT k.certificate, k.hostname, k.port, k.protocol, k.key_type, k.is_trusted, k.first_seen, ",
        leaf_columns!("l"),
        ", ",
        leaf_columns!("r"),
        " FROM known_leaves k JOIN leaves l ON l.id = k.leaf LEFT JOIN leaves r ON r.id = k.replaced
         ORDER BY k.certificate, k.hostname, k.port, k.protocol, k.key_type, k.position",
    ))?;
    let mut places: BTreeMap<Place, Vec<KnownLeaf>> = BTreeMap::new();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        // A row that cannot be read is of a newer version, or was changed by another program.
        let Some(leaf) = leaf_row::read(row, OWN)? else {
            continue;
        };
        let known = KnownLeaf {
            leaf: Arc::new(leaf),
            replaced: leaf_row::read(row, OWN + LEAF_COLUMNS)?.map(Arc::new),
            is_trusted: row.get(5)?,
            first_seen: Timestamp(row.get(6)?),
        };
        places.entry(Place::read(row)?).or_default().push(known);
    }
    Ok(places)
}
