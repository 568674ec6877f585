//! Rows of a report. A remote probe with the same result as the local one has no row of its own.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::certificate::printable;
use crate::judge::{Judged, agree};
use crate::model::{KeyType, Protocol};
use crate::observation::ProbeError;

/// A probe, with the remote probes that saw the same.
pub(super) struct Row<'a> {
    pub(super) judged: &'a Judged,
    pub(super) host: String,
    pub(super) address: String,
    /// Other vantages that agree.
    pub(super) agreeing: Vec<&'a str>,
}

/// Formats the host, and the address and port that were probed.
pub fn place(judged: &Judged) -> String {
    let row = Row::new(judged);
    format!("{} {}", row.host, row.address)
}

/// Returns a row for each probe, most severe first. A remote probe that agrees with the local one
/// adds only its name.
pub(super) fn rows(results: &[Judged]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(results.len());
    let (local, remote): (Vec<&Judged>, Vec<&Judged>) = results
        .iter()
        .partition(|j| j.observation.vantage.is_local());
    for judged in local {
        rows.push(Row::new(judged));
    }
    let own = rows.len();
    for judged in remote {
        let same = rows.iter_mut().take(own).find(|row| {
            let (a, b) = (&row.judged.observation, &judged.observation);
            a.target == b.target && a.ip == b.ip && agree(row.judged, judged)
        });
        match same {
            Some(row) => row.agreeing.push(judged.observation.vantage.as_str()),
            None => rows.push(Row::new(judged)),
        }
    }
    rows.sort_by_key(|row| Reverse(row.judged.severity()));
    rows
}

impl<'a> Row<'a> {
    pub(super) fn new(judged: &'a Judged) -> Self {
        let observation = &judged.observation;
        let target = &observation.target;
        let port = match observation.key_type {
            KeyType::Any => target.port_label(),
            kind => format!("{} {kind}", target.port_label()),
        };
        Self {
            judged,
            // The name of a file may have any characters.
            host: printable(&target.hostname.to_string()),
            address: match observation.ip {
                Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
                Some(IpAddr::V4(ip)) => format!("{ip}:{port}"),
                None if target.is_file() => Protocol::File.name().into(),
                None => format!(":{port}"),
            },
            agreeing: Vec::new(),
        }
    }

    /// Formats the host, address and port, and the vantage unless it is the local one.
    pub(super) fn place(&self) -> String {
        let vantage = &self.judged.observation.vantage;
        if vantage.is_local() {
            format!("{} {}", self.host, self.address)
        } else {
            format!("{} {} (seen from {vantage})", self.host, self.address)
        }
    }

    /// Returns why the probe was inconclusive, unless a finding reports it already.
    pub(super) fn unreported_error(&self) -> Option<&'a ProbeError> {
        self.judged.unreported_error()
    }
}
