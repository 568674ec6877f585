//! Inventory: the certificates that are expected on each server, from a YAML file or from flags.

mod annotations;
mod describe;
mod entry;
mod file_sd;
mod read;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::finding::{Acceptance, EntryNotes};
use crate::guard::Allowed;
use crate::instance::Pins;
use crate::model::{
    Families, Hostname, KeyTypes, Protocol, RevocationCheck, Service, Threshold, Vantage,
};
use crate::tlsa::DaneCheck;

pub use certvigil_probe::probe::ReachSettings;
pub use certvigil_probe::trust::TrustSettings;
pub use describe::{describe, warnings};
pub use file_sd::{TargetFile, parse_targets};
pub use read::{parse, parse_included};
pub use values::{
    ValueError, one_of_each_family, parse_alpn, parse_domain, parse_ehlo, parse_mail_domain,
    parse_name_server,
};
pub use yaml_config::{ConfigError, ConfigErrors};

/// Settings of the entries that have none for reaching their servers.
static DEFAULT_REACH: LazyLock<Arc<ReachSettings>> = LazyLock::new(Arc::default);

/// The port of DNS (RFC 1035, section 4.2).
const DEFAULT_DNS_PORT: u16 = 53;

/// Validated content of a configuration file. `Default` is an empty file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// SSLMate account, if one is configured.
    pub sslmate: Option<SslmateSettings>,
    /// Remote vantages.
    pub vantages: Vec<VantageSettings>,
    /// Trusted roots.
    pub trust: TrustSettings,
    /// Name servers to query. If empty, those of the system.
    pub dns: Vec<SocketAddr>,
    /// Address families to probe.
    pub families: Families,
    /// Targets that `/probe` and `/test` may probe beyond the inventory.
    pub probe: ProbeSettings,
    /// Path to the file with the secret of the webhook.
    pub webhook_secret_file: Option<PathBuf>,
    /// Defaults for settings that an entry does not have.
    pub defaults: Defaults,
    /// Certificates, in the order of the file.
    pub certificates: Vec<Entry>,
    /// Further files with certificates.
    pub include: Vec<Include>,
    /// Files of targets in Prometheus' format.
    pub file_sd: Vec<Include>,
}

/// Item of `include` or `file_sd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Path or glob pattern.
    pub pattern: PathBuf,
    /// Line of the item, starting at 1.
    pub line: usize,
}

/// Content of an included file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Included {
    /// Certificates, in the order of the file.
    pub certificates: Vec<Entry>,
    /// Further files with certificates.
    pub include: Vec<Include>,
}

impl Inventory {
    /// Adds SSLMate's `/test` as a vantage if an account is configured.
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

/// Defaults for settings that an entry does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Interval between two probes of one endpoint, when monitoring.
    pub interval: Duration,
    /// Maximum duration of one probe, including name resolution.
    pub timeout: Duration,
    /// Maximum concurrent probes of one IP address and port.
    pub per_address: usize,
    /// Period in which the previous instance is only a warning, when monitoring.
    pub grace: Duration,
    /// Retention of the history, when monitoring.
    pub history: Duration,
    /// Port to probe.
    pub port: u16,
    /// Threshold of the expiry warning.
    pub warn: Threshold,
    /// Threshold from which expiry is critical.
    pub crit: Threshold,
    /// Key types to request.
    pub key_types: KeyTypes,
    /// Revocation check.
    pub revocation: RevocationCheck,
    /// Check of TLSA records.
    pub dane: DaneCheck,
    /// Labels of every entry.
    pub labels: BTreeMap<String, String>,
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
            dane: DaneCheck::Off,
            labels: BTreeMap::new(),
        }
    }
}

/// Targets that `/probe` and `/test` may probe beyond the inventory. By default, there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeSettings {
    /// Host patterns and networks.
    pub allow: Vec<Allowed>,
    /// Named probe settings.
    pub modules: Vec<Module>,
}

/// Named probe settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Name in `module=`.
    pub name: String,
    /// Protocol through which TLS is reached.
    pub protocol: Protocol,
    /// Port if the target has none.
    pub port: Option<u16>,
    /// Maximum duration of one probe.
    pub timeout: Option<Duration>,
    /// Key types to request, if they differ from the inventory's.
    pub key_types: Option<KeyTypes>,
    /// Trusted roots, if they differ from the inventory's.
    pub trust: Option<TrustSettings>,
    /// Files with roots that are trusted beside those.
    pub ca_files: Vec<PathBuf>,
    /// Settings for reaching the servers.
    pub reach: ReachSettings,
    /// Address families to probe, if they differ from the inventory's.
    pub families: Option<Families>,
    /// Threshold of the expiry warning, if it differs from the inventory's.
    pub warn: Option<Threshold>,
    /// Threshold from which expiry is critical, if it differs from the inventory's.
    pub crit: Option<Threshold>,
    /// Check of TLSA records, if it differs from the inventory's.
    pub dane: Option<DaneCheck>,
    /// Accepted findings.
    pub accept: Vec<Acceptance>,
}

/// Access to an SSLMate account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SslmateSettings {
    /// Base URL of the API, without a final slash. `None` means the URL in the SSLMate client's
    /// configuration file or SSLMate's public service.
    pub endpoint: Option<String>,
    /// Path to the file with the API key. Without it, the key is read from the environment or the
    /// SSLMate client's configuration.
    pub api_key_file: Option<PathBuf>,
    /// User name and password, which replace the API key.
    pub login: Option<SslmateLogin>,
    /// Interval at which the account is fetched, when monitoring.
    pub refresh_interval: Duration,
}

impl Default for SslmateSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            api_key_file: None,
            login: None,
            refresh_interval: Duration::from_secs(15 * 60),
        }
    }
}

/// User name and password of an SSLMate account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SslmateLogin {
    /// User name.
    pub username: String,
    /// Path to the file with the password.
    pub password_file: PathBuf,
}

/// Remote vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VantageSettings {
    /// Name in results.
    pub name: String,
    /// API of the vantage.
    pub kind: VantageKind,
}

/// API of a remote vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VantageKind {
    /// `/test` of the configured SSLMate account.
    Sslmate,
    /// `/test` of another certvigil.
    Certvigil {
        /// Base URL of the API, without a final slash.
        url: String,
        /// User name for HTTP Basic authentication.
        username: Option<String>,
        /// Path to the file with the password for HTTP Basic authentication.
        password_file: Option<PathBuf>,
    },
}

/// One entry of `certificates`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name in results. `None` if the source supplies it (a common name or a file name).
    pub name: Option<String>,
    /// Source of the expected instance.
    pub source: SourceSettings,
    /// Hosts to probe. If empty, the certificate's own names.
    pub hostnames: Vec<Hostname>,
    /// Domains whose mail servers are probed too.
    pub mx: Vec<Hostname>,
    /// Services whose hosts, found by SRV records, are probed too.
    pub srv: Vec<Service>,
    /// Certificate files to probe instead of hosts: paths or glob patterns. `hostnames` are the
    /// names that each of them must match.
    pub files: Vec<String>,
    /// Places to probe beside `hostnames`: the files and the targets of SRV records that were found
    /// for this entry.
    pub found: Vec<FoundPlace>,
    /// Addresses to probe instead of those in DNS. If empty, DNS is used.
    pub addresses: Vec<IpAddr>,
    /// Address families to probe, if they differ from the inventory's.
    pub families: Option<Families>,
    /// Ports to probe, at least one.
    pub ports: Vec<u16>,
    /// Protocol through which TLS is reached.
    pub protocol: Protocol,
    /// Key types to request.
    pub key_types: KeyTypes,
    /// Settings for reaching the servers. Entries with the defaults share them.
    pub reach: Arc<ReachSettings>,
    /// True if the hosts are those of the XMPP domain's SRV records, and the domain itself if it has
    /// none.
    pub finds_xmpp_hosts: bool,
    /// Check of TLSA records (DANE).
    pub dane: DaneCheck,
    /// Threshold of the expiry warning.
    pub warn: Threshold,
    /// Threshold from which expiry is critical.
    pub crit: Threshold,
    /// Revocation check.
    pub revocation: RevocationCheck,
    /// Maximum duration of one probe, if it differs from the default.
    pub timeout: Option<Duration>,
    /// Period in which the previous instance is only a warning, if it differs from the default.
    pub grace: Option<Duration>,
    /// File with the password of the PKCS #12 files of the source.
    pub pem_password: Option<PathBuf>,
    /// Files with roots that are trusted beside those of the inventory.
    pub ca_files: Vec<PathBuf>,
    /// Labels, accepted findings and the interval.
    pub notes: Arc<EntryNotes>,
}

impl Entry {
    /// Creates an entry with the built-in defaults.
    pub fn new(source: SourceSettings) -> Self {
        Self::by(&Defaults::default(), source)
    }

    /// Returns the names to match in place of a host: the XMPP domain, for XMPP.
    pub fn names_to_match(&self) -> Box<[Hostname]> {
        let domain = self.reach.xmpp_domain.iter();
        domain
            .filter(|_| self.protocol.is_xmpp())
            .cloned()
            .collect()
    }

    /// Returns true if DNS gives hosts of the entry: those of mail domains, services or an XMPP
    /// domain.
    pub fn finds_hosts(&self) -> bool {
        !self.mx.is_empty() || !self.srv.is_empty() || self.finds_xmpp_hosts
    }

    /// Creates an entry with the given defaults.
    pub fn by(defaults: &Defaults, source: SourceSettings) -> Self {
        Self {
            name: None,
            source,
            hostnames: Vec::new(),
            mx: Vec::new(),
            srv: Vec::new(),
            files: Vec::new(),
            found: Vec::new(),
            addresses: Vec::new(),
            families: None,
            ports: vec![defaults.port],
            protocol: Protocol::default(),
            key_types: defaults.key_types,
            reach: DEFAULT_REACH.clone(),
            finds_xmpp_hosts: false,
            dane: defaults.dane,
            warn: defaults.warn,
            crit: defaults.crit,
            revocation: defaults.revocation,
            timeout: None,
            grace: None,
            pem_password: None,
            ca_files: Vec::new(),
            notes: Arc::new(EntryNotes {
                labels: defaults.labels.clone(),
                ..EntryNotes::default()
            }),
        }
    }
}

/// A place to probe whose port or names are its own: a certificate file, or the target of an SRV
/// record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoundPlace {
    /// The host whose addresses are probed, or the path of the file.
    pub hostname: Hostname,
    /// The port; 0 for a file.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// The names to match in place of `hostname`: see [`Target::names`](crate::model::Target::names).
    pub names: Box<[Hostname]>,
    /// The owner of the SRV records, if DANE is checked and DNSSEC does not authenticate them.
    pub unsigned_srv: Option<String>,
}

impl FoundPlace {
    /// Returns a file whose certificate must match these names.
    pub fn file(path: PathBuf, names: &[Hostname]) -> Self {
        Self {
            hostname: Hostname::File(path),
            port: 0,
            protocol: Protocol::File,
            names: names.into(),
            unsigned_srv: None,
        }
    }
}

/// Source of an expected instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettings {
    /// Active instance of this common name in the SSLMate account.
    Sslmate(String),
    /// All certificates of the SSLMate account.
    SslmateAll,
    /// `current_download` URL of a certificate.
    Download(String),
    /// PEM files, at least one, each with a leaf followed by its chain. Any of the leaves is
    /// accepted.
    Pem(Vec<PathBuf>),
    /// Glob pattern of PEM files, with one certificate per file.
    PemGlob(String),
    /// Accepted fingerprints, at least one.
    Fingerprints(Pins<Fingerprint>),
    /// Accepted hashes of public keys, at least one.
    PublicKeys(Pins<PublicKeyHash>),
    /// Any valid and trusted certificate for the hostname.
    TrustOnly,
}
