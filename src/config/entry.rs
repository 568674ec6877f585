//! Entries of the inventory: the expected certificate, its servers, and how to reach them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use yaml_config::{Fields, Item, Problems};

use crate::finding::EntryNotes;
use crate::instance::Pins;
use crate::model::{
    Hostname, KeyTypes, Protocol, ProxyProtocol, RevocationCheck, Service, Sni, parse_port,
};
use crate::probe::ClientFiles;

use super::annotations::{accept, labels};
use crate::tlsa::DaneCheck;

use super::read::{Reader, each, families, read_thresholds};
use super::values::{
    download_url, duration, ip_address, non_empty, one_of_each_family, parse_alpn, parse_domain,
    parse_ehlo, parse_mail_domain,
};
use super::{Defaults, Entry, ReachSettings, SourceSettings};

impl Reader<'_> {
    /// Reads the list of entries. Invalid entries are reported and left out.
    pub(super) fn certificates(
        &self,
        item: &Item<'_>,
        defaults: &Defaults,
        problems: &mut Problems,
    ) -> Vec<Entry> {
        let items = item.list(problems);
        if item.is_empty_list() {
            problems.at(item, "the list is empty; add at least one certificate");
        }
        let default = Entry::by(defaults, SourceSettings::TrustOnly);
        let mut entries = Vec::with_capacity(items.len());
        let mut named = Vec::with_capacity(items.len());
        for item in items {
            let Some(entry) = self.entry(&item, default.clone(), problems) else {
                continue;
            };
            let is_named =
                entry.name.is_some() || matches!(entry.source, SourceSettings::Sslmate(_));
            if is_named {
                named.push((entries.len(), item));
            }
            match is_for_one_certificate(&entry) {
                true => entries.push(entry),
                false => entries.extend(one_each(&entry)),
            }
        }
        check_names(&entries, &named, problems);
        entries
    }

    fn entry(&self, item: &Item<'_>, default: Entry, problems: &mut Problems) -> Option<Entry> {
        let mut fields = item.fields(problems);
        let source = self.source(&mut fields, problems);
        let mut entry = default;
        entry.name = fields.read("name", problems, non_empty);
        let hostnames = fields.list_or_one("hostnames", problems);
        entry.hostnames = unique(each(&hostnames, problems, Hostname::from_str));
        let mx = fields.list_or_one("mx", problems);
        entry.mx = unique(each(&mx, problems, parse_mail_domain));
        let srv = fields.list_or_one("srv", problems);
        entry.srv = unique(each(&srv, problems, Service::from_str));
        let files = fields.list_or_one("files", problems);
        let files = files.iter().filter_map(|item| self.path(item, problems));
        let files = files.map(|path| path.to_string_lossy().into_owned());
        entry.files = unique(files.collect());
        let addresses = fields.list_or_one("addresses", problems);
        entry.addresses = unique(each(&addresses, problems, ip_address));
        entry.families = families(&mut fields, problems);
        let protocol = fields.read("protocol", problems, Protocol::from_str);
        let of_mail = (!entry.mx.is_empty()).then_some(Protocol::Smtp);
        let is_configured = protocol.is_some();
        if let Some(protocol) = protocol.or(of_mail) {
            entry.protocol = protocol;
            // The name of a service implies its protocol, unless another one is configured.
            for service in entry.srv.iter_mut().filter(|_| is_configured) {
                service.protocol = protocol;
            }
            // Without a configured port, the protocol's port replaces the default.
            if protocol != Protocol::default() {
                entry.ports = vec![protocol.default_port()];
            }
        }
        if let Some(port) = fields.take("port") {
            if let Some(ports) = fields.take("ports") {
                problems.at(&ports, "`port` and `ports` are both set; remove one");
            }
            entry.ports = port.parse(problems, parse_port).into_iter().collect();
        } else if let Some(ports) = fields.take("ports") {
            let items = ports.some_or_one(problems, "the list is empty; add at least one port");
            entry.ports = unique(each(&items, problems, parse_port));
        }
        read_thresholds(&mut fields, &mut entry.warn, &mut entry.crit, problems);
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
        let reach = self.reach(&mut fields, problems);
        if reach != *entry.reach {
            entry.reach = Arc::new(reach);
        }
        entry.timeout = fields.read("timeout", problems, duration);
        entry.grace = fields.read("grace", problems, duration);
        let pem_password = fields.take("pem_password_file");
        if let Some(item) = &pem_password {
            let of_files = matches!(
                source,
                None | Some(SourceSettings::Pem(_) | SourceSettings::PemGlob(_))
            );
            if !of_files {
                let what = "`pem_password_file` is for `pem` and `pem_dir`; remove it";
                problems.at(item, what);
            }
            entry.pem_password = self.path(item, problems);
        }
        let ca_files = fields.list_or_one("ca_files", problems);
        let ca_files = ca_files.iter().filter_map(|i| self.path(i, problems));
        entry.ca_files = ca_files.collect();
        let own = EntryNotes {
            labels: labels(&mut fields, problems),
            accept: accept(&mut fields, problems),
            interval: fields.read("interval", problems, duration),
        };
        // Entries without notes of their own share those of the defaults.
        if own != EntryNotes::default() {
            let mut labels = entry.notes.labels.clone();
            labels.extend(own.labels);
            entry.notes = Arc::new(EntryNotes { labels, ..own });
        }
        let is_enabled = fields.bool("enabled", problems).unwrap_or(true);
        fields.read_into(&mut entry.dane, "dane", problems, DaneCheck::from_str);
        let mapping = fields.item();
        let protocols = entry.srv.iter().map(|service| service.protocol);
        for protocol in std::iter::once(entry.protocol).chain(protocols) {
            if let Err(what) = entry.reach.suits(protocol) {
                problems.at(&mapping, what.to_string());
                break;
            }
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
                || !entry.srv.is_empty()
                || !entry.files.is_empty()
                || !entry.addresses.is_empty())
        {
            problems.at(&mapping, "this entry matches many certificates; remove `name`, `hostnames`, `mx`, `srv`, `files` and `addresses`, which apply to a single one");
        }
        if !entry.files.is_empty()
            && (!entry.mx.is_empty() || !entry.srv.is_empty() || !entry.addresses.is_empty())
        {
            problems.at(&mapping, "`files` are probed instead of hosts; remove `mx`, `srv` and `addresses`, or write a second entry for them");
        }
        let nameless = matches!(
            entry.source,
            SourceSettings::Fingerprints(_)
                | SourceSettings::PublicKeys(_)
                | SourceSettings::TrustOnly
        );
        let has_place =
            !entry.hostnames.is_empty() || !entry.mx.is_empty() || !entry.srv.is_empty();
        let has_errors = !(hostnames.is_empty() && mx.is_empty() && srv.is_empty());
        if nameless && !has_place && !has_errors && entry.files.is_empty() {
            problems.at(
                &mapping,
                "`hostnames` is missing; this source has no host names, so add them",
            );
        }
        is_enabled.then_some(entry)
    }

    /// Reads the settings for reaching the servers of an entry.
    pub(super) fn reach(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> ReachSettings {
        let mut reach = ReachSettings::default();
        let certificate = fields.take("client_cert");
        let key = fields.take("client_key");
        let password = fields.take("client_cert_password_file");
        if let (Some(password), None) = (&password, &certificate) {
            let what =
                "`client_cert_password_file` has no `client_cert`; add it, or remove the key";
            problems.at(password, what);
        }
        reach.client = match (&certificate, &key) {
            (Some(certificate), Some(key)) => {
                let certificate = self.path(certificate, problems);
                let password = password.and_then(|p| self.path(&p, problems));
                (certificate.zip(self.path(key, problems))).map(|(certificate, key)| ClientFiles {
                    certificate,
                    key,
                    password,
                })
            }
            (Some(alone), None) | (None, Some(alone)) => {
                problems.at(
                    alone,
                    "`client_cert` and `client_key` must be set together; add the missing one",
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
            if let Err(error) = one_of_each_family(&addresses) {
                problems.at(&item, error.to_string());
            }
            reach.source_addresses = addresses;
        }
        reach.ehlo = fields.read("ehlo", problems, parse_ehlo);
        reach.xmpp_domain = fields.read("xmpp_domain", problems, parse_domain);
        reach
    }

    /// Reads the one source of an entry.
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
                "an entry has exactly one source; split it into two entries",
            );
        }
        let Some((name, item)) = found.into_iter().next() else {
            // A merge key, which is an error of its own, may contain the source.
            if fields.has_merge_key() {
                return None;
            }
            problems.at(
                &fields.item(),
                format!(
                    "the source of the expected certificate is missing; add one of {}",
                    SOURCES.join(", ")
                ),
            );
            return None;
        };
        match name {
            "sslmate" => {
                let cn = item.parse(problems, non_empty)?;
                Some(match cn.as_str() {
                    "*" => SourceSettings::SslmateAll,
                    cn => SourceSettings::Sslmate(cn.to_ascii_lowercase()),
                })
            }
            "download" => item
                .parse(problems, download_url)
                .map(SourceSettings::Download),
            "pem" => {
                let items = item.some_or_one(problems, "the list is empty; add at least one file");
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
                        "`trust: false` has no meaning; write `trust: true` to accept any trusted certificate, or remove the key",
                    );
                }
                Some(SourceSettings::TrustOnly)
            }
        }
    }
}

/// Reports the entries whose names are those of earlier ones. Each is given with its index.
fn check_names(entries: &[Entry], named: &[(usize, Item<'_>)], problems: &mut Problems) {
    let mut lines: HashMap<&str, usize> = HashMap::with_capacity(named.len());
    for (at, item) in named {
        let name = entries.get(*at).and_then(|entry| match &entry.source {
            _ if entry.name.is_some() => entry.name.as_deref(),
            SourceSettings::Sslmate(cn) => Some(cn),
            _ => None,
        });
        if let Some(name) = name
            && let Some(line) = lines.insert(name, item.line)
        {
            problems.at(
                item,
                format!(
                    "`{name}` is also the name of the certificate in line {line}; change one `name`"
                ),
            );
        }
    }
}

/// Returns false for an entry without an expected certificate and without a name that has several
/// hosts: each of them has its own certificate.
fn is_for_one_certificate(entry: &Entry) -> bool {
    entry.source != SourceSettings::TrustOnly
        || entry.name.is_some()
        || entry.hostnames.len() + entry.mx.len() + entry.srv.len() <= 1
        || !entry.files.is_empty()
}

/// Splits an entry: each of its hosts has its own certificate.
fn one_each(entry: &Entry) -> Vec<Entry> {
    let without = Entry {
        hostnames: Vec::new(),
        mx: Vec::new(),
        srv: Vec::new(),
        ..entry.clone()
    };
    let hosts = entry.hostnames.iter().map(|host| Entry {
        hostnames: vec![host.clone()],
        ..without.clone()
    });
    let domains = entry.mx.iter().map(|domain| Entry {
        mx: vec![domain.clone()],
        ..without.clone()
    });
    let services = entry.srv.iter().map(|service| Entry {
        srv: vec![service.clone()],
        ..without.clone()
    });
    hosts.chain(domains).chain(services).collect()
}

/// Removes duplicates and keeps the first of each value.
fn unique<T: Clone + Eq + Hash>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < 2 {
        return values;
    }
    let mut seen = HashSet::with_capacity(values.len());
    values.retain(|value| seen.insert(value.clone()));
    values
}

fn pins<T: Ord + FromStr<Err: std::fmt::Display>>(
    item: &Item<'_>,
    problems: &mut Problems,
) -> Option<Pins<T>> {
    let items = item.some_or_one(problems, "the list is empty; add at least one SHA-256");
    let pins: Pins<T> = each(&items, problems, T::from_str).into_iter().collect();
    (!pins.is_empty()).then_some(pins)
}
