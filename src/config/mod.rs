//! The inventory: which certificates are expected where, from a YAML file or from flags.

mod describe;
mod entry;
mod read;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::guard::Allowed;
use crate::model::{Families, Hostname, KeyTypes, Protocol, RevocationCheck, Threshold, Vantage};

pub use certvigil_probe::look::ReachSettings;
pub use certvigil_probe::trust::TrustSettings;
pub use describe::{describe, warnings};
pub use read::parse;
pub use values::{one_of_each_family, parse_alpn, parse_mail_domain, parse_name_server};
pub use yaml_config::{ConfigError, ConfigErrors};

/// The port of DNS (RFC 1035, section 4.2).
const DEFAULT_DNS_PORT: u16 = 53;

/// Everything that a configuration file says, checked. `Default` is the file that says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// The SSLMate account, where one is configured.
    pub sslmate: Option<SslmateSettings>,
    /// Further places to look from.
    pub vantages: Vec<VantageSettings>,
    /// Which roots are trusted.
    pub trust: TrustSettings,
    /// Name servers to ask; none means the system's.
    pub dns: Vec<SocketAddr>,
    /// The address families to probe.
    pub families: Families,
    /// What `/probe` and `/test` may look at beyond the inventory.
    pub probe: ProbeSettings,
    /// A file with the secret of the webhook.
    pub webhook_secret_file: Option<PathBuf>,
    /// What holds where an entry says nothing else.
    pub defaults: Defaults,
    /// The certificates, in the order of the file.
    pub certificates: Vec<Entry>,
}

impl Inventory {
    /// Makes SSLMate's `/test` a place to look from wherever there is an account.
    pub fn add_account_vantage(&mut self) {
        let is_named = |v: &VantageSettings| v.kind == VantageKind::Sslmate;
        if self.sslmate.is_some() && !self.vantages.iter().any(is_named) {
            self.vantages.push(VantageSettings {
                name: Vantage::SSLMATE.into(),
                kind: VantageKind::Sslmate,
            });
        }
    }
}

/// What holds where an entry says nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Between two looks at one endpoint, when monitoring.
    pub interval: Duration,
    /// The total for one look, name resolution included.
    pub timeout: Duration,
    /// Looks at a time at one IP address and port.
    pub per_address: usize,
    /// How long the previous instance is only a warning, when monitoring.
    pub grace: Duration,
    /// How long the history of what was served is kept, when monitoring.
    pub history: Duration,
    /// The port to look at.
    pub port: u16,
    /// When to warn of the end.
    pub warn: Threshold,
    /// When the end is critical.
    pub crit: Threshold,
    /// The kinds of keys to ask for.
    pub key_types: KeyTypes,
    /// How revocation is checked.
    pub revocation: RevocationCheck,
    /// Whether to judge by TLSA records too.
    pub dane: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5 * 60),
            timeout: Duration::from_secs(10),
            per_address: 4,
            grace: Duration::from_secs(30 * 60),
            history: Duration::from_secs(90 * 86_400),
            port: Protocol::default().default_port(),
            warn: Threshold::WARN,
            crit: Threshold::CRIT,
            key_types: KeyTypes::ANY,
            revocation: RevocationCheck::default(),
            dane: false,
        }
    }
}

/// What `/probe` and `/test` may look at beyond the inventory: nothing, unless it is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Host patterns and networks.
    pub allow: Vec<Allowed>,
    /// Named ways to look.
    pub modules: Vec<Module>,
}

/// A named way to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name in `module=`.
    pub name: String,
    /// How TLS is reached.
    pub protocol: Protocol,
    /// The port where the target has none.
    pub port: Option<u16>,
    /// The total for one look.
    pub timeout: Option<Duration>,
    /// The kinds of keys to ask for, where these are others than the inventory's.
    pub key_types: Option<KeyTypes>,
    /// Which roots are trusted, where these are others than the inventory's.
    pub trust: Option<TrustSettings>,
}

/// How to reach an SSLMate account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SslmateSettings {
    /// The API's base URL, without a final slash; `None` means the client's own configuration file or
    /// SSLMate's public service.
    pub endpoint: Option<String>,
    /// A file with the API key; without it the environment and the SSLMate client's own
    /// configuration are asked.
    pub api_key_file: Option<PathBuf>,
    /// How often the account is asked again, when monitoring.
    pub refresh_interval: Duration,
}

impl Default for SslmateSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            api_key_file: None,
            refresh_interval: Duration::from_secs(15 * 60),
        }
    }
}

/// A further place to look from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VantageSettings {
    /// Its name in results.
    pub name: String,
    /// How it is reached.
    pub kind: VantageKind,
}

/// How a further place to look from is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VantageKind {
    /// The configured SSLMate account's `/test`.
    Sslmate,
    /// Another certvigil's `/test`.
    Certvigil {
        /// The base URL of its API, without a final slash.
        url: String,
        /// The user name for HTTP Basic.
        username: Option<String>,
        /// A file with the password for HTTP Basic.
        password_file: Option<PathBuf>,
    },
}

/// One entry of `certificates`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name in results; `None` where the source gives it (a common name, a file's name).
    pub name: Option<String>,
    /// Where the expected instance comes from.
    pub source: SourceSettings,
    /// The hosts to look at; empty means the certificate's own names.
    pub hostnames: Vec<Hostname>,
    /// Domains whose mail hosts are looked at too.
    pub mx: Vec<Hostname>,
    /// Look at these addresses, whatever DNS says; empty means DNS.
    pub addresses: Vec<IpAddr>,
    /// The address families to probe, where they differ from the inventory's.
    pub families: Option<Families>,
    /// The ports to look at, at least one.
    pub ports: Vec<u16>,
    /// How TLS is reached.
    pub protocol: Protocol,
    /// The kinds of keys to ask for.
    pub key_types: KeyTypes,
    /// What is particular about reaching the servers.
    pub reach: ReachSettings,
    /// Whether to judge by TLSA records too (DANE).
    pub dane: bool,
    /// When to warn of the end.
    pub warn: Threshold,
    /// When the end is critical.
    pub crit: Threshold,
    /// How revocation is checked.
    pub revocation: RevocationCheck,
}

impl Entry {
    /// An entry that leaves everything but its source to the built-in defaults.
    pub fn new(source: SourceSettings) -> Self {
        Self::by(&Defaults::default(), source)
    }

    /// An entry that leaves everything but its source to these defaults.
    pub fn by(defaults: &Defaults, source: SourceSettings) -> Self {
        Self {
            name: None,
            source,
            hostnames: Vec::new(),
            mx: Vec::new(),
            addresses: Vec::new(),
            families: None,
            ports: vec![defaults.port],
            protocol: Protocol::default(),
            key_types: defaults.key_types,
            reach: ReachSettings::default(),
            dane: defaults.dane,
            warn: defaults.warn,
            crit: defaults.crit,
            revocation: defaults.revocation,
        }
    }
}

/// Where an expected instance comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettings {
    /// The active instance of this common name in the SSLMate account.
    Sslmate(String),
    /// Every certificate of the SSLMate account.
    SslmateAll,
    /// A certificate's `current_download` URL.
    Download(String),
    /// PEM files, each with a leaf, followed by its chain: any of these leaves is right. At least one.
    Pem(Vec<PathBuf>),
    /// A pattern of PEM files: one certificate a file.
    PemGlob(String),
    /// Fingerprints, any of which is right; at least one.
    Fingerprints(BTreeSet<Fingerprint>),
    /// Hashes of public keys, any of which is right; at least one.
    PublicKeys(BTreeSet<PublicKeyHash>),
    /// Valid, for the name, and trusted.
    TrustOnly,
}
