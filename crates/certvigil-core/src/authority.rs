//! A certificate authority for the testbed: roots, intermediates and leaves, valid and invalid.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SigningKey as _,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::certificate::{Certificate, PublicKeyHash};
use crate::model::Timestamp;

const DAY: i64 = 86_400;

/// Validity period of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// notBefore: the first valid second.
    pub not_before: Timestamp,
    /// notAfter: the last valid second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Returns the period from `days_before` days before `now` to `days_after` days after it.
    /// Negative numbers move to the other side of `now`.
    pub fn around(now: Timestamp, days_before: i64, days_after: i64) -> Self {
        Self {
            not_before: Timestamp(now.0 - days_before * DAY),
            not_after: Timestamp(now.0 + days_after * DAY),
        }
    }
}

/// A private key. Cheap to clone, so that a reissued certificate can keep it.
#[derive(Clone)]
pub struct Key(Arc<KeyPair>);

impl Key {
    /// Generates an EC P-256 key.
    pub fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate().map(|pair| Self(Arc::new(pair)))
    }

    /// Reads a private key from PEM (PKCS#8).
    ///
    /// # Errors
    /// If the text is not a private key.
    pub fn from_pem(pem: &str) -> Result<Self, rcgen::Error> {
        KeyPair::from_pem(pem).map(|pair| Self(Arc::new(pair)))
    }

    /// Returns the key for a TLS server.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }

    /// Returns a certificate signing request for these names, as PEM.
    pub fn request(&self, names: &[String]) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        set_common_name(&mut params, names);
        params.serialize_request(&*self.0)?.pem()
    }

    /// Returns the hash of the public key.
    pub fn public_key_hash(&self) -> PublicKeyHash {
        PublicKeyHash::of(&self.0.subject_public_key_info())
    }

    /// Calls a function with the key, which signs what the caller builds.
    pub fn signing<T>(&self, sign: impl FnOnce(&KeyPair) -> T) -> T {
        sign(&self.0)
    }

    /// Signs bytes: ECDSA with P-256 and SHA-256 for a generated key.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }

    /// Returns the key as PEM, for servers that read files.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }
}

/// A leaf with its key.
#[derive(Clone)]
pub struct Issued {
    /// The leaf.
    pub certificate: Certificate,
    /// Its key.
    pub key: Key,
}

/// A root or an intermediate, with its key.
pub struct Authority {
    /// Its certificate.
    pub certificate: Certificate,
    params: CertificateParams,
    key: Key,
}

impl Authority {
    /// Creates a self-signed root.
    pub fn root(name: &str, validity: Validity) -> Result<Self, rcgen::Error> {
        let key = Key::generate()?;
        let params = authority_params(name, validity);
        let signed = params.self_signed(&*key.0)?;
        Ok(Self {
            certificate: Certificate::from_der(signed.der().to_vec()),
            params,
            key,
        })
    }

    /// Returns a stored authority. `name` is the common name of its certificate.
    pub fn restored(name: &str, certificate: Certificate, key: Key) -> Self {
        // The validity of the issuer is no part of the certificates that it signs.
        let any = Validity::around(Timestamp(0), 0, 1);
        Self {
            certificate,
            params: authority_params(name, any),
            key,
        }
    }

    /// Issues an intermediate.
    pub fn intermediate(&self, name: &str, validity: Validity) -> Result<Self, rcgen::Error> {
        let key = Key::generate()?;
        let params = authority_params(name, validity);
        let signed = params.signed_by(&*key.0, &self.issuer())?;
        Ok(Self {
            certificate: Certificate::from_der(signed.der().to_vec()),
            params,
            key,
        })
    }

    /// Issues a cross-certificate: another certificate for another authority's name and key, signed
    /// by this authority.
    pub fn cross_sign(
        &self,
        other: &Self,
        validity: Validity,
    ) -> Result<Certificate, rcgen::Error> {
        let mut params = other.params.clone();
        set_validity(&mut params, validity);
        let signed = params.signed_by(&*other.key.0, &self.issuer())?;
        Ok(Certificate::from_der(signed.der().to_vec()))
    }

    /// Issues a leaf for these names. The first is its common name.
    pub fn issue(
        &self,
        names: &[String],
        validity: Validity,
        key: &Key,
    ) -> Result<Issued, rcgen::Error> {
        let signed = leaf_params(names, validity)?.signed_by(&*key.0, &self.issuer())?;
        Ok(Issued {
            certificate: Certificate::from_der(signed.der().to_vec()),
            key: key.clone(),
        })
    }

    /// Issues an intermediate with this path length constraint.
    pub fn bounded_intermediate(
        &self,
        name: &str,
        validity: Validity,
        authorities_below: u8,
    ) -> Result<Self, rcgen::Error> {
        let key = Key::generate()?;
        let mut params = authority_params(name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(authorities_below));
        let signed = params.signed_by(&*key.0, &self.issuer())?;
        Ok(Self {
            certificate: Certificate::from_der(signed.der().to_vec()),
            params,
            key,
        })
    }

    /// Returns the key, for tools that sign certificates that [`Authority::issue`] cannot make.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the issuer for certificates and revocation lists that the caller builds.
    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &*self.key.0)
    }
}

/// Returns a leaf signed with its own key.
pub fn self_signed(
    names: &[String],
    validity: Validity,
    key: &Key,
) -> Result<Issued, rcgen::Error> {
    let signed = leaf_params(names, validity)?.self_signed(&*key.0)?;
    Ok(Issued {
        certificate: Certificate::from_der(signed.der().to_vec()),
        key: key.clone(),
    })
}

/// Returns a leaf signed with another leaf's key, although that leaf is not an authority.
pub fn signed_by_leaf(
    issuer: &Issued,
    names: &[String],
    validity: Validity,
) -> Result<Issued, rcgen::Error> {
    let key = Key::generate()?;
    let name = issuer
        .certificate
        .facts()
        .ok()
        .and_then(|f| f.common_name.clone());
    let issuer_params = authority_params(&name.unwrap_or_default(), validity);
    let issuer = Issuer::from_params(&issuer_params, &*issuer.key.0);
    let signed = leaf_params(names, validity)?.signed_by(&*key.0, &issuer)?;
    Ok(Issued {
        certificate: Certificate::from_der(signed.der().to_vec()),
        key,
    })
}

fn authority_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    set_common_name(&mut params, &[name.to_owned()]);
    set_validity(&mut params, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(names: &[String], validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    set_common_name(&mut params, names);
    set_validity(&mut params, validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Sets the first name as the common name.
fn set_common_name(params: &mut CertificateParams, names: &[String]) {
    let name = names.first().map_or("", String::as_str);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    // The library's default stays if the year cannot be encoded.
    if let (Ok(begin), Ok(end)) = (datetime(validity.not_before), datetime(validity.not_after)) {
        params.not_before = begin;
        params.not_after = end;
    }
}

fn datetime(at: Timestamp) -> Result<OffsetDateTime, time::error::ComponentRange> {
    OffsetDateTime::from_unix_timestamp(at.0)
}
