//! The further handshake that offers Encrypted Client Hello (RFC 9849), as browsers do to a host
//! whose HTTPS record has the parameter `ech`.

use std::sync::Arc;

use rustls::client::{EchConfig, EchStatus, Resumption};
use rustls::crypto::aws_lc_rs::hpke;
use rustls::crypto::hpke::Hpke;
use rustls::pki_types::EchConfigListBytes;
use rustls::{ClientConfig, Error};
use tokio::time::Instant;

use crate::ech::{EchConfiguration, EchParameter};
use crate::model::{Hostname, KeyType, Sni, Timings};
use crate::observation::{Ech, ErrorKind, ProbeError, Served, TlsVersion};

use super::handshake::Connection;
use super::setup::{Hello, Prepared};
use super::{LINGER, Prober, Request, open};

/// Ciphers of Chromium.
static SUITES: &[&dyn Hpke] = &[
    hpke::DH_KEM_X25519_HKDF_SHA256_AES_128,
    hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305,
];

impl Prober {
    /// Offers Encrypted Client Hello to a server whose ordinary handshake succeeded, within the deadline.
    /// Returns `None` if browsers do not offer it, or if the result is unknown.
    pub async fn offer_ech(
        &self,
        parameter: &EchParameter,
        request: Request<'_>,
        deadline: Instant,
    ) -> Option<Ech> {
        let hostname = &request.target.hostname;
        let configuration = match parameter {
            // With another server name, the handshake is not that of a browser.
            _ if request.reach.sni != Sni::Hostname => return None,
            EchParameter::Malformed => return Some(Ech::Malformed),
            EchParameter::Unsupported => return None,
            EchParameter::Supported(configuration) => configuration,
        };
        let request = Request {
            key_type: KeyType::Any,
            ..request
        };
        let result = self
            .offer_repeatedly(configuration, request, deadline)
            .await;
        if result.is_none() {
            tracing::warn!(
                "result of Encrypted Client Hello unknown: hostname={hostname} address={}",
                request.address
            );
        }
        result
    }

    /// Offers it once more if the first handshake fails. Returns `None` if an ordinary handshake
    /// fails then too.
    async fn offer_repeatedly(
        &self,
        configuration: &EchConfiguration,
        request: Request<'_>,
        deadline: Instant,
    ) -> Option<Ech> {
        let public_name = &configuration.public_name;
        if let Ok(result) = self.offer(configuration, request, deadline).await {
            return Some(result);
        }
        // rustls offers only TLS 1.3 then, and browsers TLS 1.2 too.
        let failure = match self.take_as(public_name, request, deadline).await {
            Ok(served) if served.tls_version != TlsVersion::Tls13 => {
                return Some(rejected(public_name, served));
            }
            Ok(_) => match self.offer(configuration, request, deadline).await {
                Ok(result) => return Some(result),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let is_answer = matches!(
            failure.kind,
            ErrorKind::TlsAlert | ErrorKind::TlsClosed | ErrorKind::TlsProtocol
        );
        if !is_answer {
            return None;
        }
        let mut unused = Timings::default();
        let ordinary = Box::pin(self.take(request, deadline, &mut unused)).await;
        ordinary.is_ok().then(|| Ech::Failed {
            public_name: public_name.clone(),
            error: failure,
        })
    }

    /// Performs a handshake that offers Encrypted Client Hello.
    async fn offer(
        &self,
        configuration: &EchConfiguration,
        request: Request<'_>,
        deadline: Instant,
    ) -> Result<Ech, ProbeError> {
        let mut prepared = self.config.prepare(request, Hello::FIRST)?;
        prepared.config = with_ech(&prepared, &configuration.list)
            .map_err(|e| ProbeError::new(ErrorKind::Internal, e.to_string()))?;
        let mut unused = Timings::default();
        let stream = open(request, deadline, &mut unused)
            .await
            .map_err(|failure| failure.error)?;
        let start = Instant::now();
        let mut connection = Connection::start(prepared, request, stream)?;
        let result = connection.handshake(deadline, deadline).await;
        let mut served = result.map_err(|failure| failure.error)?;
        if connection.ech_status() != EchStatus::Accepted {
            // The handshake ends with the alert `ech_required` (section 6.1.6).
            served.failure = None;
            return Ok(rejected(&configuration.public_name, served));
        }
        let patience = connection.patience(LINGER, start.elapsed());
        let refusal = connection.leave(None, patience).await;
        match served.failure.take().or(refusal) {
            None => Ok(Ech::Accepted(Box::new(served))),
            Some(error) => Err(*error),
        }
    }

    /// Performs an ordinary handshake with another server name.
    async fn take_as(
        &self,
        name: &Hostname,
        request: Request<'_>,
        deadline: Instant,
    ) -> Result<Served, ProbeError> {
        let sni = name.sni().map_or(Sni::None, |name| Sni::Name(name.into()));
        let reach = request.reach.with_sni(sni);
        let request = Request {
            reach: &reach,
            ..request
        };
        let mut unused = Timings::default();
        Box::pin(self.take(request, deadline, &mut unused)).await
    }
}

fn rejected(public_name: &Hostname, served: Served) -> Ech {
    Ech::Rejected {
        public_name: public_name.clone(),
        served: Box::new(served),
    }
}

/// Returns the configuration of a handshake that offers Encrypted Client Hello.
fn with_ech(prepared: &Prepared, list: &[u8]) -> Result<ClientConfig, Error> {
    let ordinary = &prepared.config;
    let ech = EchConfig::new(EchConfigListBytes::from(list), SUITES)?;
    let mut config = ClientConfig::builder_with_provider(ordinary.crypto_provider().clone())
        .with_ech(ech.into())?
        .dangerous()
        .with_custom_certificate_verifier(prepared.recorder.clone())
        .with_client_cert_resolver(Arc::clone(&ordinary.client_auth_cert_resolver));
    config.resumption = Resumption::disabled();
    config.alpn_protocols.clone_from(&ordinary.alpn_protocols);
    Ok(config)
}
