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
    parse_duration, parse_port,
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
        if let Some(item) = fields.take("dns") {
            inventory.dns = each(&item.list_or_one(problems), problems, parse_name_server);
        }
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
        let sandbox = fields
            .take("sandbox")
            .and_then(|i| i.bool(problems))
            .unwrap_or(false);
        let mut settings = SslmateSettings::default();
        if let Some(endpoint) = endpoint {
            if sandbox {
                problems.add(
                    endpoint.line,
                    &endpoint.key,
                    "give either `endpoint` or `sandbox`",
                );
            }
            settings.endpoint = endpoint.parse(problems, base_url);
        } else if sandbox {
            settings.endpoint = Some(SANDBOX_ENDPOINT.into());
        }
        settings.api_key_file = fields
            .take("api_key_file")
            .and_then(|i| self.path(&i, problems));
        if let Some(every) = fields
            .take("refresh_interval")
            .and_then(|i| i.parse(problems, duration))
        {
            settings.refresh_interval = every;
        }
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
            let username = fields
                .take("username")
                .and_then(|i| i.parse(problems, non_empty));
            let password_file = fields
                .take("password_file")
                .and_then(|i| self.path(&i, problems));
            let name = required(name.as_ref(), &fields, "name", problems)
                .and_then(|i| i.parse(problems, vantage_name));
            if let Some(name) = &name
                && let Some(line) = lines.insert(name.clone(), item.line)
            {
                problems.add(
                    item.line,
                    &item.key,
                    format!("`{name}` is the name of the vantage in line {line} too"),
                );
            }
            let kind = required(kind.as_ref(), &fields, "type", problems)
                .and_then(|i| i.parse(problems, |t| one_of(t, &["sslmate", "certvigil"])));
            let kind = match kind.as_deref() {
                Some("sslmate") => {
                    if let Some(url) = &url {
                        problems.add(url.line, &url.key, "a vantage of type sslmate is the account's own: give `sslmate.endpoint` instead");
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
        let system = fields
            .take("system")
            .and_then(|i| i.bool(problems))
            .unwrap_or(true);
        let files = fields
            .take("ca_files")
            .map(|i| i.list_or_one(problems))
            .unwrap_or_default();
        let ca_files = files
            .iter()
            .filter_map(|i| self.path(i, problems))
            .collect();
        fields.finish(problems);
        TrustSettings { system, ca_files }
    }

    fn probe(&self, item: &Item<'_>, problems: &mut Problems) -> ProbeSettings {
        let mut fields = item.fields(problems);
        let allow = fields
            .take("allow")
            .map(|i| i.list_or_one(problems))
            .unwrap_or_default();
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
        let protocol = fields
            .take("protocol")
            .and_then(|i| i.parse(problems, Protocol::from_str));
        let port = fields
            .take("port")
            .and_then(|i| i.parse(problems, parse_port));
        let timeout = fields
            .take("timeout")
            .and_then(|i| i.parse(problems, duration));
        let key_types = fields
            .take("key_type")
            .and_then(|i| i.parse(problems, KeyTypes::from_str));
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
            problems.add(
                item.line,
                &item.key,
                "the list is empty: name at least one certificate",
            );
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
                problems.add(item.line, &item.key, format!("`{name}` is the name of the certificate in line {line} too: give one of them another `name`"));
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
        let mut entry = Entry::by(defaults, SourceSettings::TrustOnly);
        entry.name = fields
            .take("name")
            .and_then(|i| i.parse(problems, non_empty));
        if let Some(item) = fields.take("hostnames") {
            entry.hostnames = unique(each(
                &item.list_or_one(problems),
                problems,
                Hostname::from_str,
            ));
        }
        if let Some(item) = fields.take("mx") {
            entry.mx = unique(each(
                &item.list_or_one(problems),
                problems,
                parse_mail_domain,
            ));
        }
        if let Some(item) = fields.take("addresses") {
            entry.addresses = unique(each(&item.list_or_one(problems), problems, ip_address));
        }
        let protocol = fields
            .take("protocol")
            .and_then(|i| i.parse(problems, Protocol::from_str));
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
                problems.add(ports.line, &ports.key, "give either `port` or `ports`");
            }
            entry.ports = port.parse(problems, parse_port).into_iter().collect();
        } else if let Some(ports) = fields.take("ports") {
            let items = ports.list_or_one(problems);
            if ports.is_empty_list() {
                problems.add(
                    ports.line,
                    &ports.key,
                    "the list is empty: name at least one port",
                );
            }
            entry.ports = unique(each(&items, problems, parse_port));
        }
        if let Some(warn) = fields
            .take("warn")
            .and_then(|i| i.parse(problems, Threshold::from_str))
        {
            entry.warn = warn;
        }
        if let Some(crit) = fields
            .take("crit")
            .and_then(|i| i.parse(problems, Threshold::from_str))
        {
            entry.crit = crit;
        }
        if let Some(key_types) = fields
            .take("key_type")
            .and_then(|i| i.parse(problems, KeyTypes::from_str))
        {
            entry.key_types = key_types;
        }
        if let Some(check) = fields
            .take("revocation")
            .and_then(|i| i.parse(problems, RevocationCheck::from_str))
        {
            entry.revocation = check;
        }
        entry.reach = self.reach(&mut fields, problems);
        entry.dane = fields
            .take("dane")
            .and_then(|i| i.bool(problems))
            .unwrap_or(defaults.dane);
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
                problems.add(
                    alone.line,
                    &alone.key,
                    "a client's certificate and its key belong together: give `client_cert` and `client_key`",
                );
                None
            }
            (None, None) => None,
        };
        reach.proxy_protocol = fields
            .take("proxy_protocol")
            .and_then(|i| i.parse(problems, ProxyProtocol::from_str));
        if let Some(item) = fields.take("alpn") {
            reach.alpn = unique(each(&item.list_or_one(problems), problems, parse_alpn));
        }
        if let Some(sni) = fields
            .take("sni")
            .and_then(|i| i.parse(problems, Sni::from_str))
        {
            reach.sni = sni;
        }
        if let Some(item) = fields.take("source_address") {
            let addresses = each(&item.list_or_one(problems), problems, ip_address);
            if let Err(what) = one_of_each_family(&addresses) {
                problems.add(item.line, &item.key, what);
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
            problems.add(
                second.line,
                &second.key,
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
                let items = item.list_or_one(problems);
                if item.is_empty_list() {
                    problems.add(
                        item.line,
                        &item.key,
                        "the list is empty: name at least one file",
                    );
                }
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
                    problems.add(
                        item.line,
                        &item.key,
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
    let mut set = |name, into: &mut Duration| {
        if let Some(value) = fields.take(name).and_then(|i| i.parse(problems, duration)) {
            *into = value;
        }
    };
    set("interval", &mut out.interval);
    set("timeout", &mut out.timeout);
    set("grace", &mut out.grace);
    set("history", &mut out.history);
    if let Some(count) = fields
        .take("per_address")
        .and_then(|i| i.parse(problems, count))
    {
        out.per_address = count;
    }
    if let Some(port) = fields
        .take("port")
        .and_then(|i| i.parse(problems, parse_port))
    {
        out.port = port;
    }
    if let Some(warn) = fields
        .take("warn")
        .and_then(|i| i.parse(problems, Threshold::from_str))
    {
        out.warn = warn;
    }
    if let Some(crit) = fields
        .take("crit")
        .and_then(|i| i.parse(problems, Threshold::from_str))
    {
        out.crit = crit;
    }
    if let Some(key_types) = fields
        .take("key_type")
        .and_then(|i| i.parse(problems, KeyTypes::from_str))
    {
        out.key_types = key_types;
    }
    if let Some(check) = fields
        .take("revocation")
        .and_then(|i| i.parse(problems, RevocationCheck::from_str))
    {
        out.revocation = check;
    }
    if let Some(dane) = fields.take("dane").and_then(|i| i.bool(problems)) {
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
    let items = item.list_or_one(problems);
    if item.is_empty_list() {
        problems.add(
            item.line,
            &item.key,
            "the list is empty: name at least one SHA-256",
        );
    }
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
    match parse_duration(text) {
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
