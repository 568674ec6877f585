//! Sources of expected certificates.

mod account;
mod credentials;
mod download;
mod error;
mod failure;
mod file_sd;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod issuer;
mod loaded;
mod matching;
mod pem;
mod sslmate;
mod test_rows;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::certificate::{Certificate, Interner, KeyOfFile, PublicKeyHash};
use crate::config::{Entry, Inventory, SourceSettings};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::model::Timestamp;
use crate::observation::{ErrorKind, Outcome, ProbeError};
use crate::resolve::Resolver;
use crate::trust;

use account::account;
use loaded::{failed, own_name, whole};

pub use account::KnownInstances;
pub use certvigil_probe::io::{ApiError, Requests, SourceError};
use certvigil_probe::io::{BasicAuth, Http, on_own_thread, on_reader, read_password, read_secret};
use certvigil_probe::mta_sts::Policies;

pub use credentials::{API_KEY_VARIABLE, DEFAULT_ENDPOINT, Environment};
#[cfg(feature = "serve")]
pub(crate) use download::name_of as download_name;
pub use error::{FetchError, IssuerError, SetupError};
pub use failure::SourceFailure;
pub use file_sd::{KnownFile, TargetFiles, TargetStamps};
pub(crate) use loaded::pinned;
pub use loaded::{Failed, Loaded, source_name};
pub(crate) use matching::{has_wildcard, matching};
#[cfg(feature = "serve")]
pub(crate) use pem::Stamp;
pub(crate) use pem::files_of;
pub(crate) use sslmate::Client;
#[cfg(any(test, fuzzing))]
pub(crate) use test_rows::TestResponse;
pub(crate) use test_rows::{FindingRow, MAX_ROWS, TestRow};

/// Clock difference to a source above which a warning is reported. A wrong clock may cause wrong
/// verdicts.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(300);

/// Name of an SSLMate account among the sources.
const SSLMATE: &str = "sslmate";

/// Clients and caches for all sources of expected certificates.
pub struct Sources {
    http: Http,
    /// The client, or the reason why there is none, which matters only if an entry needs the
    /// account.
    sslmate: Result<Client, SetupError>,
    files: Arc<pem::Files>,
    /// Private keys with which probed files are compared.
    keys: Vec<KeyOfFile>,
    by_key: Mutex<HashMap<(String, PublicKeyHash), Option<Instance>>>,
    certificates: Arc<Interner>,
    /// Created at the first request for a mail domain.
    policies: OnceLock<Policies>,
}

/// Files of an entry, by the names of their certificates.
enum Listed {
    /// None had changed since it was last read, and all were read.
    Loaded(Vec<Result<Loaded, Failed>>),
    /// At least one has changed, and none was read.
    Changed(Vec<(String, pem::Seen)>),
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
    ) -> Result<Self, SetupError> {
        let roots = trust::own_roots(&inventory.trust).map_err(SetupError::file)?;
        let http = Http::new(roots, requests);
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
    #[cfg(feature = "serve")]
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
    #[cfg(feature = "serve")]
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
    pub(crate) fn account_client(&self) -> Result<Client, SetupError> {
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
    ) -> Result<Client, SetupError> {
        let password = password_file.map(read_secret).transpose();
        let password = password.map_err(SetupError::file)?;
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
        self.load_knowing(entry, &Arc::default(), patience).await
    }

    /// Fetches as [`Sources::load`] does. The last results of an account are `known`: the states of
    /// instances that the account no longer shows are fetched too.
    pub async fn load_knowing(
        self: &Arc<Self>,
        entry: &Entry,
        known: &Arc<KnownInstances>,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let mut answers = self.ask(entry, known, patience).await;
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
        known: &KnownInstances,
        patience: Duration,
    ) -> Result<Loaded, Failed> {
        let deadline = Instant::now() + patience;
        self.load_sslmate(entry, cn, known, deadline).await
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
        known: &Arc<KnownInstances>,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let deadline = Instant::now() + patience;
        match &entry.source {
            SourceSettings::Sslmate(cn) => {
                vec![self.load_sslmate(entry, cn, known, deadline).await]
            }
            SourceSettings::SslmateAll => self.load_account(entry, known, patience).await,
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
                let of_file = || files.first().map(|file| pem::name_of(file));
                let name = entry.name.clone().or_else(of_file).unwrap_or_default();
                let files = files.clone();
                self.load_files(entry, move || Ok(vec![(name, files)]))
                    .await
            }
            SourceSettings::PemGlob(pattern) => {
                let (pattern, of) = (pattern.clone(), entry.clone());
                let list = move || {
                    let files = pem::expand(&pattern);
                    let files = files.map_err(|error| failed(&pattern, &of, error))?;
                    let names = pem::names_of(&files).into_iter();
                    Ok(names.zip(files.into_iter().map(|f| vec![f])).collect())
                };
                self.load_files(entry, list).await
            }
            SourceSettings::Fingerprints(_)
            | SourceSettings::PublicKeys(_)
            | SourceSettings::TrustOnly => pinned(entry).map(Ok).into_iter().collect(),
        }
    }

    /// Reads the certificates of files.
    /// `list` returns the name of each certificate with its files.
    async fn load_files(
        self: &Arc<Self>,
        entry: &Entry,
        list: impl FnOnce() -> Result<Vec<(String, Vec<PathBuf>)>, Failed> + Send + 'static,
    ) -> Vec<Result<Loaded, Failed>> {
        let (sources, of) = (self.clone(), entry.clone());
        let read = on_reader(move || {
            let seen = list()?.into_iter();
            let seen: Vec<_> = seen
                .map(|(name, all)| (name, sources.files.seen(all)))
                .collect();
            Ok(match seen.iter().any(|(_, seen)| seen.has_changed) {
                true => Listed::Changed(seen),
                false => Listed::Loaded(sources.load_seen(seen, &of)),
            })
        });
        match read.await {
            Ok(Listed::Loaded(loaded)) => loaded,
            Ok(Listed::Changed(seen)) => {
                pem::settle().await;
                let (sources, entry) = (self.clone(), entry.clone());
                on_reader(move || sources.load_seen(seen, &entry)).await
            }
            Err(failed) => vec![Err(failed)],
        }
    }

    fn load_seen(
        &self,
        seen: Vec<(String, pem::Seen)>,
        entry: &Entry,
    ) -> Vec<Result<Loaded, Failed>> {
        let all = seen.into_iter();
        all.map(|(name, seen)| self.load_pem(name, entry, seen))
            .collect()
    }

    fn load_pem(&self, name: String, entry: &Entry, seen: pem::Seen) -> Result<Loaded, Failed> {
        let password = entry.pem_password.as_deref().map(read_password).transpose();
        let instances = password
            .map_err(|e| SourceError::Unusable(e.to_string()))
            .and_then(|password| {
                let all = seen.files.into_iter();
                all.map(|(file, stamp)| {
                    let password = password.as_ref();
                    self.files.load(&file, stamp, password, &self.certificates)
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
    pub async fn issuers(
        &self,
        url: &str,
        deadline: Instant,
    ) -> Result<Vec<Certificate>, IssuerError> {
        issuer::fetch(&self.http, url, deadline).await
    }
}
