//! Sources of expected certificates.

mod account;
mod credentials;
mod download;
mod failure;
mod file_sd;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod issuer;
mod pem;
mod sslmate;
mod test_rows;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::certificate::{Certificate, Interner, KeyOfFile, PublicKeyHash};
use crate::config::{Entry, FoundPlace, Inventory, SourceSettings, SslmateSettings};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::model::{Hostname, Timestamp, and_more};
use crate::observation::{ErrorKind, Outcome, ProbeError};
use crate::resolve::Resolver;
use crate::trust;

pub use certvigil_probe::io::{ApiError, Requests, SourceError};
use certvigil_probe::io::{BasicAuth, Http, on_own_thread, read_secret};
use certvigil_probe::mta_sts::Policies;

pub use credentials::{API_KEY_VARIABLE, DEFAULT_ENDPOINT, Environment};
pub(crate) use download::name_of as download_name;
pub use failure::SourceFailure;
pub use file_sd::{KnownFile, TargetFiles, TargetStamps};
pub(crate) use pem::files_of;
pub(crate) use sslmate::Client;
#[cfg(any(test, fuzzing))]
pub(crate) use test_rows::TestResponse;
pub(crate) use test_rows::{MAX_ROWS, TestRow};

/// Maximum names in an error. A certificate may have thousands.
const MAX_LISTED_NAMES: usize = 5;
/// Maximum names of a certificate that become hosts to probe. Public authorities issue for at most
/// 2000.
const MAX_NAMES: usize = 2000;
/// Maximum instances in the cache by key. The cache is cleared when it is full.
const MAX_REMEMBERED: usize = 10_000;

/// Clock difference to a source above which a warning is reported. A wrong clock may cause wrong
/// verdicts.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(300);

/// Name of an SSLMate account among the sources.
const SSLMATE: &str = "sslmate";

/// Returns the name of an entry's source in metrics. Returns `None` if there is no source to fetch.
pub fn source_name(entry: &Entry) -> Option<String> {
    match &entry.source {
        SourceSettings::Sslmate(_) | SourceSettings::SslmateAll => Some(SSLMATE.into()),
        // The URL itself may be a secret.
        SourceSettings::Download(_) => Some(format!(
            "download: {}",
            own_name(entry).unwrap_or_else(|| "(unnamed)".into())
        )),
        SourceSettings::Pem(files) => Some(pem::display(files)),
        SourceSettings::PemGlob(pattern) => Some(pattern.clone()),
        SourceSettings::Fingerprints(_)
        | SourceSettings::PublicKeys(_)
        | SourceSettings::TrustOnly => None,
    }
}

/// Clients and caches for all sources of expected certificates.
pub struct Sources {
    http: Http,
    /// The client, or the reason why there is none, which matters only if an entry needs the
    /// account.
    sslmate: Result<Client, String>,
    files: Arc<pem::Files>,
    /// Private keys with which probed files are compared.
    keys: Vec<KeyOfFile>,
    by_key: Mutex<HashMap<(String, PublicKeyHash), Option<Instance>>>,
    certificates: Arc<Interner>,
    /// Created at the first request for a mail domain.
    policies: OnceLock<Policies>,
}

/// Result of a source.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Name in results.
    pub name: String,
    /// Common name in the SSLMate account.
    pub common_name: Option<String>,
    /// Expected certificate.
    pub expected: Arc<Expected>,
    /// Hosts to probe.
    pub hostnames: Vec<Hostname>,
    /// Further places to probe.
    pub found: Vec<FoundPlace>,
    /// SSLMate's ID of the pending instance, if there is no better one.
    pub awaited: Option<u64>,
}

/// Failure of a source.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Name in results.
    pub name: String,
    /// Hosts to probe, as far as they are configured.
    pub hostnames: Vec<Hostname>,
    /// Further places to probe.
    pub found: Vec<FoundPlace>,
    /// Reason, in one line with the name.
    pub error: String,
    /// True if a later retry may succeed.
    pub may_pass: bool,
    /// True if the hosts no longer exist, so that the previous ones are not kept.
    pub is_gone: bool,
}

impl Failed {
    /// Returns the failure for an entry whose fetch panicked.
    pub(crate) fn by_internal_error(entry: &Entry) -> Self {
        let name = own_name(entry).or_else(|| source_name(entry));
        let what = "the expected certificate could not be fetched because of a bug in certvigil; please report it";
        let error = SourceError::Unusable(what.into());
        Self {
            may_pass: true,
            ..failed(&name.unwrap_or_default(), entry, &error)
        }
    }
}

impl Sources {
    /// Creates the clients for the sources of an inventory.
    ///
    /// # Errors
    /// If a file with roots cannot be read.
    pub fn new(
        inventory: &Inventory,
        environment: &Environment<'_>,
        requests: Requests,
    ) -> Result<Self, String> {
        let http = Http::new(trust::own_roots(&inventory.trust)?, requests);
        let settings = inventory.sslmate.clone().unwrap_or_default();
        let sslmate = account(&settings, environment, &http.counting_for(SSLMATE));
        Ok(Self {
            http,
            sslmate,
            files: Arc::default(),
            keys: Vec::new(),
            by_key: Mutex::default(),
            certificates: Arc::default(),
            policies: OnceLock::new(),
        })
    }

    /// Shares the record of files that `others` has read.
    pub(crate) fn knowing_files_of(self, others: &Self) -> Self {
        Self {
            files: others.files.clone(),
            ..self
        }
    }

    /// Opens PKCS #12 files with this password.
    #[must_use]
    pub fn opening_files_with(self, password: SecretString) -> Self {
        Self {
            files: Arc::new(pem::Files::with_password(password)),
            ..self
        }
    }

    /// Compares probed files with these private keys. The certificate of a file must belong to one
    /// of them.
    #[must_use]
    pub fn comparing_keys(self, keys: Vec<KeyOfFile>) -> Self {
        Self { keys, ..self }
    }

    /// Reads a file to probe, within `patience`: its leaf, and its other certificates in the order
    /// in which a server sends them.
    pub async fn probe_file(&self, file: &Path, patience: Duration) -> Outcome {
        let (files, path, keys) = (self.files.clone(), file.to_owned(), self.keys.clone());
        let read = async move {
            let stamp = files.settled_to_probe(&path).await;
            on_own_thread(move || files.probe(&path, stamp, &keys)).await
        };
        let read = tokio::time::timeout(patience, read).await;
        let late = || {
            let seconds = patience.as_secs_f64();
            Err(SourceError::Unusable(format!(
                "{}: it could not be read within {seconds} s; check its file system",
                file.display()
            )))
        };
        match read.unwrap_or_else(|_| late()) {
            Ok(mut served) => {
                for certificate in std::iter::once(&mut served.leaf).chain(&mut served.rest) {
                    *certificate = self.certificates.share(certificate);
                }
                Outcome::Served(Box::new(served))
            }
            Err(error) => Outcome::Failed(ProbeError::new(ErrorKind::Internal, error.to_string())),
        }
    }

    /// Shares certificates with other users of the interner: usually the served certificate is the
    /// expected one.
    pub fn sharing(self, certificates: Arc<Interner>) -> Self {
        Self {
            certificates,
            ..self
        }
    }

    /// Returns a warning if the local clock, which shows `now`, differs from that of the sources.
    pub fn clock_warning(&self, now: Timestamp) -> Option<String> {
        let ahead = self.http.clock().ahead(now, Instant::now())?;
        let off = Duration::from_secs(ahead.unsigned_abs());
        (off > MAX_CLOCK_ERROR).then(|| {
            let (off, side) = (humantime::format_duration(off), if ahead > 0 { "ahead of" } else { "behind" });
            format!("the clock of this machine is {off} {side} that of the source: certificates are judged by it, so set it right")
        })
    }

    /// Redacts a secret in all responses of sources and vantages.
    pub(crate) fn hide(&self, secret: &SecretString) {
        self.http.secrets().add(secret);
    }

    /// Returns an HTTP client for other requests. They are not counted as those of sources.
    pub fn http_for_others(&self) -> Http {
        self.http.counting_by(Requests::default())
    }

    /// Returns the client of MTA-STS policy hosts, which finds them with this resolver. The first
    /// resolver stays in use.
    pub(crate) fn policies(&self, resolver: &Arc<Resolver>) -> &Policies {
        self.policies
            .get_or_init(|| Policies::new(&self.http_for_others(), resolver.clone()))
    }

    /// Returns the client of the SSLMate account.
    ///
    /// # Errors
    /// The reason why there is no account.
    pub(crate) fn account_client(&self) -> Result<Client, String> {
        self.sslmate.clone()
    }

    /// Returns a client of another certvigil at this base URL. Its requests are counted under the
    /// name of the vantage.
    ///
    /// # Errors
    /// If the URL is invalid or the password cannot be read.
    pub(crate) fn peer_client(
        &self,
        name: &str,
        url: &str,
        username: Option<&str>,
        password_file: Option<&Path>,
    ) -> Result<Client, String> {
        let password = password_file.map(read_secret).transpose()?;
        if let Some(password) = &password {
            self.http.secrets().add_auth(&BasicAuth {
                username: username.unwrap_or_default().into(),
                password: Some(password.clone()),
            });
        }
        let auth = (username.is_some() || password.is_some()).then(|| BasicAuth {
            username: username.unwrap_or_default().into(),
            password,
        });
        Client::new(url, auth, self.http.counting_for(name))
    }

    /// Fetches the expected certificates of an entry's source: one result, or one for each of its
    /// files or certificates. `patience` limits each of them.
    pub async fn load(
        self: &Arc<Self>,
        entry: &Entry,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let mut answers = self.ask(entry, patience).await;
        answers
            .iter_mut()
            .flatten()
            .for_each(|loaded| self.share(loaded));
        answers
    }

    /// Fetches the expected certificate for one common name of the account, within `patience`.
    ///
    /// # Errors
    /// The reason why the account returned no certificate.
    pub async fn load_certificate(
        &self,
        entry: &Entry,
        cn: &str,
        patience: Duration,
    ) -> Result<Loaded, Failed> {
        let deadline = Instant::now() + patience;
        self.load_sslmate(entry, cn, deadline).await
    }

    /// Shares equal certificates with other holders, so that each is in memory once.
    fn share(&self, loaded: &mut Loaded) {
        if let Some(Expected {
            what: Expectation::Instances(instances),
            ..
        }) = Arc::get_mut(&mut loaded.expected)
        {
            instances.share(&self.certificates);
        }
    }

    async fn ask(
        self: &Arc<Self>,
        entry: &Entry,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let deadline = Instant::now() + patience;
        match &entry.source {
            SourceSettings::Sslmate(cn) => vec![self.load_sslmate(entry, cn, deadline).await],
            SourceSettings::SslmateAll => self.load_account(entry, patience).await,
            SourceSettings::Download(url) => {
                let name = own_name(entry).unwrap_or_else(|| download::name_of(url));
                let http = self
                    .http
                    .counting_for(&source_name(entry).unwrap_or_default());
                let instance = download::load(&http, url, deadline).await;
                let instances = instance.map(Instances::only);
                vec![whole(name, entry, SourceKind::Download, instances)]
            }
            SourceSettings::Pem(files) => {
                let stamps = self.files.settled(files).await;
                let of_file = || files.first().map(|file| pem::name_of(file));
                let name = entry.name.clone().or_else(of_file).unwrap_or_default();
                vec![self.load_pem(name, entry, files, stamps)]
            }
            SourceSettings::PemGlob(pattern) => match pem::expand(pattern) {
                Ok(files) => {
                    let stamps = self.files.settled(&files).await;
                    let names = pem::names_of(&files);
                    let all = names.into_iter().zip(&files).zip(stamps);
                    all.map(|((name, file), stamp)| {
                        self.load_pem(name, entry, std::slice::from_ref(file), vec![stamp])
                    })
                    .collect()
                }
                Err(error) => vec![Err(failed(pattern, entry, &error))],
            },
            SourceSettings::Fingerprints(pins) => {
                vec![Ok(pinned(
                    entry,
                    SourceKind::Fingerprint,
                    Expectation::Fingerprints(pins.clone()),
                ))]
            }
            SourceSettings::PublicKeys(keys) => {
                vec![Ok(pinned(
                    entry,
                    SourceKind::PublicKey,
                    Expectation::PublicKeys(keys.clone()),
                ))]
            }
            SourceSettings::TrustOnly => {
                vec![Ok(pinned(entry, SourceKind::Trust, Expectation::TrustOnly))]
            }
        }
    }

    fn load_pem(
        &self,
        name: String,
        entry: &Entry,
        files: &[PathBuf],
        stamps: Vec<Option<pem::Stamp>>,
    ) -> Result<Loaded, Failed> {
        let password = entry.pem_password.as_deref().map(read_secret).transpose();
        let instances = password
            .map_err(SourceError::Unusable)
            .and_then(|password| {
                let both = files.iter().zip(stamps);
                both.map(|(file, stamp)| {
                    let password = password.as_ref();
                    self.files.load(file, stamp, password, &self.certificates)
                })
                .collect::<Result<Vec<_>, _>>()
            });
        let instances = instances.and_then(|instances| {
            let mut instances = instances.into_iter();
            let expected = instances
                .next()
                .ok_or_else(|| SourceError::Unusable("there is no file".into()))?;
            Ok(Instances {
                also_accepted: instances.collect(),
                ..Instances::only(expected)
            })
        });
        whole(name, entry, SourceKind::Pem, instances)
    }

    async fn load_sslmate(
        &self,
        entry: &Entry,
        cn: &str,
        deadline: Instant,
    ) -> Result<Loaded, Failed> {
        let loaded = self.ask_for(entry, cn, deadline).await;
        let name = || entry.name.as_deref().unwrap_or(cn);
        loaded.map_err(|error| failed(name(), entry, &error))
    }

    /// Fetches one certificate of the account.
    async fn ask_for(
        &self,
        entry: &Entry,
        cn: &str,
        deadline: Instant,
    ) -> Result<Loaded, SourceError> {
        let object = self.account()?.certificate(cn, deadline).await?;
        let hostnames = hosts(entry, object.names())?;
        let awaited = object.awaited();
        let mut loaded = Loaded {
            expected: Arc::new(expected(SourceKind::Sslmate, object.instances()?)),
            common_name: Some(cn.to_owned()),
            name: entry.name.clone().unwrap_or_else(|| cn.to_owned()),
            hostnames,
            found: entry.found.clone(),
            awaited,
        };
        self.share(&mut loaded);
        Ok(loaded)
    }

    /// Returns the instance that a source expects, regardless of its hosts.
    ///
    /// # Errors
    /// If the source returns no complete instance: the reason, in one line.
    pub async fn instance(
        &self,
        source: &SourceSettings,
        deadline: Instant,
    ) -> Result<Instance, SourceError> {
        let unnamed = || {
            SourceError::Unusable(
                "it does not name one certificate; give --sslmate, --download or --cert".into(),
            )
        };
        match source {
            SourceSettings::Sslmate(cn) => {
                let object = self.account()?.certificate(cn, deadline).await?;
                Ok(object.instances()?.expected)
            }
            SourceSettings::Download(url) => download::load(&self.http, url, deadline).await,
            SourceSettings::Pem(files) => match files.as_slice() {
                [file] => self.files.load_now(file),
                _ => Err(unnamed()),
            },
            SourceSettings::SslmateAll
            | SourceSettings::PemGlob(_)
            | SourceSettings::Fingerprints(_)
            | SourceSettings::PublicKeys(_)
            | SourceSettings::TrustOnly => Err(unnamed()),
        }
    }

    /// Fetches the certificates at a caIssuers URL (RFC 5280, section 4.2.2.1). The caller must
    /// check that they issued the certificate.
    ///
    /// # Errors
    /// If the response cannot be fetched or is no certificate: the reason, in one line.
    pub async fn issuers(&self, url: &str, deadline: Instant) -> Result<Vec<Certificate>, String> {
        issuer::fetch(&self.http, url, deadline).await
    }

    /// Returns the previous instance with this leaf, if the leaf is not the expected one and the
    /// account knows it. After a reissue with the same key, the API finds the newest instance with
    /// that key. Thus only a leaf with another key can be looked up, and it is looked up once.
    ///
    /// # Errors
    /// If the API request failed.
    pub async fn previous_instance(
        &self,
        loaded: &Loaded,
        leaf: &Certificate,
        deadline: Instant,
    ) -> Result<Option<Instance>, SourceError> {
        let (Some(cn), Some(key)) = (&loaded.common_name, leaf.public_key_hash()) else {
            return Ok(None);
        };
        if loaded.expected.has_key(&key) {
            return Ok(None);
        }
        let remembered = self.remembered().get(&(cn.clone(), key)).cloned();
        let instance = match remembered {
            Some(instance) => instance,
            None => {
                let found = self.account()?.instance_by_key(cn, key, deadline).await?;
                let instance = found.map(sslmate::InstanceObject::instance).transpose()?;
                let mut memory = self.remembered();
                if memory.len() >= MAX_REMEMBERED {
                    memory.clear();
                }
                memory.insert((cn.clone(), key), instance.clone());
                instance
            }
        };
        Ok(instance.filter(|i| i.leaf == *leaf))
    }

    /// Waits until the API has issued a pending instance, for at most `patience`. The next
    /// [`Sources::load`] returns the outcome.
    pub async fn wait_for_issue(&self, loaded: &Loaded, patience: Duration) {
        let (Ok(client), Some(cn), Some(id)) = (&self.sslmate, &loaded.common_name, loaded.awaited)
        else {
            return;
        };
        let deadline = Instant::now() + patience;
        if let Err(error) = client
            .instance_by_id(cn, id, Some(patience), deadline)
            .await
        {
            tracing::info!("{}: {error}", loaded.name);
        }
    }

    async fn list(&self, deadline: Instant) -> Result<Vec<String>, SourceError> {
        self.account()?.list(deadline).await
    }

    fn account(&self) -> Result<&Client, SourceError> {
        self.sslmate
            .as_ref()
            .map_err(|e| SourceError::Unusable(e.clone()))
    }

    fn remembered(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<(String, PublicKeyHash), Option<Instance>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn account(
    settings: &SslmateSettings,
    environment: &Environment<'_>,
    http: &Http,
) -> Result<Client, String> {
    let credentials = credentials::Credentials::find(settings, environment)?;
    let auth = credentials.basic_auth();
    if let Some(key) = credentials.key() {
        http.secrets().add(key);
    }
    http.secrets().add_auth(&auth);
    Client::new(&credentials.endpoint, Some(auth), http.clone())
}

fn expected(source: SourceKind, instances: Instances) -> Expected {
    Expected {
        source,
        what: Expectation::Instances(Box::new(instances)),
    }
}

/// Returns the result for complete instances, whose names may be the hosts.
fn whole(
    name: String,
    entry: &Entry,
    source: SourceKind,
    instances: Result<Instances, SourceError>,
) -> Result<Loaded, Failed> {
    let loaded = instances.and_then(|instances| {
        let names = instances.accepted().flat_map(Instance::names).collect();
        Ok((hosts(entry, names)?, instances))
    });
    match loaded {
        Ok((hostnames, instances)) => Ok(Loaded {
            name,
            common_name: None,
            expected: Arc::new(expected(source, instances)),
            hostnames,
            found: entry.found.clone(),
            awaited: None,
        }),
        Err(error) => Err(failed(&name, entry, &error)),
    }
}

fn pinned(entry: &Entry, source: SourceKind, what: Expectation) -> Loaded {
    Loaded {
        name: own_name(entry).unwrap_or_default(),
        common_name: None,
        expected: Arc::new(Expected { source, what }),
        hostnames: entry.hostnames.clone(),
        found: entry.found.clone(),
        awaited: None,
    }
}

fn own_name(entry: &Entry) -> Option<String> {
    let found = entry.found.iter().map(|place| &place.hostname);
    let first = || entry.hostnames.iter().chain(found).next();
    let first = || first().map(ToString::to_string);
    entry.name.clone().or_else(first)
}

/// Returns the configured hosts, or those among the certificate's names. A wildcard is not a host.
fn hosts(entry: &Entry, names: Vec<String>) -> Result<Vec<Hostname>, SourceError> {
    if !entry.hostnames.is_empty() || !entry.found.is_empty() {
        return Ok(entry.hostnames.clone());
    }
    if names.len() > MAX_NAMES {
        return Err(SourceError::Unusable(format!(
            "the certificate has {} names, and at most {MAX_NAMES} become hosts to probe: name the hosts to probe under `hostnames`",
            names.len()
        )));
    }
    let mut seen = HashSet::new();
    let hostnames = names.iter().filter_map(|n| n.parse().ok());
    let hostnames: Vec<Hostname> = hostnames
        .filter(|hostname: &Hostname| seen.insert(hostname.clone()))
        .collect();
    if hostnames.is_empty() {
        return Err(SourceError::Unusable(format!(
            "none of its names is a host to probe ({}): wildcards are not hosts; name the hosts to probe",
            and_more(names.iter().take(MAX_LISTED_NAMES), names.len())
        )));
    }
    Ok(hostnames)
}

fn failed(name: &str, entry: &Entry, error: &SourceError) -> Failed {
    Failed {
        name: name.to_owned(),
        hostnames: entry.hostnames.clone(),
        found: entry.found.clone(),
        error: if matches!(
            entry.source,
            SourceSettings::Pem(_) | SourceSettings::PemGlob(_)
        ) {
            error.to_string()
        } else {
            format!("{name}: {error}")
        },
        may_pass: error.may_pass(),
        is_gone: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lists_only_some_of_many_wildcard_names() {
        let entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = (0..2000).map(|n| format!("*.{n}.example")).collect();
        let message = hosts(&entry, names).unwrap_err().to_string();
        assert!(message.contains("*.4.example and 1995 more)"), "{message}");
    }

    /// A hostile download must not fill the inventory.
    #[test]
    fn a_certificate_with_thousands_of_names_needs_configured_hosts() {
        let mut entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = |count| Vec::from_iter((0..count).map(|n| format!("{n}.example")));
        assert_eq!(hosts(&entry, names(MAX_NAMES)).unwrap().len(), MAX_NAMES);
        let message = hosts(&entry, names(34_000)).unwrap_err().to_string();
        assert!(
            message.contains("34000 names") && message.contains("`hostnames`"),
            "{message}"
        );
        entry.hostnames = vec!["a.example".parse().unwrap()];
        assert_eq!(hosts(&entry, names(34_000)).unwrap(), entry.hostnames);
    }

    #[test]
    fn each_certificate_name_is_a_host_once_in_order() {
        let entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = ["b.example", "*.example", "a.example", "B.example"];
        let hostnames = hosts(&entry, names.map(String::from).into()).unwrap();
        let wanted = ["b.example", "a.example"].map(|n| n.parse().unwrap());
        assert_eq!(hostnames, wanted);
    }
}
