//! TLS of the web server: the certificate, which is read again when its file changes, and the
//! requirements for client certificates.

mod clients;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::{Instant, timeout};

use super::error::{FileError, PemError, TlsError};
use super::files::{read_bounded, warn_if_readable_by_others};
use super::pem::certificates;

use clients::Clients;

/// Maximum time that a connection waits for a check of the files. After it, the connection uses the
/// configuration in force.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// TLS settings in the configuration file.
pub(super) struct TlsSettings {
    pub(super) certificate: Pem,
    pub(super) key: Pem,
    pub(super) client_ca: Option<Pem>,
    pub(super) client_auth: ClientAuth,
    /// Names of which a client's certificate must contain one. Empty allows any certificate.
    pub(super) allowed_sans: Vec<String>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) prefers_own_order: bool,
}

/// Location of a PEM text.
pub(super) enum Pem {
    /// Separate file.
    File(PathBuf),
    /// Text in the configuration itself.
    Inline(SecretSlice<u8>),
}

impl Pem {
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let bytes = match self {
            Self::File(file) => read_bounded(file)?,
            Self::Inline(text) => text.expose_secret().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// Returns the error of the part that this text is.
    fn broken(&self, part: Part, why: impl Into<TlsError>) -> Broken {
        let file = match self {
            Self::File(file) => Some(file.clone()),
            Self::Inline(_) => None,
        };
        Broken {
            part,
            file,
            why: why.into(),
        }
    }

    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// Requirements for client certificates, by Go's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    /// Variants by name. The last name is an older one that exporters still accept.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("NoClientCert", Self::None),
        ("RequestClientCert", Self::Request),
        ("RequireAnyClientCert", Self::RequireAny),
        ("VerifyClientCertIfGiven", Self::VerifyIfGiven),
        ("RequireAndVerifyClientCert", Self::RequireAndVerify),
        ("RequireClientCert", Self::RequireAny),
    ];

    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    pub(super) fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

/// Error in a part of the settings.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) part: Part,
    /// File of the part, unless the text is in the configuration.
    file: Option<PathBuf>,
    why: TlsError,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        self.why.fmt(f)
    }
}

/// Parts that are read from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Certificate,
    Key,
    ClientCa,
    /// Combination of the parts.
    Settings,
}

/// TLS configuration in force.
pub(super) struct Tls {
    settings: TlsSettings,
    config: RwLock<Arc<ServerConfig>>,
    watch: Mutex<Watch>,
}

/// Time of the last check of the files, and their content at that time, valid or not.
struct Watch {
    read_at: Instant,
    /// True during a check. On an unresponsive disk, a check does not end and blocks a thread, so
    /// there is only one.
    is_reading: bool,
    seen: digest::Digest,
}

impl Tls {
    /// Reads the certificate, the key, and the roots for client certificates.
    pub(super) fn open(settings: TlsSettings) -> Result<Self, Vec<Broken>> {
        let parts = Parts::read(&settings);
        let config = settings.build(&parts)?;
        settings.warn_of_key();
        let watch = Watch {
            read_at: Instant::now(),
            is_reading: false,
            seen: parts.digest(),
        };
        Ok(Self {
            settings,
            config: RwLock::new(config),
            watch: Mutex::new(watch),
        })
    }

    /// Returns the configuration for a new connection. The files are checked again if the last
    /// check was at least `pause` ago. Unusable files are logged once, and the previous
    /// configuration stays in force.
    pub(super) async fn config(self: &Arc<Self>, pause: Duration) -> Arc<ServerConfig> {
        if self.settings.has_files() && self.is_due(pause) {
            let reading = Reading(self.clone());
            // The disk may be slow to respond. This connection waits for a limited time, and
            // concurrent ones do not wait.
            let read_at = tokio::task::spawn_blocking(move || reading.0.read_again());
            let _ = timeout(READ_PATIENCE, read_at).await;
        }
        let config = self.config.read();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_due(&self, pause: Duration) -> bool {
        let mut watch = self.watch();
        let is_time = !watch.is_reading && watch.read_at.elapsed() >= pause;
        if is_time {
            watch.read_at = Instant::now();
            watch.is_reading = true;
        }
        is_time
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again(&self) {
        let parts = Parts::read(&self.settings);
        let seen = parts.digest();
        {
            let mut watch = self.watch();
            if watch.seen.as_ref() == seen.as_ref() {
                return;
            }
            watch.seen = seen;
        }
        match self.settings.build(&parts) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                self.settings.warn_of_key();
                tracing::info!("web: the certificate has changed and is served from now on");
            }
            Err(all) => {
                let why: Vec<_> = all.iter().map(Broken::to_string).collect();
                tracing::warn!(
                    "web: the new certificate cannot be used, so the previous one is still served: {}",
                    why.join("; ")
                );
            }
        }
    }
}

/// Check of the files, which ends when this is dropped.
struct Reading(Arc<Tls>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.watch().is_reading = false;
    }
}

/// Content of the files, or the errors of reading them.
struct Parts {
    certificate: Result<Zeroizing<Vec<u8>>, FileError>,
    key: Result<Zeroizing<Vec<u8>>, FileError>,
    client_ca: Option<Result<Zeroizing<Vec<u8>>, FileError>>,
}

impl Parts {
    fn read(settings: &TlsSettings) -> Self {
        Self {
            certificate: settings.certificate.read(),
            key: settings.key.read(),
            client_ca: settings.client_ca.as_ref().map(Pem::read),
        }
    }

    /// Returns a digest that detects changes without storing the key.
    fn digest(&self) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        let all = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        for part in all.into_iter().flatten() {
            let why = part.as_ref().err().map(FileError::to_string);
            let (kind, bytes) = match (part, &why) {
                (Ok(bytes), _) => (b'+', bytes.as_slice()),
                (Err(_), why) => (b'-', why.as_deref().unwrap_or_default().as_bytes()),
            };
            context.update(&[kind]);
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        }
        context.finish()
    }
}

impl TlsSettings {
    fn has_files(&self) -> bool {
        let ca = self.client_ca.as_ref();
        self.certificate.is_file() || self.key.is_file() || ca.is_some_and(Pem::is_file)
    }

    fn warn_of_key(&self) {
        if let Pem::File(file) = &self.key {
            warn_if_readable_by_others(file);
        }
    }

    fn build(&self, parts: &Parts) -> Result<Arc<ServerConfig>, Vec<Broken>> {
        let mut broken = Vec::new();
        let mut read = |part, pem: &Pem, bytes: &Result<Zeroizing<Vec<u8>>, FileError>| {
            let parsed = match bytes {
                Ok(bytes) => certificates(bytes).map_err(TlsError::from),
                Err(why) => Err(why.clone().into()),
            };
            parsed
                .map_err(|why| broken.push(pem.broken(part, why)))
                .ok()
        };
        let chain = read(Part::Certificate, &self.certificate, &parts.certificate);
        let roots = match (&self.client_ca, &parts.client_ca) {
            (Some(pem), Some(bytes)) => read(Part::ClientCa, pem, bytes),
            _ => Some(Vec::new()),
        };
        let key = match &parts.key {
            Ok(bytes) => private_key(bytes).map_err(TlsError::from),
            Err(why) => Err(why.clone().into()),
        };
        let key = key
            .map_err(|why| broken.push(self.key.broken(Part::Key, why)))
            .ok();
        match (chain, key, roots) {
            (Some(chain), Some(key), Some(roots)) if broken.is_empty() => self
                .config(chain, key, roots)
                .map(Arc::new)
                .map_err(|broken| vec![broken]),
            _ => Err(broken),
        }
    }

    fn config(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<ServerConfig, Broken> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions)
            .map_err(|error| Broken {
                part: Part::Settings,
                file: None,
                why: TlsError::Settings(error),
            })?;
        let builder = match self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(Arc::new(self.clients(roots)?)),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    self.key.broken(Part::Key, TlsError::KeyMismatch)
                }
                Error::InvalidCertificate(error) => self
                    .certificate
                    .broken(Part::Certificate, TlsError::Certificate(error)),
                error => self.key.broken(Part::Key, TlsError::Key(error)),
            })?;
        config.ignore_client_order = self.prefers_own_order;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.client_auth != ClientAuth::None {
            // A resumed session would accept a client certificate that has expired meanwhile.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    fn clients(&self, certificates: Vec<CertificateDer<'static>>) -> Result<Clients, Broken> {
        let broken = |why| match &self.client_ca {
            Some(pem) => pem.broken(Part::ClientCa, why),
            None => Broken {
                part: Part::ClientCa,
                file: None,
                why,
            },
        };
        let mut roots = RootCertStore::empty();
        for (at, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| {
                broken(TlsError::Root {
                    position: at + 1,
                    error,
                })
            })?;
        }
        let hints = roots.subjects();
        let verifier = if self.client_auth.verifies() {
            let roots = Arc::new(roots);
            let builder = WebPkiClientVerifier::builder_with_provider(roots, self.provider.clone());
            let verifier = builder
                .build()
                .map_err(|error| broken(TlsError::Clients(error)))?;
            Some(verifier)
        } else {
            None
        };
        Ok(Clients {
            verifier,
            hints,
            is_mandatory: self.client_auth.requires(),
            allowed_sans: self.allowed_sans.clone(),
            provider: self.provider.clone(),
        })
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    if pem.iter().all(u8::is_ascii_whitespace) {
        return Err(PemError::Empty);
    }
    if let Ok(key) = PrivateKeyDer::from_pem_slice(pem) {
        return Ok(key);
    }
    let text = String::from_utf8_lossy(pem);
    if text.contains("ENCRYPTED") {
        return Err(PemError::EncryptedKey);
    }
    let has_certificate = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .any(|(kind, _)| kind == SectionKind::Certificate);
    Err(if has_certificate {
        PemError::OnlyCertificate
    } else {
        PemError::NoKey
    })
}

#[cfg(test)]
mod tests;
