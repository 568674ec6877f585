//! Files that the configuration names, apart from those of expected certificates: files of targets,
//! trusted roots, client certificates and secrets. They are read with the configuration, and again
//! when they change.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use certvigil_probe::io::{is_stream, system_root_files};

use crate::config::{
    Entry, Include, Inventory, Module, ReachSettings, TrustSettings, VantageKind, VantageSettings,
};
use crate::source::{Stamp, TargetStamps};

/// States of the files, compared without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamps {
    targets: TargetStamps,
    /// In the order of [`named_files`]; `None` for a missing file.
    named: Vec<Option<Stamp>>,
}

impl FileStamps {
    /// Returns the present states of the files of targets that the patterns match, and of the named
    /// files.
    pub(super) fn of(targets: &[Include], named: &[PathBuf]) -> Self {
        Self::new(TargetStamps::of(targets), named)
    }

    /// Returns the present states of the named files, beside these of the files of targets.
    pub(super) fn new(targets: TargetStamps, named: &[PathBuf]) -> Self {
        Self {
            targets,
            named: named.iter().map(|file| Stamp::of(file)).collect(),
        }
    }
}

/// Returns the files with roots, client certificates and secrets that the inventory and its entries
/// name. A pipe is not among them, because it cannot be read again.
pub(super) fn named_files(inventory: &Inventory, entries: &[Arc<Entry>]) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    add_roots(&mut files, &inventory.trust);
    if let Some(account) = &inventory.sslmate {
        files.extend(account.api_key_file.clone());
        files.extend(
            account
                .login
                .iter()
                .map(|login| login.password_file.clone()),
        );
    }
    for VantageSettings { name: _, kind } in &inventory.vantages {
        match kind {
            VantageKind::Sslmate => {}
            VantageKind::Certvigil { password_file, .. } => files.extend(password_file.clone()),
        }
    }
    files.extend(inventory.webhook_secret_file.clone());
    for Module {
        trust,
        ca_files,
        reach,
        ..
    } in &inventory.probe.modules
    {
        if let Some(trust) = trust {
            add_roots(&mut files, trust);
        }
        files.extend(ca_files.iter().cloned());
        add_client(&mut files, reach);
    }
    for entry in entries {
        files.extend(entry.ca_files.iter().cloned());
        add_client(&mut files, &entry.reach);
    }
    files.into_iter().filter(|file| !is_stream(file)).collect()
}

fn add_roots(files: &mut BTreeSet<PathBuf>, trust: &TrustSettings) {
    if trust.system {
        files.extend(system_root_files());
    }
    files.extend(trust.ca_files.iter().cloned());
}

fn add_client(files: &mut BTreeSet<PathBuf>, reach: &ReachSettings) {
    if let Some(client) = &reach.client {
        files.insert(client.certificate.clone());
        files.insert(client.key.clone());
        files.extend(client.password.clone());
    }
}
