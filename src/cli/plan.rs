//! Builds the inventory from flags and files: expected certificates and their servers.

mod include;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::config::{
    Entry, FoundPlace, Inventory, ReachSettings, SourceSettings, parse_mail_domain,
};
use crate::model::{
    Hostname, Protocol, RevocationCheck, Service, Target, TargetAddress, parse_port,
};
use crate::probe::{Prober, Reaches};
use crate::resolve::Resolver;
use crate::revocation::Revocations;
use crate::scan::{Permits, ProbeOptions, Scanner, own_trust};
use crate::source::{Sources, TargetFiles};
use crate::trust;

use super::limits;

/// Maximum size of a configuration file, in bytes.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Reads and validates a configuration file and the files that it includes. The error has one line
/// for each problem.
pub(super) fn read_inventory(file: &Path) -> Result<Inventory, String> {
    let mut inventory = crate::config::parse(&read_text(file)?, file).map_err(|e| e.to_string())?;
    include::add_included(&mut inventory, file)?;
    for warning in crate::config::warnings(&inventory) {
        tracing::warn!("{}: {warning}", file.display());
    }
    Ok(inventory)
}

/// Reads an inventory and its files of targets. Returns an error if one of the files cannot be read.
pub(super) fn read_inventory_and_targets(file: &Path) -> Result<Inventory, String> {
    let mut inventory = read_inventory(file)?;
    let defaults = &inventory.defaults;
    let targets = TargetFiles::read(&inventory.file_sd, defaults, None, super::now());
    let errors = targets.errors();
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    inventory.certificates.extend(targets.entries().cloned());
    Ok(inventory)
}

/// Reads the text of a configuration file.
fn read_text(file: &Path) -> Result<String, String> {
    let wrong = |e: std::io::Error| format!("cannot read configuration {}: {e}", file.display());
    let mut bytes = Vec::new();
    // The metadata of a device or a pipe do not have its length.
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes))
        .map_err(wrong)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(format!(
            "cannot read configuration {}: larger than {MAX_CONFIG_BYTES} bytes",
            file.display()
        ));
    }
    String::from_utf8(bytes).map_err(|e| {
        format!(
            "cannot read configuration {}: byte {} is not UTF-8; save it as UTF-8",
            file.display(),
            e.utf8_error().valid_up_to() + 1
        )
    })
}

/// Creates the scanner of the local vantage. The limit of concurrent probes is reduced if there are
/// too few file descriptors.
pub(super) fn scanner(
    sources: Sources,
    resolver: Resolver,
    inventory: &Inventory,
    concurrency: usize,
) -> Result<Scanner, String> {
    let mut entries = inventory.certificates.iter();
    let asks_issuers = entries.any(|e| e.revocation >= RevocationCheck::Crl);
    let concurrency = limits::concurrency_of_check(concurrency, asks_issuers);
    Ok(Scanner {
        revocations: Arc::new(Revocations::new(sources.http_for_others())),
        sources: Arc::new(sources),
        resolver: Arc::new(resolver),
        prober: Arc::new(Prober::new().map_err(|e| e.to_string())?),
        local: true,
        remotes: Arc::default(),
        permits: Arc::new(Permits::new(concurrency, inventory.defaults.per_address)),
    })
}

/// Returns how the inventory's targets are probed and judged.
pub(super) fn options(inventory: &Inventory) -> Result<ProbeOptions, String> {
    Ok(ProbeOptions {
        timeout: inventory.defaults.timeout,
        trust: Arc::new(trust::load(&inventory.trust).map_err(|e| e.to_string())?),
        reaches: Arc::new(
            Reaches::load(inventory.certificates.iter().map(|entry| &entry.reach))
                .map_err(|e| e.to_string())?,
        ),
        own_trust: own_trust(inventory)?,
    })
}

/// Waits until the user interrupts: SIGINT or SIGTERM.
pub(super) async fn stop() {
    let interrupted = async {
        // Without a handler for Ctrl-C, there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Expected certificate according to the flags.
#[derive(Debug)]
pub(super) enum Wanted {
    Pem(Vec<PathBuf>),
    Fingerprints(Vec<Fingerprint>),
    PublicKey(PublicKeyHash),
    Sslmate(String),
    Download(String),
    TrustOnly,
}

impl Wanted {
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
pub(super) fn entries(
    wanted: &Wanted,
    targets: &Targets,
    protocol: Protocol,
) -> Result<Vec<Entry>, String> {
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
        return Err("no target; give a TARGET (host, host:port, a URL such as https:// or smtp://, mx:DOMAIN, srv:_service._tcp.DOMAIN, or file:///PATH), or --sslmate, --cert or --config".into());
    }
    let mut entries: Vec<Entry> = Vec::new();
    // There may be tens of thousands of targets.
    let mut seen = HashSet::new();
    let mut by_port: HashMap<(u16, Protocol, u32), usize> = HashMap::new();
    for place in places {
        let protocol = place.protocol.unwrap_or(protocol);
        let port = place.port.unwrap_or(protocol.default_port());
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
        entry.reach.scope_id = scope;
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

/// Adds trust-only entries for the targets that are in no entry yet, with the defaults of the
/// inventory.
pub(super) fn add_trust_only(inventory: &mut Inventory, targets: &Targets) -> Result<(), String> {
    if targets.is_empty() {
        return Ok(());
    }
    let mut added: Vec<Entry> = Vec::new();
    // Position of the entry of a host, whose ports are one certificate.
    let mut by_host: HashMap<(Hostname, Protocol, u32), usize> = HashMap::new();
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
pub(super) fn entries_of_files(wanted: &Wanted, files: &[FoundPlace]) -> Vec<Entry> {
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

/// Reports the zones of link-local addresses, which no row of a result has.
pub(super) fn report_zones(places: &[TargetAddress]) {
    for place in places {
        if let Some(zone) = &place.zone
            && scope_of(place).is_ok()
        {
            super::output::note(&format!(
                "`{}` is probed in the zone `{zone}`",
                place.hostname
            ));
        }
    }
}

/// Returns the index of the network interface that is the zone of a link-local address; 0 if the
/// target has none.
fn scope_of(place: &TargetAddress) -> Result<u32, String> {
    let Some(zone) = &place.zone else {
        return Ok(0);
    };
    match zone.parse() {
        Ok(index) if index > 0 => Ok(index),
        _ => interface_index(zone).ok_or_else(|| {
            format!(
                "`{}%{zone}`: this machine has no network interface `{zone}`, which is the zone of the address; write one that `ip link` lists",
                place.hostname
            )
        }),
    }
}

#[cfg(target_os = "linux")]
fn interface_index(name: &str) -> Option<u32> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).ok()?;
    rustix::net::netdevice::name_to_index(&socket, name).ok()
}

#[cfg(not(target_os = "linux"))]
fn interface_index(_name: &str) -> Option<u32> {
    None
}

/// Returns the entries for one certificate of the account. They are the configured entries for this
/// certificate, otherwise those for the whole account, otherwise one with the default settings.
pub(super) fn entries_of(
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
pub(super) fn narrowed(entries: &[Entry], targets: &Targets) -> Result<Vec<Entry>, String> {
    let Targets {
        places,
        mail,
        services,
        xmpp,
        files,
    } = targets;
    if targets.is_empty() {
        return Ok(entries.to_vec());
    }
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
            one.reach.scope_id = scope_of(place)?;
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
    for Mail { domain, port } in mail {
        narrow.extend(entries.first().map(|entry| Entry {
            hostnames: Vec::new(),
            mx: vec![domain.clone()],
            addresses: Vec::new(),
            ports: vec![*port],
            protocol: Protocol::Smtp,
            ..entry.clone()
        }));
    }
    for service in services {
        narrow.extend(entries.first().map(|entry| Entry {
            hostnames: Vec::new(),
            mx: Vec::new(),
            srv: vec![service.clone()],
            addresses: Vec::new(),
            ..entry.clone()
        }));
    }
    for domain in xmpp {
        narrow.extend(entries.first().map(|entry| domain.entry(entry.clone())));
    }
    if !files.is_empty() {
        narrow.extend(entries.first().map(|entry| Entry {
            hostnames: Vec::new(),
            mx: Vec::new(),
            srv: Vec::new(),
            found: files.clone(),
            ..entry.clone()
        }));
    }
    Ok(narrow)
}

/// Prefix of a target that is a service.
const SRV_PREFIX: &str = "srv:";

/// Targets of the command line, by their forms.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Hosts.
    pub(super) places: Vec<TargetAddress>,
    /// Domains whose mail servers are probed.
    mail: Vec<Mail>,
    /// Services whose SRV records name the hosts.
    services: Vec<Service>,
    /// XMPP domains whose servers are probed.
    xmpp: Vec<Xmpp>,
    /// Certificate files.
    files: Vec<FoundPlace>,
}

impl Targets {
    /// Adds a target. With `has_xmpp_domain`, a flag has the domain, and an XMPP target is the host.
    ///
    /// # Errors
    /// If the text is none.
    pub(super) fn add(&mut self, text: &str, has_xmpp_domain: bool) -> Result<(), String> {
        if let Some(mail) = Mail::parse(text) {
            self.mail.push(mail?);
        } else if let Some(service) = service_of(text) {
            self.services
                .push(service.parse::<Service>().map_err(|e| e.to_string())?);
        } else if let Some(domain) = Xmpp::parse(text).filter(|_| !has_xmpp_domain) {
            self.xmpp.push(domain);
        } else if let Some(file) = parse_file_url(text) {
            let file = FoundPlace::file(file?, &[]);
            if !self.files.contains(&file) {
                self.files.push(file);
            }
        } else {
            self.places
                .push(text.parse::<TargetAddress>().map_err(|e| e.to_string())?);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.places.is_empty()
            && self.mail.is_empty()
            && self.services.is_empty()
            && self.xmpp.is_empty()
            && self.files.is_empty()
    }
}

/// Returns the service of `srv:_service._proto.DOMAIN`. Returns `None` for any other target, such as
/// a port of a host named `srv`.
fn service_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(SRV_PREFIX)?;
    let is_port = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    (!is_port && !rest.starts_with('/')).then_some(rest)
}

/// Parses `file:///PATH` and `file:/PATH`, with percent-encoding (RFC 8089). Returns `None` for any
/// other target.
fn parse_file_url(text: &str) -> Option<Result<PathBuf, String>> {
    let scheme = text.get(..5).filter(|s| s.eq_ignore_ascii_case("file:"))?;
    let rest = text.strip_prefix(scheme)?;
    let path = match rest.strip_prefix("//") {
        None => rest.starts_with('/').then_some(rest)?,
        Some(rest) => match rest.strip_prefix("localhost").unwrap_or(rest) {
            path if path.starts_with('/') => path,
            _ => {
                return Some(Err(format!(
                    "`{text}` names a host; write file:///PATH with an absolute path"
                )));
            }
        },
    };
    if let Some(character) = path.chars().find(|c| matches!(c, '?' | '#')) {
        return Some(Err(format!(
            "`{text}`: a file URL has no `{character}`; write %{:02X} for one in the path",
            u32::from(character)
        )));
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return Some(Err(format!("`{text}`: a path cannot contain a zero byte")));
    }
    Some(path_of_bytes(bytes).map_err(|()| format!("`{text}`: the path is not UTF-8")))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "paths are text on other systems")]
fn path_of_bytes(bytes: Vec<u8>) -> Result<PathBuf, ()> {
    let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    Ok(path.into())
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> Result<PathBuf, ()> {
    String::from_utf8(bytes).map(PathBuf::from).map_err(drop)
}

/// A target that means the mail servers of a domain.
#[derive(Debug)]
pub(super) struct Mail {
    domain: Hostname,
    port: u16,
}

impl Mail {
    /// Parses `mx:DOMAIN[:PORT]`. Returns `None` for any other target, such as a port of a host
    /// named `mx`.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = text.strip_prefix("mx:")?;
        if rest.is_empty() {
            return Some(Err("`mx:` has no domain; write mx:example.com".into()));
        }
        if rest.starts_with('/') || rest.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (domain, port) = match rest.rsplit_once(':') {
            Some((domain, port)) => (domain, parse_port(port)),
            None => (rest, Ok(Protocol::Smtp.default_port())),
        };
        Some(parse_mail_domain(domain).and_then(|domain| {
            Ok(Self {
                domain,
                port: port.map_err(|e| e.to_string())?,
            })
        }))
    }
}

/// A target that means the servers of an XMPP domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Xmpp {
    domain: Hostname,
    protocol: Protocol,
}

impl Xmpp {
    /// Parses `xmpp:DOMAIN` or `xmpp-server:DOMAIN`, with or without `//`. Returns `None` for any
    /// other target, such as a host with its port, or an address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "xmpp" => Protocol::Xmpp,
            "xmpp-server" => Protocol::XmppServer,
            _ => return None,
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        // A number is the port of a host with the name of the scheme.
        match rest.strip_suffix('/').unwrap_or(rest).parse().ok()? {
            Hostname::Ip(_) => None,
            domain => Some(Self { domain, protocol }),
        }
    }

    /// Returns an entry with this domain in place of its hosts.
    fn entry(&self, entry: Entry) -> Entry {
        Entry {
            hostnames: vec![self.domain.clone()],
            mx: Vec::new(),
            srv: Vec::new(),
            addresses: Vec::new(),
            ports: vec![self.protocol.default_port()],
            protocol: self.protocol,
            finds_xmpp_hosts: true,
            reach: ReachSettings {
                xmpp_domain: Some(self.domain.clone()),
                ..entry.reach
            },
            ..entry
        }
    }
}

/// Part of the inventory that the targets select: certificates by name, or places.
#[derive(Debug)]
pub(super) struct Selection {
    wanted: Vec<(String, Option<TargetAddress>)>,
}

impl Selection {
    /// Parses the targets. Each may be the name of a certificate or a place.
    pub(super) fn new(targets: &[String]) -> Self {
        // A file is selected by its path.
        let read = |text: &String| match parse_file_url(text) {
            Some(Ok(path)) => (path.display().to_string(), None),
            _ => (text.clone(), text.parse().ok()),
        };
        Self {
            wanted: targets.iter().map(read).collect(),
        }
    }

    /// Returns true if there are no targets, which selects the whole inventory.
    pub(super) fn is_everything(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Returns true if the entry's source must be fetched. It must be if the hosts are not known
    /// yet.
    pub(super) fn may_want(&self, entry: &Entry) -> bool {
        let unknown = entry.name.is_none() || entry.hostnames.is_empty();
        self.is_everything()
            || unknown
            || self.wanted.iter().any(|(text, place)| {
                entry.name.as_deref() == Some(text)
                    || entry
                        .hostnames
                        .iter()
                        .any(|h| fits(place.as_ref(), h, &entry.ports, entry.protocol))
            })
    }

    /// Returns true if a target is selected.
    pub(super) fn wants(&self, target: &Target) -> bool {
        self.is_everything() || self.wanted.iter().any(|wanted| names(wanted, target))
    }

    /// Returns the first selection that matches none of the targets.
    pub(super) fn not_found<'a>(
        &self,
        targets: impl Iterator<Item = &'a Target> + Clone,
    ) -> Option<&str> {
        let missing =
            |wanted: &&(String, Option<TargetAddress>)| !targets.clone().any(|t| names(wanted, t));
        self.wanted
            .iter()
            .find(missing)
            .map(|(text, _)| text.as_str())
    }
}

fn names((text, place): &(String, Option<TargetAddress>), target: &Target) -> bool {
    target.certificate == *text
        || target.is_file() && target.hostname.to_string() == *text
        || fits(
            place.as_ref(),
            &target.hostname,
            &[target.port],
            target.protocol,
        )
}

/// Returns true if the place matches. Any protocol matches, except that a QUIC place matches QUIC
/// only.
fn fits(
    place: Option<&TargetAddress>,
    hostname: &Hostname,
    ports: &[u16],
    protocol: Protocol,
) -> bool {
    place.is_some_and(|p| {
        p.hostname == *hostname
            && p.port.is_none_or(|port| ports.contains(&port))
            && (!p.protocol.is_some_and(Protocol::is_quic) || protocol.is_quic())
    })
}

/// Parses a comma-separated list of vantage names.
pub(super) fn vantage_names(text: &str) -> Result<BTreeSet<String>, String> {
    let names: BTreeSet<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!(
            "`{text}` has an empty vantage name; write a comma-separated list such as local,sslmate"
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_decoded() {
        let read = |text: &str| parse_file_url(text).map(|p| p.map(|p| p.display().to_string()));
        for (text, path) in [
            ("file:///etc/a.pem", "/etc/a.pem"),
            ("FILE:/etc/a.pem", "/etc/a.pem"),
            ("file://localhost/etc/a%20b%23.pem", "/etc/a b#.pem"),
        ] {
            assert_eq!(read(text), Some(Ok(path.to_owned())), "{text}");
        }
        for text in [
            "file://etc/a.pem",
            "file:///a?b",
            "file:///a#b",
            "file:///a%00",
        ] {
            assert!(read(text).unwrap().is_err(), "{text}");
        }
        for text in ["file:443", "file", "files:///a", "/etc/a.pem"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn xmpp_domain_is_a_target_without_a_port() {
        let read = |text| Xmpp::parse(text).map(|x| (x.domain.to_string(), x.protocol));
        let of = |protocol| Some(("bar.example".to_owned(), protocol));
        assert_eq!(read("xmpp:Bar.example"), of(Protocol::Xmpp));
        assert_eq!(read("XMPP://bar.example/"), of(Protocol::Xmpp));
        assert_eq!(read("xmpp-server:bar.example"), of(Protocol::XmppServer));
        for other in [
            "xmpp:5222",
            "xmpp://bar.example:5222",
            "xmpp://192.0.2.1",
            "xmpp:a@bar.example",
            "xmpps://bar.example",
            "bar.example",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn mx_target_is_distinguished_from_a_host() {
        let read =
            |text: &str| Mail::parse(text).map(|m| m.map(|m| (m.domain.to_string(), m.port)));
        assert_eq!(read("mx:example.com"), Some(Ok(("example.com".into(), 25))));
        assert_eq!(
            read("mx:example.com:26"),
            Some(Ok(("example.com".into(), 26)))
        );
        assert_eq!(read("mx:25"), None);
        assert_eq!(read("mx.example.com"), None);
        for wrong in [
            "mx:192.0.2.1",
            "mx:",
            "mx:example.com:x",
            "mx:*.example.com",
        ] {
            assert!(read(wrong).is_none_or(|r| r.is_err()), "{wrong}");
        }
    }
}
