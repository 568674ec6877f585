//! From the YAML tree to the inventory, key by key.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::guard::Allowed;
use crate::model::{
    Hostname, KeyTypes, Protocol, ProxyProtocol, RevocationCheck, Sni, Threshold, Vantage,
    parse_port,
};

use super::yaml::{ConfigErrors, Fields, Item, Problems, with_root};
use super::{
    DEFAULT_DNS_PORT, Defaults, Entry, Inventory, Module, ProbeSettings, ReachSettings,
    SourceSettings, SslmateSettings, TrustSettings, VantageKind, VantageSettings,
};

/// The API of SSLMate's sandbox.
const SANDBOX_ENDPOINT: &str = "https://sandbox.sslmate.com/api/v2";

/// Reads a configuration text. Nothing outside the text is looked at; `file` gives errors their name and
/// relative paths their folder.
///
/// # Errors
/// Everything that is wrong, each with its line and key.
pub fn parse(text: &str, file: &Path) -> Result<Inventory, ConfigErrors> {
    let folder = file.parent().unwrap_or(Path::new(""));
    with_root(text, file, |root, problems| {
        Reader { folder }.inventory(&root, problems)
    })?
    .ok_or_else(|| ConfigErrors::empty(file, "certificates"))
}

/// Reads `ADDR[:PORT]`, the address of a name server; the port is 53 where none is given.
pub fn parse_name_server(text: &str) -> Result<SocketAddr, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = inner.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_DNS_PORT));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err(format!(
            "`{text}` is not the address of a name server: write an IP address, with or without :port"
        )),
    }
}

struct Reader<'a> {
    folder: &'a Path,
}

impl Reader<'_> {
    fn inventory(&self, root: &Item<'_>, problems: &mut Problems) -> Inventory {
        let mut inventory = Inventory::default();
        let mut fields = root.fields(problems);
        inventory.sslmate = fields
            .take("sslmate")
            .map(|item| self.sslmate(&item, problems));
        if let Some(item) = fields.take("vantages") {
            inventory.vantages = self.vantages(&item, problems);
        }
        if let Some(item) = fields.take("trust") {
            inventory.trust = self.trust(&item, problems);
        }
        let dns = fields.list_or_one("dns", problems);
        inventory.dns = each(&dns, problems, parse_name_server);
        if let Some(item) = fields.take("probe") {
            inventory.probe = self.probe(&item, problems);
        }
        if let Some(item) = fields.take("webhook") {
            let mut webhook = item.fields(problems);
            inventory.webhook_secret_file = webhook
                .take("secret_file")
                .and_then(|i| self.path(&i, problems));
            webhook.finish(problems);
        }
        if let Some(item) = fields.take("defaults") {
            inventory.defaults = defaults(&item, problems);
        }
        match fields.take("certificates") {
            Some(item) => {
                inventory.certificates = self.certificates(&item, &inventory.defaults, problems)
            }
            None => problems.add(
                fields.line,
                "certificates",
                "the key is missing: list the certificates and where they are served",
            ),
        }
        fields.finish(problems);
        inventory
    }

    fn sslmate(&self, item: &Item<'_>, problems: &mut Problems) -> SslmateSettings {
        let mut fields = item.fields(problems);
        let endpoint = fields.take("endpoint");
        let sandbox = fields.bool("sandbox", problems).unwrap_or(false);
        let mut settings = SslmateSettings::default();
        if let Some(endpoint) = endpoint {
            if sandbox {
                problems.at(&endpoint, "give either `endpoint` or `sandbox`");
            }
            settings.endpoint = endpoint.parse(problems, base_url);
        } else if sandbox {
            settings.endpoint = Some(SANDBOX_ENDPOINT.into());
        }
        settings.api_key_file = fields
            .take("api_key_file")
            .and_then(|i| self.path(&i, problems));
        fields.read_into(
            &mut settings.refresh_interval,
            "refresh_interval",
            problems,
            duration,
        );
        fields.finish(problems);
        settings
    }

    fn vantages(&self, item: &Item<'_>, problems: &mut Problems) -> Vec<VantageSettings> {
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut vantages = Vec::new();
        for item in item.list(problems) {
            let mut fields = item.fields(problems);
            let name = fields.take("name");
            let kind = fields.take("type");
            let url = fields.take("url");
            let username = fields.read("username", problems, non_empty);
            let password_file = fields
                .take("password_file")
                .and_then(|i| self.path(&i, problems));
            let name = required(name.as_ref(), &fields, "name", problems)
                .and_then(|i| i.parse(problems, vantage_name));
            if let Some(name) = &name
                && let Some(line) = lines.insert(name.clone(), item.line)
            {
                problems.at(
                    &item,
                    format!("`{name}` is the name of the vantage in line {line} too"),
                );
            }
            let kind = required(kind.as_ref(), &fields, "type", problems)
                .and_then(|i| i.parse(problems, |t| one_of(t, &["sslmate", "certvigil"])));
            let kind = match kind.as_deref() {
                Some("sslmate") => {
                    if let Some(url) = &url {
                        problems.at(url, "a vantage of type sslmate is the account's own: give `sslmate.endpoint` instead");
                    }
                    Some(VantageKind::Sslmate)
                }
                Some(_) => required(url.as_ref(), &fields, "url", problems)
                    .and_then(|i| i.parse(problems, base_url))
                    .map(|url| VantageKind::Certvigil {
                        url,
                        username,
                        password_file,
                    }),
                None => None,
            };
            fields.finish(problems);
            if let (Some(name), Some(kind)) = (name, kind) {
                vantages.push(VantageSettings { name, kind });
            }
        }
        vantages
    }

    fn trust(&self, item: &Item<'_>, problems: &mut Problems) -> TrustSettings {
        let mut fields = item.fields(problems);
        let system = fields.bool("system", problems).unwrap_or(true);
        let files = fields.list_or_one("ca_files", problems);
        let ca_files = files
            .iter()
            .filter_map(|i| self.path(i, problems))
            .collect();
        fields.finish(problems);
        TrustSettings { system, ca_files }
    }

    fn probe(&self, item: &Item<'_>, problems: &mut Problems) -> ProbeSettings {
        let mut fields = item.fields(problems);
        let allow = fields.list_or_one("allow", problems);
        let mut modules = Vec::new();
        if let Some(item) = fields.take("modules") {
            for (name, item) in item.fields(problems).rest() {
                modules.push(self.module(name, &item, problems));
            }
        }
        fields.finish(problems);
        ProbeSettings {
            allow: each(&allow, problems, Allowed::from_str),
            modules,
        }
    }

    fn module(&self, name: String, item: &Item<'_>, problems: &mut Problems) -> Module {
        let mut fields = item.fields(problems);
        let protocol = fields.read("protocol", problems, Protocol::from_str);
        let port = fields.read("port", problems, parse_port);
        let timeout = fields.read("timeout", problems, duration);
        let key_types = fields.read("key_type", problems, KeyTypes::from_str);
        let trust = fields.take("trust").map(|i| self.trust(&i, problems));
        fields.finish(problems);
        Module {
            name,
            protocol: protocol.unwrap_or_default(),
            port,
            timeout,
            key_types,
            trust,
        }
    }

    fn certificates(
        &self,
        item: &Item<'_>,
        defaults: &Defaults,
        problems: &mut Problems,
    ) -> Vec<Entry> {
        let items = item.list(problems);
        if item.is_empty_list() {
            problems.at(item, "the list is empty: name at least one certificate");
        }
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut entries = Vec::new();
        for item in items {
            let Some(entry) = self.entry(&item, defaults, problems) else {
                continue;
            };
            let name = entry.name.clone().or_else(|| match &entry.source {
                SourceSettings::Sslmate(cn) => Some(cn.clone()),
                _ => None,
            });
            if let Some(name) = name
                && let Some(line) = lines.insert(name.clone(), item.line)
            {
                problems.at(&item, format!("`{name}` is the name of the certificate in line {line} too: give one of them another `name`"));
            }
            entries.push(entry);
        }
        entries
    }

    fn entry(
        &self,
        item: &Item<'_>,
        defaults: &Defaults,
        problems: &mut Problems,
    ) -> Option<Entry> {
        let mut fields = item.fields(problems);
        let source = self.source(&mut fields, problems);
        let mut entry = Entry::new(SourceSettings::TrustOnly);
        entry.warn = defaults.warn;
        entry.crit = defaults.crit;
        entry.key_types = defaults.key_types;
        entry.revocation = defaults.revocation;
        entry.ports = vec![defaults.port];
        entry.name = fields.read("name", problems, non_empty);
        let hostnames = fields.list_or_one("hostnames", problems);
        entry.hostnames = unique(each(&hostnames, problems, Hostname::from_str));
        let mx = fields.list_or_one("mx", problems);
        entry.mx = unique(each(&mx, problems, parse_mail_domain));
        let addresses = fields.list_or_one("addresses", problems);
        entry.addresses = unique(each(&addresses, problems, ip_address));
        let protocol = fields.read("protocol", problems, Protocol::from_str);
        let of_mail = (!entry.mx.is_empty()).then_some(Protocol::Smtp);
        if let Some(protocol) = protocol.or(of_mail) {
            entry.protocol = protocol;
            // The default is the port of what is meant where nothing is said.
            if protocol != Protocol::default() {
                entry.ports = vec![protocol.default_port()];
            }
        }
        if let Some(port) = fields.take("port") {
            if let Some(ports) = fields.take("ports") {
                problems.at(&ports, "give either `port` or `ports`");
            }
            entry.ports = port.parse(problems, parse_port).into_iter().collect();
        } else if let Some(ports) = fields.take("ports") {
            let items = ports.some_or_one(problems, "the list is empty: name at least one port");
            entry.ports = unique(each(&items, problems, parse_port));
        }
        fields.read_into(&mut entry.warn, "warn", problems, Threshold::from_str);
        fields.read_into(&mut entry.crit, "crit", problems, Threshold::from_str);
        fields.read_into(
            &mut entry.key_types,
            "key_type",
            problems,
            KeyTypes::from_str,
        );
        fields.read_into(
            &mut entry.revocation,
            "revocation",
            problems,
            RevocationCheck::from_str,
        );
        entry.reach = self.reach(&mut fields, problems);
        entry.dane = fields.bool("dane", problems).unwrap_or(defaults.dane);
        let (key, line) = (fields.key.clone(), fields.line);
        if let Err(what) = entry.reach.suits(entry.protocol) {
            problems.add(line, &key, what);
        }
        fields.finish(problems);

        entry.source = source?;
        let many = matches!(
            entry.source,
            SourceSettings::SslmateAll | SourceSettings::PemGlob(_)
        );
        if many
            && (entry.name.is_some()
                || !entry.hostnames.is_empty()
                || !entry.mx.is_empty()
                || !entry.addresses.is_empty())
        {
            problems.add(line, &key, "this stands for many certificates: `name`, `hostnames`, `mx` and `addresses` belong to one");
        }
        let nameless = matches!(
            entry.source,
            SourceSettings::Fingerprints(_)
                | SourceSettings::PublicKeys(_)
                | SourceSettings::TrustOnly
        );
        if nameless && entry.hostnames.is_empty() && entry.mx.is_empty() {
            problems.add(
                line,
                &key,
                "`hostnames` is missing: from here it is not known which hosts to look at",
            );
        }
        Some(entry)
    }

    /// What is particular about reaching the servers of an entry.
    fn reach(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> ReachSettings {
        let mut reach = ReachSettings::default();
        let certificate = fields.take("client_cert");
        let key = fields.take("client_key");
        reach.client = match (&certificate, &key) {
            (Some(certificate), Some(key)) => {
                let certificate = self.path(certificate, problems);
                certificate.zip(self.path(key, problems))
            }
            (Some(alone), None) | (None, Some(alone)) => {
                problems.at(alone, "a client's certificate and its key belong together: give `client_cert` and `client_key`",
                );
                None
            }
            (None, None) => None,
        };
        reach.proxy_protocol = fields.read("proxy_protocol", problems, ProxyProtocol::from_str);
        let alpn = fields.list_or_one("alpn", problems);
        reach.alpn = unique(each(&alpn, problems, parse_alpn));
        fields.read_into(&mut reach.sni, "sni", problems, Sni::from_str);
        if let Some(item) = fields.take("source_address") {
            let addresses = each(&item.list_or_one(problems), problems, ip_address);
            if let Err(what) = one_of_each_family(&addresses) {
                problems.at(&item, what);
            }
            reach.source_addresses = addresses;
        }
        reach
    }

    /// The one source of an entry.
    fn source(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<SourceSettings> {
        const SOURCES: [&str; 7] = [
            "sslmate",
            "download",
            "pem",
            "pem_dir",
            "sha256",
            "pubkey_sha256",
            "trust",
        ];
        let mut found: Vec<(&str, Item<'_>)> = Vec::new();
        for name in SOURCES {
            found.extend(fields.take(name).map(|item| (name, item)));
        }
        if let [_, (_, second), ..] = found.as_slice() {
            problems.at(
                second,
                "an entry has one source only: make two entries of it",
            );
        }
        let Some((name, item)) = found.into_iter().next() else {
            problems.add(
                fields.line,
                &fields.key,
                format!(
                    "it is not said what is expected: give one of {}",
                    SOURCES.join(", ")
                ),
            );
            return None;
        };
        match name {
            "sslmate" => item.parse(problems, |text| match text {
                "*" => Ok(SourceSettings::SslmateAll),
                cn => Ok(SourceSettings::Sslmate(non_empty(cn)?.to_ascii_lowercase())),
            }),
            "download" => item.parse(problems, base_url).map(SourceSettings::Download),
            "pem" => {
                let items = item.some_or_one(problems, "the list is empty: name at least one file");
                let files = items.iter().filter_map(|i| self.path(i, problems));
                let files: Vec<PathBuf> = files.collect();
                (!files.is_empty()).then_some(SourceSettings::Pem(files))
            }
            "pem_dir" => self
                .path(&item, problems)
                .map(|p| SourceSettings::PemGlob(p.to_string_lossy().into_owned())),
            "sha256" => pins(&item, problems).map(SourceSettings::Fingerprints),
            "pubkey_sha256" => pins(&item, problems).map(SourceSettings::PublicKeys),
            _ => {
                let trust = item.bool(problems)?;
                if !trust {
                    problems.at(
                        &item,
                        "`trust: true` says that trust is all that is expected; false says nothing",
                    );
                }
                Some(SourceSettings::TrustOnly)
            }
        }
    }

    /// A path; a relative one is of the configuration's folder.
    fn path(&self, item: &Item<'_>, problems: &mut Problems) -> Option<PathBuf> {
        item.parse(problems, non_empty)
            .map(|text| self.folder.join(text))
    }
}

fn defaults(item: &Item<'_>, problems: &mut Problems) -> Defaults {
    let mut out = Defaults::default();
    let mut fields = item.fields(problems);
    fields.read_into(&mut out.interval, "interval", problems, duration);
    fields.read_into(&mut out.timeout, "timeout", problems, duration);
    fields.read_into(&mut out.grace, "grace", problems, duration);
    fields.read_into(&mut out.history, "history", problems, duration);
    fields.read_into(&mut out.per_address, "per_address", problems, count);
    fields.read_into(&mut out.port, "port", problems, parse_port);
    fields.read_into(&mut out.warn, "warn", problems, Threshold::from_str);
    fields.read_into(&mut out.crit, "crit", problems, Threshold::from_str);
    fields.read_into(&mut out.key_types, "key_type", problems, KeyTypes::from_str);
    fields.read_into(
        &mut out.revocation,
        "revocation",
        problems,
        RevocationCheck::from_str,
    );
    if let Some(dane) = fields.bool("dane", problems) {
        out.dane = dane;
    }
    fields.finish(problems);
    out
}

fn required<'i, 'a>(
    item: Option<&'i Item<'a>>,
    fields: &Fields<'_>,
    name: &str,
    problems: &mut Problems,
) -> Option<&'i Item<'a>> {
    if item.is_none() {
        problems.add(fields.line, &fields.key, format!("`{name}` is missing"));
    }
    item
}

fn each<T>(
    items: &[Item<'_>],
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    items
        .iter()
        .filter_map(|item| item.parse(problems, &parse))
        .collect()
}

/// Each value once, where it came first.
fn unique<T: Clone + Eq + Hash>(mut values: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(values.len());
    values.retain(|value| seen.insert(value.clone()));
    values
}

fn pins<T: Ord + FromStr<Err = String>>(
    item: &Item<'_>,
    problems: &mut Problems,
) -> Option<BTreeSet<T>> {
    let items = item.some_or_one(problems, "the list is empty: name at least one SHA-256");
    let pins: BTreeSet<T> = each(&items, problems, T::from_str).into_iter().collect();
    (!pins.is_empty()).then_some(pins)
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("it is empty: give a value, or take the key out".into())
    } else {
        Ok(text.to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!(
            "`{text}` is not a span of time: write it as 10s, 5m or 1h"
        )),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("`{text}` is not a whole number from 1")),
    }
}

/// Reads the name of an application protocol (RFC 7301, section 3.1).
pub fn parse_alpn(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is not the name of an application protocol: write it as h2 or http/1.1"
        )),
    }
}

/// A connection comes from one address, of its own family.
pub fn one_of_each_family(addresses: &[IpAddr]) -> Result<(), String> {
    let of_v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
    if of_v4 > 1 || addresses.len() - of_v4 > 1 {
        return Err("give one address to connect from, or one of each family".into());
    }
    Ok(())
}

/// Reads a domain that has mail.
pub fn parse_mail_domain(text: &str) -> Result<Hostname, String> {
    match text.parse()? {
        Hostname::Ip(_) => Err(format!(
            "`{text}` is an address, which has no MX records: name a domain"
        )),
        domain => Ok(domain),
    }
}

fn ip_address(text: &str) -> Result<IpAddr, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    inner
        .parse()
        .map_err(|_| format!("`{text}` is not an IP address"))
}

fn base_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        // What cannot be read may hold some too, and is not shown.
        _ if text.contains('@') => Err("credentials do not belong into a URL in this file".into()),
        _ => Err(format!(
            "`{text}` is not a URL: write it with https:// and a host"
        )),
    }
}

fn vantage_name(text: &str) -> Result<String, String> {
    match text {
        Vantage::LOCAL => Err("`local` is the name of our own looks: take another".into()),
        other if other.contains(',') || other.trim().is_empty() => {
            Err("a name has no comma and is not empty".into())
        }
        other => Ok(other.to_owned()),
    }
}

fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is none of: {}", known.join(", ")))
    }
}
