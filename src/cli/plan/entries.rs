//! Entries of the inventory for flags and targets.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::cli::targets::TargetError;
use crate::config::{Entry, FoundPlace, Inventory, SourceSettings};
use crate::model::{Protocol, TargetAddress};

use super::forms::{Mail, Targets};
use super::selection::fits;
use super::zone::scope_of;

/// Expected certificate according to the flags.
#[derive(Debug)]
pub(in crate::cli) enum Wanted {
    Pem(Vec<PathBuf>),
    Fingerprints(Vec<Fingerprint>),
    PublicKey(PublicKeyHash),
    Sslmate(String),
    Download(String),
    TrustOnly,
}

impl Wanted {
    /// Returns the expected certificate of the flags that `check` and `verify` share. They exclude
    /// each other.
    pub(in crate::cli) fn from_flags(
        cert: &[PathBuf],
        fingerprint: &[Fingerprint],
        pubkey_hash: Option<PublicKeyHash>,
        sslmate: Option<&str>,
    ) -> Self {
        if !cert.is_empty() {
            Self::Pem(cert.to_vec())
        } else if !fingerprint.is_empty() {
            Self::Fingerprints(fingerprint.to_vec())
        } else if let Some(key) = pubkey_hash {
            Self::PublicKey(key)
        } else if let Some(name) = sslmate {
            Self::Sslmate(name.to_ascii_lowercase())
        } else {
            Self::TrustOnly
        }
    }

    fn source(&self) -> SourceSettings {
        match self {
            Self::Pem(files) => SourceSettings::Pem(files.clone()),
            Self::Fingerprints(pins) => {
                SourceSettings::Fingerprints(pins.iter().copied().collect())
            }
            Self::PublicKey(key) => SourceSettings::PublicKeys([*key].into()),
            Self::Sslmate(name) => SourceSettings::Sslmate(name.clone()),
            Self::Download(url) => SourceSettings::Download(url.clone()),
            Self::TrustOnly => SourceSettings::TrustOnly,
        }
    }

    /// Returns true if the source supplies hostnames.
    fn has_hostnames(&self) -> bool {
        matches!(self, Self::Pem(_) | Self::Sslmate(_) | Self::Download(_))
    }
}

/// Creates the entries for flags and targets. `protocol` applies to targets that do not name
/// theirs.
pub(in crate::cli) fn entries(
    wanted: &Wanted,
    targets: &Targets,
    protocol: Protocol,
) -> Result<Vec<Entry>, TargetError> {
    let Targets {
        places,
        mail,
        services,
        xmpp,
        files,
    } = targets;
    if targets.is_empty() {
        if wanted.has_hostnames() {
            let mut entry = Entry::new(wanted.source());
            entry.protocol = protocol;
            entry.ports = vec![protocol.default_port()];
            return Ok(vec![entry]);
        }
        return Err(TargetError::None);
    }
    let mut entries: Vec<Entry> = Vec::new();
    // There may be tens of thousands of targets.
    let mut seen = HashSet::new();
    let mut by_port: HashMap<(u16, Protocol, u32), usize> = HashMap::new();
    for place in places {
        let protocol = place.protocol.unwrap_or(protocol);
        let port = place.port.unwrap_or_else(|| protocol.default_port());
        let scope = scope_of(place)?;
        if !seen.insert((&place.hostname, port, protocol, scope)) {
            continue;
        }
        // Without an expected certificate, each host is an entry of its own.
        if !matches!(wanted, Wanted::TrustOnly) {
            let position = *by_port
                .entry((port, protocol, scope))
                .or_insert(entries.len());
            if let Some(entry) = entries.get_mut(position) {
                entry.hostnames.push(place.hostname.clone());
                continue;
            }
        }
        let mut entry = Entry::new(wanted.source());
        entry.hostnames = vec![place.hostname.clone()];
        entry.ports = vec![port];
        entry.protocol = protocol;
        set_scope(&mut entry, scope);
        entries.push(entry);
    }
    for Mail { domain, port } in mail {
        let mut entry = Entry::new(wanted.source());
        entry.mx = vec![domain.clone()];
        entry.ports = vec![*port];
        entry.protocol = Protocol::Smtp;
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    for domain in xmpp {
        let entry = domain.entry(Entry::new(wanted.source()));
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    for service in services {
        let mut service = service.clone();
        if protocol != Protocol::default() {
            service.protocol = protocol;
        }
        let mut entry = Entry::new(wanted.source());
        entry.srv = vec![service];
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.extend(entries_of_files(wanted, files));
    // One certificate has one name, whatever ports are probed.
    if !matches!(wanted, Wanted::TrustOnly) && !wanted.has_hostnames() {
        let domains = mail.iter().map(|m| &m.domain);
        let domains = domains.chain(services.iter().map(|service| &service.domain));
        let domains = domains.chain(xmpp.iter().map(|x| &x.domain));
        let files = files.iter().map(|file| &file.hostname);
        let hosts = places.iter().map(|p| &p.hostname);
        let first = hosts.chain(domains).chain(files).next();
        let name = first.map(ToString::to_string);
        for entry in &mut entries {
            entry.name = name.clone();
        }
    }
    Ok(entries)
}

/// Sets the network interface of an entry's link-local addresses.
fn set_scope(entry: &mut Entry, scope: u32) {
    if entry.reach.scope_id != scope {
        Arc::make_mut(&mut entry.reach).scope_id = scope;
    }
}

/// Adds trust-only entries for the targets that are in no entry yet, with the defaults of the
/// inventory.
#[cfg(feature = "serve")]
pub(in crate::cli) fn add_trust_only(
    inventory: &mut Inventory,
    targets: &Targets,
) -> Result<(), TargetError> {
    if targets.is_empty() {
        return Ok(());
    }
    let mut added: Vec<Entry> = Vec::new();
    // Position of the entry of a host, whose ports are one certificate.
    let mut by_host: HashMap<(crate::model::Hostname, Protocol, u32), usize> = HashMap::new();
    for entry in entries(&Wanted::TrustOnly, targets, Protocol::default())? {
        let is_same = |known: &Entry| {
            let mut hosts = entry.hostnames.iter();
            known.protocol == entry.protocol
                && entry.ports.iter().all(|port| known.ports.contains(port))
                && hosts.any(|host| known.hostnames.contains(host))
        };
        if inventory.certificates.iter().any(is_same) {
            continue;
        }
        if let [host] = entry.hostnames.as_slice() {
            let host = (host.clone(), entry.protocol, entry.reach.scope_id);
            let position = *by_host.entry(host).or_insert(added.len());
            if let Some(known) = added.get_mut(position) {
                known.ports.extend(&entry.ports);
                continue;
            }
        }
        added.push(Entry {
            hostnames: entry.hostnames,
            mx: entry.mx,
            srv: entry.srv,
            found: entry.found,
            ports: entry.ports,
            protocol: entry.protocol,
            reach: entry.reach,
            finds_xmpp_hosts: entry.finds_xmpp_hosts,
            ..Entry::by(&inventory.defaults, SourceSettings::TrustOnly)
        });
    }
    inventory.certificates.extend(added);
    Ok(())
}

/// Creates the entries for certificate files: one for all, or without an expected certificate one
/// for each.
pub(in crate::cli) fn entries_of_files(wanted: &Wanted, files: &[FoundPlace]) -> Vec<Entry> {
    let of = |files: &[FoundPlace]| Entry {
        found: files.to_vec(),
        ..Entry::new(wanted.source())
    };
    match wanted {
        Wanted::TrustOnly => files.chunks(1).map(of).collect(),
        _ if files.is_empty() => Vec::new(),
        _ => vec![of(files)],
    }
}

/// Returns the entries for one certificate of the account. They are the configured entries for this
/// certificate, otherwise those for the whole account, otherwise one with the default settings.
pub(in crate::cli) fn entries_of(
    inventory: &Inventory,
    name: &str,
    starttls: Option<Protocol>,
) -> Vec<Entry> {
    let source = SourceSettings::Sslmate(name.to_owned());
    let of = |wanted: &SourceSettings| {
        let entries = inventory.certificates.iter();
        let entries = entries.filter(|e| e.source == *wanted).cloned();
        entries.collect::<Vec<_>>()
    };
    let mut entries = of(&source);
    if entries.is_empty() {
        entries = of(&SourceSettings::SslmateAll);
    }
    if entries.is_empty() {
        entries.push(Entry::by(&inventory.defaults, source.clone()));
    }
    for entry in &mut entries {
        entry.source = source.clone();
        if let Some(protocol) = starttls {
            entry.protocol = protocol;
            entry.ports = vec![protocol.default_port()];
        }
    }
    entries
}

/// Restricts the entries to the given places, if there are any. A place that is in none of the
/// entries is probed with the settings of the first.
pub(in crate::cli) fn narrowed(
    entries: &[Entry],
    targets: &Targets,
) -> Result<Vec<Entry>, TargetError> {
    if targets.is_empty() {
        return Ok(entries.to_vec());
    }
    let mut narrow = narrowed_to_places(entries, &targets.places)?;
    let Some(first) = entries.first() else {
        return Ok(narrow);
    };
    let without_hosts = || Entry {
        hostnames: Vec::new(),
        mx: Vec::new(),
        srv: Vec::new(),
        ..first.clone()
    };
    narrow.extend(targets.mail.iter().map(|Mail { domain, port }| Entry {
        hostnames: Vec::new(),
        mx: vec![domain.clone()],
        addresses: Vec::new(),
        ports: vec![*port],
        protocol: Protocol::Smtp,
        ..first.clone()
    }));
    narrow.extend(targets.services.iter().map(|service| Entry {
        srv: vec![service.clone()],
        addresses: Vec::new(),
        ..without_hosts()
    }));
    let xmpp = targets.xmpp.iter();
    narrow.extend(xmpp.map(|domain| domain.entry(first.clone())));
    if !targets.files.is_empty() {
        narrow.push(Entry {
            found: targets.files.clone(),
            ..without_hosts()
        });
    }
    Ok(narrow)
}

/// Returns the entries with only these hosts. A host that is in none of the entries gets the
/// settings of the first.
fn narrowed_to_places(
    entries: &[Entry],
    places: &[TargetAddress],
) -> Result<Vec<Entry>, TargetError> {
    let mut narrow: Vec<Entry> = Vec::new();
    for place in places {
        let fits = |e: &&Entry| {
            // An entry without hostnames uses those of the certificate, which are not known yet.
            let is_any = e.hostnames.is_empty().then_some(&place.hostname);
            let mut hostnames = e.hostnames.iter().chain(is_any);
            hostnames.any(|h| fits(Some(place), h, &e.ports, e.protocol))
        };
        let mut fitting: Vec<&Entry> = entries.iter().filter(fits).collect();
        if fitting.is_empty() {
            fitting.extend(entries.first());
        }
        for entry in fitting {
            let mut one = Entry {
                hostnames: Vec::new(),
                mx: Vec::new(),
                srv: Vec::new(),
                ..entry.clone()
            };
            if !entry.hostnames.is_empty() && !entry.hostnames.contains(&place.hostname) {
                // The configured addresses belong to other hosts.
                one.addresses.clear();
            }
            if let Some(protocol) = place.protocol {
                one.protocol = protocol;
                one.ports = vec![protocol.default_port()];
            }
            if let Some(port) = place.port {
                one.ports = vec![port];
            }
            set_scope(&mut one, scope_of(place)?);
            // Each entry costs a source request, so entries that differ only in hostnames are
            // merged.
            let alike = |e: &&mut Entry| {
                let (ours, others) = (&one, &**e);
                let empty = Vec::new();
                *ours
                    == Entry {
                        hostnames: empty,
                        ..others.clone()
                    }
            };
            match narrow.iter_mut().find(alike) {
                Some(entry) if entry.hostnames.contains(&place.hostname) => {}
                Some(entry) => entry.hostnames.push(place.hostname.clone()),
                None => {
                    one.hostnames.push(place.hostname.clone());
                    narrow.push(one);
                }
            }
        }
    }
    Ok(narrow)
}
