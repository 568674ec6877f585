//! Certificate authority of a sandbox: the testbed's chain of a root and two intermediates, which
//! signs certificates for the keys of CSRs, a revocation list and OCSP responses.

use std::sync::Arc;

use rcgen::{
    CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber,
    SignatureAlgorithm,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use certvigil_core::certificate::{
    Certificate, Key as KeyKind, SigningRequest, parse_certificates, sha1_hex,
};
use certvigil_core::model::Timestamp;

use super::account::{Issuing, IssuingError, Order, Signed};
use super::der;
use crate::authority::{Authority, Key};
use crate::certificates::{CHAIN_NAMES, Pki};

/// Bytes of a serial number. The first bit is 0, so that it is positive, and the second 1, so that
/// it has no leading zeros.
const SERIAL_BYTES: usize = 16;
/// Bytes of a token.
const TOKEN_BYTES: usize = 20;
/// id-pe-authorityInfoAccess.
const AUTHORITY_INFO_ACCESS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-ad-ocsp and id-ad-caIssuers, content octets.
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];

/// Authorities with their keys. Cheap to clone.
#[derive(Clone)]
pub struct SandboxAuthority {
    pki: Arc<Pki>,
    /// Key that signs temporary certificates.
    temporary: Key,
    /// URL of the sandbox, for the URLs in certificates.
    origin: String,
}

/// Keys and certificates of the authorities in PEM, for storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredAuthority {
    /// Certificate and key of each authority, the root first.
    chain: Vec<(String, String)>,
    /// Key that signs temporary certificates.
    temporary: String,
}

impl SandboxAuthority {
    /// Creates new authorities.
    ///
    /// # Errors
    /// If a key or a signature cannot be created.
    pub fn new(now: Timestamp, origin: String) -> Result<Self, IssuingError> {
        let pki = Pki::new(now).map_err(failed)?;
        Self::with(Arc::new(pki), origin)
    }

    /// Creates the authority of a sandbox from the testbed's.
    ///
    /// # Errors
    /// If a key cannot be created.
    pub fn with(pki: Arc<Pki>, origin: String) -> Result<Self, IssuingError> {
        Ok(Self {
            pki,
            temporary: Key::generate().map_err(failed)?,
            origin,
        })
    }

    /// Returns stored authorities.
    ///
    /// # Errors
    /// If a key or a certificate cannot be read.
    pub(super) fn restored(stored: &StoredAuthority, origin: String) -> Result<Self, IssuingError> {
        let wrong = |why: &str| IssuingError(why.to_owned());
        let mut chain = Vec::new();
        for ((certificate, key), name) in stored.chain.iter().zip(CHAIN_NAMES) {
            let certificate = parse_certificates(certificate.as_bytes())
                .ok()
                .and_then(|all| all.into_iter().next())
                .ok_or_else(|| wrong("a stored certificate of the authority cannot be read"))?;
            let key = Key::from_pem(key).map_err(failed)?;
            chain.push(Authority::restored(name, certificate, key));
        }
        let pki =
            Pki::of_chain(chain).ok_or_else(|| wrong("the stored authority is incomplete"))?;
        Ok(Self {
            pki: Arc::new(pki),
            temporary: Key::from_pem(&stored.temporary).map_err(failed)?,
            origin,
        })
    }

    /// Returns the keys and certificates for storage.
    pub(super) fn stored(&self) -> StoredAuthority {
        let pem = |authority: &Authority| {
            let certificate = authority.certificate.to_pem();
            (certificate, authority.key().to_pem())
        };
        StoredAuthority {
            chain: self.pki.authorities().map(pem).to_vec(),
            temporary: self.temporary.to_pem(),
        }
    }

    /// Returns the root.
    pub fn root(&self) -> &Certificate {
        &self.pki.root.certificate
    }

    /// Returns the authority that issues leaves.
    pub fn issuing(&self) -> &Authority {
        self.pki.issuing()
    }

    /// Returns the testbed's authorities.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    fn params(order: &Order<'_>) -> Result<CertificateParams, IssuingError> {
        let mut params = CertificateParams::new(order.names.clone()).map_err(failed)?;
        let at = |time: Timestamp| {
            OffsetDateTime::from_unix_timestamp(time.0)
                .map_err(|error| IssuingError(error.to_string()))
        };
        params.not_before = at(order.not_before)?;
        params.not_after = at(order.not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        params.distinguished_name = subject(order);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if matches!(order.request.key, KeyKind::Rsa(_)) {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Ok(params)
    }

    /// Returns the content of the extension authorityInfoAccess (RFC 5280, section 4.2.2.1).
    fn access(&self) -> Vec<u8> {
        const URI: u8 = 0x86;
        let one = |method: &[u8], path: &str| {
            let url = format!("{}{path}", self.origin);
            let parts = [der::oid(method), der::encode(URI, url.as_bytes())];
            der::sequence(&parts.concat())
        };
        let both = [one(OCSP, "/ocsp"), one(CA_ISSUERS, "/issuer.der")];
        der::sequence(&both.concat())
    }
}

impl Issuing for SandboxAuthority {
    fn issue(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError> {
        let mut params = Self::params(order)?;
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: vec![format!("{}/crl.der", self.origin)],
        }];
        let access = CustomExtension::from_oid_content(&AUTHORITY_INFO_ACCESS, self.access());
        params.custom_extensions.push(access);
        let signed = params.signed_by(&RequestKey(order.request), &self.issuing().issuer());
        let leaf = Certificate::from_der(signed.map_err(failed)?.der().to_vec());
        let chain = self.pki.intermediates();
        let chain = chain.iter().map(Certificate::to_pem).collect();
        Ok(signed_of(&leaf, chain, self.root().to_pem(), false))
    }

    fn temporary(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError> {
        let params = Self::params(order)?;
        // The issuer is the subject, as in a self-signed certificate. The customer's private key is
        // unknown, so that a key of the sandbox signs.
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = subject(order);
        let signed = self.temporary.signing(|key| {
            params.signed_by(
                &RequestKey(order.request),
                &Issuer::from_params(&issuer, key),
            )
        });
        let leaf = Certificate::from_der(signed.map_err(failed)?.der().to_vec());
        Ok(signed_of(&leaf, Vec::new(), leaf.to_pem(), true))
    }

    fn token(&mut self) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        // A failure of the system's random numbers also fails every signature.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        hex(&bytes)
    }
}

/// Public key of a CSR, as `rcgen` takes it.
struct RequestKey<'a>(&'a SigningRequest);

impl PublicKeyData for RequestKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.key_bits()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match &self.0.key {
            KeyKind::Ec(curve, _) if curve == "P-384" => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Ec(..) => &rcgen::PKCS_ECDSA_P256_SHA256,
            _ => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

/// Returns true if the public key of a CSR has the encoding that its certificate will have, so that
/// both have the same hash.
pub(super) fn has_usual_encoding(request: &SigningRequest) -> bool {
    RequestKey(request).subject_public_key_info() == request.spki
}

/// Returns a certificate with the facts that the API reports.
pub(super) fn signed_of(
    leaf: &Certificate,
    chain: Vec<String>,
    root: String,
    is_temporary: bool,
) -> Signed {
    let facts = leaf.facts().ok();
    Signed {
        is_temporary,
        crt: leaf.to_pem(),
        chain,
        root,
        sha1: sha1_hex(leaf.der()),
        sha256: leaf.sha256().to_string(),
        serial: facts.map(|f| hex(&f.serial_der)).unwrap_or_default(),
        not_before: facts.map_or(0, |f| f.not_before.0),
        not_after: facts.map_or(0, |f| f.not_after.0),
    }
}

fn subject(order: &Order<'_>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Ok(country) = order.country.as_str().try_into() {
        name.push(DnType::CountryName, DnValue::PrintableString(country));
    }
    let cn = order.names.first().map_or("", String::as_str);
    name.push(DnType::CommonName, cn);
    name
}

fn serial() -> Result<[u8; SERIAL_BYTES], IssuingError> {
    let mut bytes = [0; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| IssuingError("the system has no random numbers".into()))?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(error: rcgen::Error) -> IssuingError {
    IssuingError(error.to_string())
}
