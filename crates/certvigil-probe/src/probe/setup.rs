//! Offer of a handshake, and the verifier that records the server's certificates and proof.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme,
    SupportedCipherSuite,
};

use crate::certificate::Interner;
use crate::model::{Hostname, KeyType};
use crate::observation::{
    ErrorKind, KeyProof, Parameters, ProbeError, Revocation, Served, Staple, TlsVersion,
};

use super::bounds::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use super::hello_size::{self, HelloSize};
use super::tls_error::no_certificate;
use super::{Request, cleartext, key_proof, p521};

/// The cryptographic library does not support TLS 1.2 and 1.3.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct SetupError(Error);

/// State that all handshakes share.
pub(super) struct Configs {
    large: ByKeyType,
    small: ByKeyType,
    /// Algorithms that verify signatures.
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Certificates that servers sent.
    pub(super) certificates: Arc<Interner>,
}

/// Configurations of one size of the ClientHello, for each kind of key that may be requested.
struct ByKeyType {
    any: ClientConfig,
    rsa: ClientConfig,
    ecdsa: ClientConfig,
}

/// ClientHello of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) schemes: Schemes,
    pub(super) size: HelloSize,
    /// True if it has a key share of X25519MLKEM768, as those of current clients.
    pub(super) has_ml_kem_share: bool,
}

impl Hello {
    /// ClientHello of the first handshake over TCP.
    pub(super) const FIRST: Self = Self {
        schemes: Schemes::Checked,
        size: HelloSize::Large,
        has_ml_kem_share: false,
    };
    /// The same for a server that may be unable to read a large one, and over QUIC.
    pub(super) const SMALL: Self = Self {
        schemes: Schemes::Checked,
        size: HelloSize::Small,
        has_ml_kem_share: false,
    };
    /// ClientHello with signature algorithms that cannot be verified here.
    pub(super) const ANY_KEY: Self = Self {
        schemes: Schemes::All,
        size: HelloSize::Large,
        has_ml_kem_share: false,
    };
    /// ClientHello for a server that asked for a key share of ML-KEM, and then failed.
    pub(super) const ML_KEM: Self = Self {
        has_ml_kem_share: true,
        ..Self::FIRST
    };
}

/// Returns the error of a handshake with a file.
fn no_connection() -> ProbeError {
    ProbeError::new(ErrorKind::Internal, "a file has no server to connect to")
}

impl Configs {
    pub(super) fn new(certificates: Arc<Interner>) -> Result<Self, SetupError> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let of_size = |size| {
            let base = |key_type| base(key_type, groups(size), algorithms, &certificates);
            Ok(ByKeyType {
                any: base(KeyType::Any)?,
                rsa: base(KeyType::Rsa)?,
                ecdsa: base(KeyType::Ecdsa)?,
            })
        };
        Ok(Self {
            large: of_size(HelloSize::Large)?,
            small: of_size(HelloSize::Small)?,
            algorithms,
            certificates,
        })
    }

    /// Returns the configuration of a handshake, for TCP and QUIC.
    pub(super) fn prepare(
        &self,
        request: Request<'_>,
        hello: Hello,
    ) -> Result<Prepared, ProbeError> {
        let hostname = request.target.sent_name();
        let sni = request.sni();
        let name = match (sni, hostname) {
            (Some(name), _) => server_name(name)?,
            // No SNI is sent, but rustls requires a name.
            (None, Hostname::Dns(name)) => server_name(name)?,
            (None, Hostname::Ip(ip)) => ServerName::from(*ip),
            (None, Hostname::File(_)) => return Err(no_connection()),
        };
        let certificates = self.certificates.clone();
        let mut recorder = Recorder::new(self.algorithms, certificates, request.key_type);
        recorder.schemes = hello.schemes;
        recorder.has_client_certificate = request.reach.client.is_some();
        let recorder = Arc::new(recorder);
        let configs = match hello.size {
            HelloSize::Large => &self.large,
            HelloSize::Small => &self.small,
        };
        let mut config = match request.key_type {
            // Few servers need it, so it is not kept.
            key_type if hello.has_ml_kem_share => {
                let mut groups = groups(hello.size);
                groups.retain(|group| group.name() != kx_group::X25519MLKEM768.name());
                groups.insert(0, kx_group::X25519MLKEM768);
                base(key_type, groups, self.algorithms, &self.certificates)
                    .map_err(|error| ProbeError::new(ErrorKind::Internal, error.to_string()))?
            }
            KeyType::Any => configs.any.clone(),
            KeyType::Rsa => configs.rsa.clone(),
            KeyType::Ecdsa => configs.ecdsa.clone(),
        };
        config.enable_sni = sni.is_some();
        config.alpn_protocols = request.alpn();
        config.client_auth_cert_resolver = Arc::new(ClientCertificate {
            given: request.reach.client.clone(),
            recorder: recorder.clone(),
        });
        config
            .dangerous()
            .set_certificate_verifier(recorder.clone());
        Ok(Prepared {
            config,
            name,
            recorder,
        })
    }
}

/// Client certificate of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// The server did not ask for one.
    NotAsked,
    /// The server asked for one, and none was given.
    Missing,
    /// The server asked for one, and one was given.
    Given,
}

/// Signature algorithms that a handshake offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schemes {
    /// Algorithms whose signatures are verified here.
    Checked,
    /// All algorithms, including Ed448, brainpool curves and others whose signatures cannot be
    /// verified here. Such a signature is no proof of the key.
    All,
}

/// Returns the signature algorithms of TLS 1.3 whose signatures cannot be verified here.
fn unchecked() -> impl Iterator<Item = SignatureScheme> {
    [SignatureScheme::ED448]
        .into_iter()
        .chain(cleartext::SCHEMES_OF_TLS13)
}

/// Handshake that has not started.
pub(super) struct Prepared {
    pub(super) config: ClientConfig,
    pub(super) name: ServerName<'static>,
    pub(super) recorder: Arc<Recorder>,
}

/// Returns true if rustls can send the server name. It refuses labels that begin or end with a
/// hyphen, which other clients send.
pub(super) fn can_send(name: Option<&str>) -> bool {
    name.is_none_or(|name| server_name(name).is_ok())
}

fn server_name(name: &str) -> Result<ServerName<'static>, ProbeError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| ProbeError::new(ErrorKind::Internal, format!("{name} cannot be sent as SNI")))
}

/// Returns the groups of a ClientHello, which contains a key share of the first one. A share of ML-KEM
/// would take a tenth of the CPU time and half of the memory of a probe, for a secret that protects
/// nothing here. A server that requires ML-KEM requests its share (RFC 8446, section 4.1.4).
fn groups(size: HelloSize) -> Vec<&'static dyn SupportedKxGroup> {
    vec![
        size.x25519(),
        kx_group::SECP256R1,
        kx_group::SECP384R1,
        p521::SECP521R1,
        kx_group::X25519MLKEM768,
        kx_group::SECP256R1MLKEM768,
        kx_group::MLKEM768,
        kx_group::MLKEM1024,
        hello_size::GREASE,
    ]
}

/// Returns the configuration of a handshake that requests a kind of key. The signature algorithms
/// select it, and for TLS 1.2 the cipher suites do too.
fn base(
    key_type: KeyType,
    groups: Vec<&'static dyn SupportedKxGroup>,
    algorithms: WebPkiSupportedAlgorithms,
    certificates: &Arc<Interner>,
) -> Result<ClientConfig, SetupError> {
    let recorder = Recorder::new(algorithms, certificates.clone(), key_type);
    let mut provider: CryptoProvider = aws_lc_rs::default_provider();
    provider.kx_groups = groups;
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(suite) => {
            suite.sign.iter().any(|scheme| is_of(key_type, *scheme))
        }
    });
    // AES-128-GCM first, as browsers have it: its handshakes hash with SHA-256, for which most
    // processors have instructions. SHA-384 took 8 % of the CPU time of a probe.
    provider.cipher_suites.sort_by_key(|suite| {
        let is_aes_128 = suite
            .suite()
            .as_str()
            .is_some_and(|name| name.contains("AES_128"));
        (suite.tls13().is_none(), !is_aes_128)
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(SetupError)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(recorder))
        .with_no_client_auth();
    config.resumption = Resumption::store(Arc::new(NoSessions));
    Ok(config)
}

/// Store that keeps no session. Every probe needs a full handshake, because a resumed session contains
/// no certificate. Most clients offer session tickets in TLS 1.2 (RFC 5077), and fail if the server has
/// a fault there, so a probe offers them too.
#[derive(Debug)]
struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// Returns true if a scheme signs with a key of this kind (RFC 8446, section 4.2.3).
fn is_of(key_type: KeyType, scheme: SignatureScheme) -> bool {
    let is_rsa = matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
    ) || key_proof::PSS_KEY_SCHEMES.contains(&scheme);
    match key_type {
        KeyType::Any => true,
        KeyType::Rsa => is_rsa,
        KeyType::Ecdsa => !is_rsa,
    }
}

/// Client certificate, if one was given. Records the server's request for it.
#[derive(Debug)]
struct ClientCertificate {
    given: Option<Arc<dyn ResolvesClientCert>>,
    recorder: Arc<Recorder>,
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.recorder.is_client_asked.store(true, Ordering::Relaxed);
        self.given.as_ref()?.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        self.given.as_ref().is_some_and(|given| given.has_certs())
    }
}

/// Verifier that records its input and accepts every certificate, because judging is separate, but
/// requires the proof of the key.
#[derive(Debug)]
pub(super) struct Recorder {
    algorithms: WebPkiSupportedAlgorithms,
    certificates: Arc<Interner>,
    key_type: KeyType,
    schemes: Schemes,
    staple: OnceLock<Staple>,
    proof: OnceLock<KeyProof>,
    /// True if the server sent anything.
    pub(super) is_answered: AtomicBool,
    /// True if the server sent a CertificateRequest.
    is_client_asked: AtomicBool,
    has_client_certificate: bool,
}

impl Recorder {
    fn new(
        algorithms: WebPkiSupportedAlgorithms,
        certificates: Arc<Interner>,
        key_type: KeyType,
    ) -> Self {
        Self {
            algorithms,
            certificates,
            key_type,
            schemes: Schemes::Checked,
            staple: OnceLock::new(),
            proof: OnceLock::new(),
            is_answered: AtomicBool::new(false),
            is_client_asked: AtomicBool::new(false),
            has_client_certificate: false,
        }
    }

    /// Returns the client certificate of the handshake, as far as the server asked for one.
    pub(super) fn client_auth(&self) -> ClientAuth {
        match self.is_client_asked.load(Ordering::Relaxed) {
            false => ClientAuth::NotAsked,
            true if self.has_client_certificate => ClientAuth::Given,
            true => ClientAuth::Missing,
        }
    }

    /// Returns the result for a server that has proved possession of its key, if its chain is
    /// within the limits.
    pub(super) fn served(
        &self,
        chain: &[CertificateDer<'static>],
        tls_version: TlsVersion,
        suite: Option<SupportedCipherSuite>,
        alpn: Option<&[u8]>,
    ) -> Result<Served, ProbeError> {
        let bytes: usize = chain.iter().map(|c| c.len()).sum();
        if chain.len() > MAX_CHAIN_CERTIFICATES || bytes > MAX_CHAIN_BYTES {
            return Err(ProbeError::new(
                ErrorKind::TooLarge,
                format!(
                    "the server sent {} certificates of {bytes} bytes in all",
                    chain.len()
                ),
            ));
        }
        let mut certificates = chain.iter().map(|c| self.certificates.certificate(c));
        let leaf = certificates.next().ok_or_else(no_certificate)?;
        Ok(Served {
            leaf,
            rest: certificates.collect(),
            tls_version,
            cipher_suite: suite.map_or(Cow::Borrowed(""), |suite| iana_name(suite.suite())),
            alpn: alpn.map(|p| String::from_utf8_lossy(p).into_owned()),
            revocation: Revocation {
                staple: self.staple.get().cloned().unwrap_or_default(),
                fetched: None,
            },
            key_proof: self.proof.get().copied().unwrap_or(KeyProof::Handshake),
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        })
    }

    fn record(&self, result: Result<KeyProof, Error>) -> Result<HandshakeSignatureValid, Error> {
        let proof = result?;
        let _ = self.proof.set(proof);
        Ok(HandshakeSignatureValid::assertion())
    }
}

/// Returns the IANA name of a cipher suite. rustls spells those of TLS 1.3 differently.
fn iana_name(suite: CipherSuite) -> Cow<'static, str> {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256".into(),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384".into(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256".into(),
        other => other.as_str().unwrap_or_default().into(),
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let _ = self.staple.set(Staple::of(ocsp_response));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.record(key_proof::tls12(&self.algorithms, message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let is_unchecked = unchecked().any(|scheme| scheme == dss.scheme);
        if self.schemes == Schemes::All && is_unchecked {
            return self.record(key_proof::of_unknown_kind(&self.algorithms, cert));
        }
        self.record(key_proof::tls13(&self.algorithms, message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        schemes.extend(key_proof::PSS_KEY_SCHEMES);
        if self.schemes == Schemes::All {
            schemes.extend(unchecked());
        }
        schemes.retain(|scheme| is_of(self.key_type, *scheme));
        schemes
    }
}
