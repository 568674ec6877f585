//! Servers that ask for a client certificate.

use crate::fixture::check::Check;
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::tls::config;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use std::sync::{Arc, Mutex};

/// A server that requires a client certificate.
pub(crate) fn config_requiring_client_certificate(
    pki: &Pki,
    leaf: &Leaf,
    guard: Arc<Guard>,
) -> ServerConfig {
    ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(guard)
        .with_cert_resolver(config(pki, leaf).cert_resolver.clone())
}

/// A verifier that accepts any client that has the key of its certificate, whatever the certificate
/// is for.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    proved: Mutex<Vec<Vec<u8>>>,
    /// True if the issuer of every client certificate is unknown.
    is_refusing: bool,
}

impl Guard {
    /// Creates a verifier that knows no issuer of client certificates.
    pub(crate) fn refusing() -> Self {
        Self {
            is_refusing: true,
            ..Self::default()
        }
    }

    /// Asserts that a check is ok without and with a client certificate, and that the client proved
    /// possession of its key.
    pub(crate) fn assert_accepts_clients(&self, pki: &Pki, check: impl Fn() -> Check) {
        let client = pki.leaf(&["client.example.com"]);
        check().row().assert_right(&[]);
        let chain = pki.full_chain(&client);
        let row = check().arg("--client-cert").arg(&chain).arg("--client-key");
        row.arg(&client.key).row().assert_right(&[]);
        self.assert_saw(&client);
    }

    /// Asserts that this client proved possession of its key, and no other did.
    pub(crate) fn assert_saw(&self, client: &Leaf) {
        let proved = wait_until("the server has seen the proof", || {
            let proved = self.proved.lock().unwrap().clone();
            (!proved.is_empty()).then_some(proved)
        });
        assert_eq!(proved, [client.certificate.der().to_vec()]);
    }

    /// Waits until this client has proved possession of its key.
    pub(crate) fn wait_until_saw(&self, client: &Leaf) {
        wait_until("the server has seen the proof", || {
            let proved = self.proved.lock().unwrap();
            let is_of_client = |der: &Vec<u8>| der.as_slice() == client.certificate.der();
            proved.iter().any(is_of_client).then_some(())
        });
    }

    pub(crate) fn note(
        &self,
        certificate: &CertificateDer<'_>,
        checked: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = checked?;
        self.proved.lock().unwrap().push(certificate.to_vec());
        Ok(valid)
    }
}

impl ClientCertVerifier for Guard {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.is_refusing {
            return Err(CertificateError::UnknownIssuer.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        let checked = verify_tls12_signature(message, certificate, signed, &algorithms);
        self.note(certificate, checked)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        let checked = verify_tls13_signature(message, certificate, signed, &algorithms);
        self.note(certificate, checked)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Settings of a server that asks for a client certificate.
pub(crate) fn asking(pki: &Pki, leaf: &Leaf, guard: Arc<Guard>) -> Arc<ServerConfig> {
    asking_with(pki, leaf, guard, rustls::ALL_VERSIONS)
}

/// Settings of a server with these versions that asks for a client certificate.
pub(crate) fn asking_with(
    pki: &Pki,
    leaf: &Leaf,
    guard: Arc<Guard>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider().into());
    let config = builder
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(guard)
        .with_cert_resolver(config(pki, leaf).cert_resolver.clone());
    config.into()
}

pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
