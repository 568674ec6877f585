//! Settings outside an entry that take part in the verdicts on its endpoints, with the content of
//! the files that they name. A reload compares them by value.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Fingerprint;
use crate::config::{
    Defaults, Entry, Inventory, ReachSettings, SslmateSettings, TrustSettings, VantageKind,
    VantageSettings,
};
use crate::model::{Families, Vantage};
use crate::scan::ProbeOptions;

/// Settings outside the entries that take part in verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JudgingSettings {
    timeout: Duration,
    grace: Duration,
    /// Interval after which a source without a response is stale.
    refresh: Duration,
    families: Families,
    dns: Vec<SocketAddr>,
    /// Hash of the trusted roots.
    trust: Option<Fingerprint>,
    /// Hashes of the trusted roots of entries with CA files of their own.
    own_trust: HashMap<Vec<PathBuf>, Fingerprint>,
    /// Hashes of the client certificates.
    clients: BTreeMap<ReachSettings, Option<Fingerprint>>,
    /// API of each remote vantage.
    vantages: BTreeMap<Vantage, VantageApi>,
}

/// Location of a vantage's API.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VantageApi {
    kind: VantageKind,
    /// Endpoint of the account, for SSLMate's vantage.
    endpoint: Option<String>,
}

/// Part of the settings that takes part in the verdicts on one entry's endpoints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EntryBasis<'a> {
    timeout: Duration,
    grace: Duration,
    refresh: Duration,
    families: Families,
    dns: &'a [SocketAddr],
    trust: Option<Fingerprint>,
    client: Option<Fingerprint>,
}

impl JudgingSettings {
    /// Returns the settings of an inventory whose files are loaded in `options`.
    pub(super) fn new(
        inventory: &Inventory,
        entries: &[Arc<Entry>],
        options: &ProbeOptions,
    ) -> Self {
        // Complete patterns: a new key must be compared here, or be named as one that takes no part
        // in a verdict.
        let Inventory {
            sslmate,
            vantages,
            trust,
            dns,
            families,
            probe: _,
            webhook_secret_file: _,
            defaults,
            // `entries`, compared entry by entry, whole.
            certificates: _,
            include: _,
            file_sd: _,
        } = inventory;
        // The content of the files, and the system's roots, are in `options`.
        let TrustSettings {
            system: _,
            ca_files: _,
        } = trust;
        let Defaults {
            // Applied to the schedules.
            interval: _,
            timeout,
            per_address: _,
            grace,
            history: _,
            // Each entry contains these.
            port: _,
            warn: _,
            crit: _,
            key_types: _,
            revocation: _,
            dane: _,
            labels: _,
        } = defaults;
        let account = sslmate.clone().unwrap_or_default();
        let SslmateSettings {
            endpoint,
            // A change makes the sources due, which may change the expected certificates.
            api_key_file: _,
            login: _,
            refresh_interval,
        } = &account;
        let own_trust = options.own_trust.iter();
        let clients = entries.iter().map(|entry| &entry.reach);
        let clients = clients.filter(|reach| reach.client.is_some());
        let vantages = vantages.iter().map(|VantageSettings { name, kind }| {
            let api = VantageApi {
                endpoint: match kind {
                    VantageKind::Sslmate => endpoint.clone(),
                    VantageKind::Certvigil { .. } => None,
                },
                kind: kind.clone(),
            };
            (Vantage::named(name), api)
        });
        Self {
            timeout: *timeout,
            grace: *grace,
            refresh: *refresh_interval,
            families: *families,
            dns: dns.clone(),
            trust: Some(options.trust.digest()),
            own_trust: own_trust
                .map(|(files, trust)| (files.clone(), trust.digest()))
                .collect(),
            clients: clients
                .map(|reach| {
                    (
                        ReachSettings::clone(reach),
                        options.reaches.of(reach).client_digest(),
                    )
                })
                .collect(),
            vantages: vantages.collect(),
        }
    }

    /// Returns what takes part in the verdicts on an entry's endpoints, except for the entry itself.
    pub(super) fn of(&self, entry: &Entry) -> EntryBasis<'_> {
        EntryBasis {
            timeout: entry.timeout.unwrap_or(self.timeout),
            grace: entry.grace.unwrap_or(self.grace),
            refresh: self.refresh,
            families: entry.families.unwrap_or(self.families),
            dns: &self.dns,
            trust: self.own_trust.get(&entry.ca_files).copied().or(self.trust),
            client: self.clients.get(&entry.reach).copied().flatten(),
        }
    }

    /// Returns true if a vantage's name stands for another API than in these earlier settings.
    pub(super) fn is_vantage_replaced(&self, before: &Self, vantage: &Vantage) -> bool {
        let (before, now) = (before.vantages.get(vantage), self.vantages.get(vantage));
        before.is_some_and(|before| now.is_some_and(|now| before != now))
    }
}

#[cfg(test)]
mod tests;
