//! Conversion of the YAML tree to the inventory, key by key.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use yaml_config::{ConfigErrors, Fields, Item, Problems, with_root};

use crate::guard::Allowed;
use crate::model::{
    Families, Family, KeyTypes, Protocol, RevocationCheck, Threshold, Thresholds, parse_port,
};

use super::annotations::{accept, labels};
use crate::tlsa::DaneCheck;

use super::values::{
    base_url, count, duration, non_empty, one_of, parse_name_server, user_name, vantage_name,
};
use super::{
    Defaults, Include, Included, Inventory, Module, ProbeSettings, SslmateLogin, SslmateSettings,
    TrustSettings, VantageKind, VantageSettings,
};

/// API of SSLMate's sandbox.
const SANDBOX_ENDPOINT: &str = "https://sandbox.sslmate.com/api/v2";

/// Reads a configuration text. It accesses nothing outside the text. `file` is the name in errors
/// and the base of relative paths.
///
/// # Errors
/// All problems, each with its line and key.
pub fn parse(text: &str, file: &Path) -> Result<Inventory, ConfigErrors> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    with_root(text, file, |root, problems| {
        Reader { folder }.inventory(&root, problems)
    })?
    .ok_or_else(|| ConfigErrors::empty(file, "certificates"))
}

/// Reads the text of an included file: `certificates` and `include`. Otherwise as [`parse`].
///
/// # Errors
/// All problems, each with its line and key.
pub fn parse_included(
    text: &str,
    file: &Path,
    defaults: &Defaults,
) -> Result<Included, ConfigErrors> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let read = with_root(text, file, |root, problems| {
        let reader = Reader { folder };
        let mut fields = root.fields(problems);
        let include = reader.patterns(&mut fields, "include", problems);
        let certificates = fields.take("certificates");
        let certificates = certificates.map(|item| reader.certificates(&item, defaults, problems));
        fields.finish(problems);
        Included {
            certificates: certificates.unwrap_or_default(),
            include,
        }
    })?;
    Ok(read.unwrap_or_default())
}

/// Reads the address families to probe, if they are configured.
pub(super) fn families(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Families> {
    let item = fields.take("families")?;
    let items = item.some_or_one(problems, "the list is empty; add ipv4, ipv6 or both");
    Families::listed(&each(&items, problems, Family::from_str))
}

pub(super) struct Reader<'a> {
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
        inventory.families = families(&mut fields, problems).unwrap_or_default();
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
        inventory.include = self.patterns(&mut fields, "include", problems);
        inventory.file_sd = self.patterns(&mut fields, "file_sd", problems);
        match fields.take("certificates") {
            Some(item) => {
                inventory.certificates = self.certificates(&item, &inventory.defaults, problems)
            }
            None if !inventory.include.is_empty() || !inventory.file_sd.is_empty() => {}
            None => problems.add(
                fields.line,
                "certificates",
                "the key is missing; list the certificates and the hosts that serve them",
            ),
        }
        fields.finish(problems);
        inventory
    }

    /// Reads the patterns of further files.
    fn patterns(
        &self,
        fields: &mut Fields<'_>,
        key: &'static str,
        problems: &mut Problems,
    ) -> Vec<Include> {
        let items = fields.list_or_one(key, problems);
        let include = items.iter().filter_map(|item| {
            let pattern = self.path(item, problems)?;
            let mut parts = pattern.iter().map(|part| part.to_string_lossy());
            let broken = parts.find_map(|part| glob::Pattern::new(&part).err());
            if let Some(error) = broken {
                problems.at(item, format!("invalid pattern: {}", error.msg));
                return None;
            }
            Some(Include {
                pattern,
                line: item.line,
            })
        });
        include.collect()
    }

    fn sslmate(&self, item: &Item<'_>, problems: &mut Problems) -> SslmateSettings {
        let mut fields = item.fields(problems);
        let endpoint = fields.take("endpoint");
        let sandbox = fields.bool("sandbox", problems).unwrap_or(false);
        let mut settings = SslmateSettings::default();
        if let Some(endpoint) = endpoint {
            if sandbox {
                problems.at(
                    &endpoint,
                    "`endpoint` and `sandbox` are both set; remove one",
                );
            }
            settings.endpoint = endpoint.parse(problems, base_url);
        } else if sandbox {
            settings.endpoint = Some(SANDBOX_ENDPOINT.into());
        }
        let key = fields.take("api_key_file");
        let username = fields.take("username");
        let password = fields.take("password_file");
        settings.api_key_file = key.as_ref().and_then(|i| self.path(i, problems));
        settings.login = match (&username, &password) {
            (Some(username), Some(password)) => {
                if key.is_some() {
                    problems.at(
                        username,
                        "`username` and `api_key_file` are both set; remove one",
                    );
                }
                // An account without a user name is an API key, and a colon ends the user name.
                let username = username.parse(problems, user_name);
                let password_file = self.path(password, problems);
                username
                    .zip(password_file)
                    .map(|(username, password_file)| SslmateLogin {
                        username,
                        password_file,
                    })
            }
            (Some(item), None) => {
                problems.at(
                    item,
                    "`password_file` is missing; name the file with the password",
                );
                None
            }
            (None, Some(item)) => {
                problems.at(
                    item,
                    "`username` is missing; add the user name of the account",
                );
                None
            }
            (None, None) => None,
        };
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
                    format!(
                        "`{name}` is also the name of the vantage in line {line}; change one name"
                    ),
                );
            }
            let kind = required(kind.as_ref(), &fields, "type", problems)
                .and_then(|i| i.parse(problems, |t| one_of(t, &["sslmate", "certvigil"])));
            let kind = match kind.as_deref() {
                Some("sslmate") => {
                    if let Some(url) = &url {
                        problems.at(url, "a vantage of type sslmate uses the account's endpoint; set `sslmate.endpoint` instead");
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
                modules.push(self.module(name.to_owned(), &item, problems));
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
        let ca_files = fields.list_or_one("ca_files", problems);
        let ca_files = ca_files.iter().filter_map(|i| self.path(i, problems));
        let ca_files = ca_files.collect();
        let reach = self.reach(&mut fields, problems);
        let families = families(&mut fields, problems);
        let warn = fields.read("warn", problems, Threshold::from_str);
        let crit = fields.read("crit", problems, Threshold::from_str);
        let dane = fields.read("dane", problems, DaneCheck::from_str);
        let accept = accept(&mut fields, problems);
        let protocol = protocol.unwrap_or_default();
        if let Err(what) = reach.suits(protocol) {
            problems.at(&fields.item(), what.to_string());
        }
        fields.finish(problems);
        Module {
            name,
            protocol,
            port,
            timeout,
            key_types,
            trust,
            ca_files,
            reach,
            families,
            warn,
            crit,
            dane,
            accept,
        }
    }

    /// Reads a path. Relative paths are relative to the directory of the configuration file.
    pub(super) fn path(&self, item: &Item<'_>, problems: &mut Problems) -> Option<PathBuf> {
        item.parse(problems, non_empty)
            .map(|text| self.folder.join(text))
    }
}

/// Reads the expiry thresholds, as [`Thresholds::with`] combines them with inherited ones.
pub(super) fn read_thresholds(
    fields: &mut Fields<'_>,
    warn: &mut Threshold,
    crit: &mut Threshold,
    problems: &mut Problems,
) {
    let of_crit = fields.take("crit");
    let inherited = Thresholds {
        warn: *warn,
        crit: *crit,
    };
    let set_warn = fields.read("warn", problems, Threshold::from_str);
    let set_crit = of_crit.as_ref();
    let set_crit = set_crit.and_then(|item| item.parse(problems, Threshold::from_str));
    match inherited.with(set_warn, set_crit) {
        Ok(thresholds) => (*warn, *crit) = (thresholds.warn, thresholds.crit),
        // Only a `crit` that is set can be an error.
        Err(error) => {
            if let Some(item) = of_crit {
                problems.at(&item, error.to_string());
            }
        }
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
    read_thresholds(&mut fields, &mut out.warn, &mut out.crit, problems);
    fields.read_into(&mut out.key_types, "key_type", problems, KeyTypes::from_str);
    fields.read_into(
        &mut out.revocation,
        "revocation",
        problems,
        RevocationCheck::from_str,
    );
    fields.read_into(&mut out.dane, "dane", problems, DaneCheck::from_str);
    out.labels = labels(&mut fields, problems);
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
        problems.at(&fields.item(), format!("`{name}` is missing"));
    }
    item
}

pub(super) fn each<T, E: std::fmt::Display>(
    items: &[Item<'_>],
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let mut values = Vec::with_capacity(items.len());
    values.extend(items.iter().filter_map(|item| item.parse(problems, &parse)));
    values
}
