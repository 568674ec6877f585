//! Certificates and cases as data, and their encoding.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use time::{Duration, OffsetDateTime};

use crate::clients::der;
use crate::clients::keys::{Key, Keys, Kind};

pub(crate) mod extension;
pub(crate) mod name;

pub(crate) use extension::{Extension, Value};
pub(crate) use name::Name;

/// Default host of a case.
pub(crate) const HOST: &str = "www.example.test";

/// ub-organization-name (RFC 5280 appendix A.1).
const MAX_ORGANIZATION: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512T256,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Hash {
    pub(crate) fn openssl(self) -> &'static str {
        match self {
            Self::Md5 => "-md5",
            Self::Sha1 => "-sha1",
            Self::Sha224 => "-sha224",
            Self::Sha256 => "-sha256",
            Self::Sha384 => "-sha384",
            Self::Sha512 => "-sha512",
            Self::Sha512T256 => "-sha512-256",
            Self::Sha3_256 => "-sha3-256",
            Self::Sha3_384 => "-sha3-384",
            Self::Sha3_512 => "-sha3-512",
        }
    }

    /// Length of the digest in octets.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 | Self::Sha512T256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    fn oid(self) -> &'static str {
        match self {
            Self::Md5 => "1.2.840.113549.2.5",
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha224 => "2.16.840.1.101.3.4.2.4",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
            Self::Sha512T256 => "2.16.840.1.101.3.4.2.6",
            Self::Sha3_256 => "2.16.840.1.101.3.4.2.8",
            Self::Sha3_384 => "2.16.840.1.101.3.4.2.9",
            Self::Sha3_512 => "2.16.840.1.101.3.4.2.10",
        }
    }
}

/// Parameters of RSASSA-PSS (RFC 4055, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pss {
    pub(crate) hash: Hash,
    /// Hash of the mask generation function.
    pub(crate) mask: Hash,
    /// Length of the salt in octets.
    pub(crate) salt: u64,
}

impl Pss {
    /// One hash, and a salt of its length.
    pub(crate) fn of(hash: Hash) -> Self {
        Self {
            hash,
            mask: hash,
            salt: hash.size(),
        }
    }
}

/// Signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Rsa(Hash),
    Pss(Hash),
    PssWith(Pss),
    Ecdsa(Hash),
    Dsa(Hash),
    Ed25519,
    Ed448,
}

impl Scheme {
    /// The default scheme of a key.
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::P384 => Self::Ecdsa(Hash::Sha384),
            Kind::P521 => Self::Ecdsa(Hash::Sha512),
            Kind::P256 | Kind::Curve(_) | Kind::ExplicitP256 => Self::Ecdsa(Hash::Sha256),
            Kind::Ed25519 => Self::Ed25519,
            Kind::Ed448 => Self::Ed448,
            Kind::RsaPss | Kind::RsaPssSha256 => Self::Pss(Hash::Sha256),
            Kind::Rsa(_) | Kind::RsaExponent(_) | Kind::RsaExponent3 | Kind::RsaExponent1 => {
                Self::Rsa(Hash::Sha256)
            }
            Kind::Dsa => Self::Dsa(Hash::Sha256),
        }
    }

    /// The AlgorithmIdentifier (RFC 3279, 4055, 5758, 8410).
    pub(crate) fn identifier(self) -> Vec<u8> {
        let bare = |oid: &str| der::sequence(&[der::oid(oid)]);
        let sha3 = |last: u8| {
            let oid = format!("2.16.840.1.101.3.4.3.{last}");
            der::sequence(&[der::oid(&oid), der::null()])
        };
        match self {
            Self::Rsa(hash) => {
                let last = match hash {
                    Hash::Md5 => 4,
                    Hash::Sha1 => 5,
                    Hash::Sha224 => 14,
                    Hash::Sha256 => 11,
                    Hash::Sha384 => 12,
                    Hash::Sha512 => 13,
                    Hash::Sha512T256 => 16,
                    Hash::Sha3_256 => return sha3(14),
                    Hash::Sha3_384 => return sha3(15),
                    Hash::Sha3_512 => return sha3(16),
                };
                der::sequence(&[der::oid(&format!("1.2.840.113549.1.1.{last}")), der::null()])
            }
            Self::Pss(hash) => Self::PssWith(Pss::of(hash)).identifier(),
            Self::PssWith(Pss { hash, mask, salt }) => {
                let hashed = der::sequence(&[der::oid(hash.oid()), der::null()]);
                let mask = der::sequence(&[der::oid(mask.oid()), der::null()]);
                let masked = der::sequence(&[der::oid("1.2.840.113549.1.1.8"), mask]);
                der::sequence(&[
                    der::oid("1.2.840.113549.1.1.10"),
                    der::sequence(&[
                        der::explicit(0, &hashed),
                        der::explicit(1, &masked),
                        der::explicit(2, &der::integer(salt)),
                    ]),
                ])
            }
            Self::Ecdsa(Hash::Sha1) => bare("1.2.840.10045.4.1"),
            Self::Ecdsa(Hash::Sha3_256) => bare("2.16.840.1.101.3.4.3.10"),
            Self::Ecdsa(Hash::Sha3_384) => bare("2.16.840.1.101.3.4.3.11"),
            Self::Ecdsa(Hash::Sha3_512) => bare("2.16.840.1.101.3.4.3.12"),
            Self::Ecdsa(hash) => {
                let last = match hash {
                    Hash::Sha224 => 1,
                    Hash::Sha256 => 2,
                    Hash::Sha384 => 3,
                    _ => 4,
                };
                bare(&format!("1.2.840.10045.4.3.{last}"))
            }
            Self::Dsa(Hash::Sha1) => bare("1.2.840.10040.4.3"),
            Self::Dsa(_) => bare("2.16.840.1.101.3.4.3.2"),
            Self::Ed25519 => bare("1.3.101.112"),
            Self::Ed448 => bare("1.3.101.113"),
        }
    }
}

/// Encoding of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By RFC 5280 section 4.1.2.5: UTCTime until 2049, GeneralizedTime after.
    Standard,
    Generalized,
    GeneralizedNoSeconds,
    GeneralizedFraction,
    GeneralizedOffset,
    GeneralizedLocal,
    UtcNoSeconds,
    UtcOffset,
    UtcNoZone,
}

/// A time, in days after the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) days: i64,
    pub(crate) form: Form,
}

pub(crate) fn days(days: i64) -> Time {
    Time {
        days,
        form: Form::Standard,
    }
}

impl Time {
    pub(crate) fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    fn encode(self, now: OffsetDateTime) -> Vec<u8> {
        let at = now + Duration::days(self.days);
        let utc = matches!(
            self.form,
            Form::UtcNoSeconds | Form::UtcOffset | Form::UtcNoZone
        ) || self.form == Form::Standard && (1950..2050).contains(&at.year());
        let date = format!("{:02}{:02}", u8::from(at.month()), at.day());
        let year = if utc {
            format!("{:02}", at.year() % 100)
        } else {
            format!("{:04}", at.year())
        };
        let minutes = format!("{:02}{:02}", at.hour(), at.minute());
        let rest = match self.form {
            Form::Standard | Form::Generalized => format!("{:02}Z", at.second()),
            Form::GeneralizedNoSeconds | Form::UtcNoSeconds => "Z".into(),
            Form::GeneralizedFraction => format!("{:02}.5Z", at.second()),
            Form::GeneralizedOffset | Form::UtcOffset => format!("{:02}+0000", at.second()),
            Form::GeneralizedLocal | Form::UtcNoZone => format!("{:02}", at.second()),
        };
        let tag = if utc { 0x17 } else { 0x18 };
        der::tlv(tag, format!("{year}{date}{minutes}{rest}").as_bytes())
    }
}

/// A function that changes a SubjectPublicKeyInfo.
pub(crate) type SpkiEdit = fn(&[u8]) -> Vec<u8>;

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct Cert {
    /// Name within the case.
    pub(crate) label: String,
    /// Label of the certificate whose key signs and whose subject is the issuer.
    pub(crate) issuer: String,
    pub(crate) subject: Name,
    /// Replaces the issuer's subject.
    pub(crate) issuer_name: Option<Name>,
    pub(crate) key: Key,
    /// Replaces the default scheme of the signer's key.
    pub(crate) scheme: Option<Scheme>,
    /// AlgorithmIdentifier inside the TBSCertificate, instead of the scheme's.
    pub(crate) inner: Option<Vec<u8>>,
    /// AlgorithmIdentifier beside the signature, instead of the scheme's.
    pub(crate) outer: Option<Vec<u8>>,
    /// The INTEGER of the version; `None` omits it (version 1).
    pub(crate) version: Option<u8>,
    /// Content octets of the serial number; `None` for a pseudo-random one.
    pub(crate) serial: Option<Vec<u8>>,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) extensions: Vec<Extension>,
    /// Writes the list of extensions even if it is empty.
    pub(crate) empty_extensions: bool,
    pub(crate) unique_ids: bool,
    /// Position of a field of the TBSCertificate whose length is encoded in more octets than it needs.
    pub(crate) long_field: Option<usize>,
    /// Bytes after the certificate.
    pub(crate) trailing: Vec<u8>,
    /// Bytes after the extensions, inside the TBSCertificate.
    pub(crate) tbs_trailing: Vec<u8>,
    pub(crate) bad_signature: bool,
    /// Changes the key's own SubjectPublicKeyInfo.
    pub(crate) spki: Option<SpkiEdit>,
}

impl Cert {
    pub(crate) fn set(&mut self, extension: Extension) -> &mut Self {
        match self.extensions.iter_mut().find(|e| e.oid == extension.oid) {
            Some(old) => *old = extension,
            None => self.extensions.push(extension),
        }
        self
    }

    pub(crate) fn add(&mut self, extension: Extension) -> &mut Self {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn remove(&mut self, oid: &str) -> &mut Self {
        self.extensions.retain(|e| e.oid != oid);
        self
    }

    pub(crate) fn critical(&mut self, oid: &str, critical: bool) -> &mut Self {
        for extension in self.extensions.iter_mut().filter(|e| e.oid == oid) {
            extension.critical = critical;
        }
        self
    }

    pub(crate) fn kind(&mut self, kind: Kind) -> &mut Self {
        self.key.kind = kind;
        self
    }

    pub(crate) fn valid(&mut self, not_before: i64, not_after: i64) -> &mut Self {
        self.not_before = days(not_before);
        self.not_after = days(not_after);
        self
    }
}

/// A certificate path, the served certificates, and the trusted roots.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) certs: Vec<Cert>,
    /// Labels, in the order of the handshake.
    pub(crate) served: Vec<String>,
    /// An entry of the handshake that is no certificate, and its position.
    pub(crate) junk: Option<(usize, Vec<u8>)>,
    /// Labels of the roots that the clients trust.
    pub(crate) roots: Vec<String>,
}

/// The encoded certificates of a case.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) served: Vec<Vec<u8>>,
    pub(crate) roots: Vec<Vec<u8>>,
}

impl Case {
    /// A valid path: root, intermediate, leaf. Every case has its own names.
    pub(crate) fn standard(id: &str) -> Self {
        let mut case = Self {
            id: id.to_owned(),
            host: HOST.to_owned(),
            certs: Vec::new(),
            served: vec!["leaf".into(), "intermediate".into()],
            junk: None,
            roots: vec!["root".into()],
        };
        case.push_ca("root", "root");
        case.push_ca("intermediate", "root");
        case.push_leaf("leaf", "intermediate");
        case
    }

    pub(crate) fn push_ca(&mut self, label: &str, issuer: &str) -> &mut Cert {
        let mut cert = self.blank(label, issuer);
        cert.subject = Name::plain(&self.organization(), label);
        cert.valid(-400, if label == issuer { 3650 } else { 1500 });
        cert.extensions = vec![
            extension::basic_constraints(Some(true), None).into_critical(),
            extension::key_usage(&[extension::KEY_CERT_SIGN, extension::CRL_SIGN]).into_critical(),
            extension::subject_key_id(),
        ];
        if label != issuer {
            cert.add(extension::authority_key_id());
        }
        self.push(cert)
    }

    pub(crate) fn push_leaf(&mut self, label: &str, issuer: &str) -> &mut Cert {
        let mut cert = self.blank(label, issuer);
        cert.subject = Name::plain(&self.organization(), &self.host);
        cert.valid(-30, 60);
        cert.extensions = vec![
            extension::basic_constraints(None, None).into_critical(),
            extension::key_usage(&[extension::DIGITAL_SIGNATURE]).into_critical(),
            extension::extended_key_usage(&[extension::SERVER_AUTH]),
            extension::subject_key_id(),
            extension::authority_key_id(),
            extension::dns_names(&[&self.host]),
        ];
        self.push(cert)
    }

    fn blank(&self, label: &str, issuer: &str) -> Cert {
        Cert {
            label: label.into(),
            issuer: issuer.into(),
            subject: Name(Vec::new()),
            issuer_name: None,
            key: Key {
                kind: Kind::P256,
                name: label.into(),
            },
            scheme: None,
            inner: None,
            outer: None,
            version: Some(2),
            serial: None,
            not_before: days(-1),
            not_after: days(1),
            extensions: Vec::new(),
            empty_extensions: false,
            unique_ids: false,
            long_field: None,
            trailing: Vec::new(),
            tbs_trailing: Vec::new(),
            bad_signature: false,
            spki: None,
        }
    }

    fn push(&mut self, cert: Cert) -> &mut Cert {
        self.certs.push(cert);
        self.certs.last_mut().unwrap()
    }

    /// The certificate with this label.
    pub(crate) fn at(&mut self, label: &str) -> &mut Cert {
        let id = &self.id;
        self.certs
            .iter_mut()
            .find(|c| c.label == label)
            .unwrap_or_else(|| panic!("{id}: no certificate {label}"))
    }

    pub(crate) fn get(&self, label: &str) -> &Cert {
        let id = &self.id;
        self.certs
            .iter()
            .find(|c| c.label == label)
            .unwrap_or_else(|| panic!("{id}: no certificate {label}"))
    }

    pub(crate) fn copy(&mut self, of: &str, label: &str) -> &mut Cert {
        let mut cert = self.get(of).clone();
        cert.label = label.into();
        self.push(cert)
    }

    pub(crate) fn serve(&mut self, labels: &[&str]) -> &mut Self {
        self.served = labels.iter().map(|l| (*l).to_owned()).collect();
        self
    }

    pub(crate) fn trust(&mut self, labels: &[&str]) -> &mut Self {
        self.roots = labels.iter().map(|l| (*l).to_owned()).collect();
        self
    }

    /// The organization in the case's names: the name of the case, truncated to the X.520 limit.
    pub(crate) fn organization(&self) -> String {
        if self.id.len() <= MAX_ORGANIZATION {
            return self.id.clone();
        }
        let hash = digest(&SHA256, self.id.as_bytes());
        let hash: String = hash.as_ref()[..4]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("{}-{hash}", &self.id[..MAX_ORGANIZATION - hash.len() - 1])
    }

    /// Sets the host that the clients connect to.
    pub(crate) fn host(&mut self, host: &str) -> &mut Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Replaces the leaf's subjectAltName.
    pub(crate) fn names(&mut self, general_names: &[Vec<u8>]) -> &mut Self {
        let san = extension::subject_alt_name(general_names);
        self.at("leaf").set(san);
        self
    }

    /// Key of the served leaf.
    pub(crate) fn leaf_key(&self) -> &Key {
        &self.get(&self.served[0]).key
    }

    pub(crate) fn build(&self, keys: &Keys, now: OffsetDateTime) -> Built {
        let all: BTreeMap<&str, Vec<u8>> = self
            .certs
            .iter()
            .map(|c| (c.label.as_str(), self.encode(c, keys, now)))
            .collect();
        let pick = |labels: &[String]| -> Vec<Vec<u8>> {
            labels.iter().map(|l| all[l.as_str()].clone()).collect()
        };
        let mut served = pick(&self.served);
        if let Some((at, bytes)) = &self.junk {
            served.insert(*at, bytes.clone());
        }
        Built {
            served,
            roots: pick(&self.roots),
        }
    }

    fn serial(&self, cert: &Cert) -> Vec<u8> {
        cert.serial.clone().unwrap_or_else(|| {
            let name = format!("{} {}", self.id, cert.label);
            let mut serial = digest(&SHA256, name.as_bytes()).as_ref()[..12].to_vec();
            serial[0] = serial[0] & 0x3f | 0x40;
            serial
        })
    }

    fn encode(&self, cert: &Cert, keys: &Keys, now: OffsetDateTime) -> Vec<u8> {
        let issuer = self.get(&cert.issuer);
        let scheme = cert.scheme.unwrap_or_else(|| Scheme::of(issuer.key.kind));
        let key = |c: &Cert| {
            let own = keys.spki(&c.key);
            c.spki.map_or_else(|| own.clone(), |edit| edit(&own))
        };
        let algorithm = |own: &Option<Vec<u8>>| own.clone().unwrap_or_else(|| scheme.identifier());
        let mut tbs = Vec::new();
        if let Some(version) = cert.version {
            tbs.push(der::explicit(0, &der::tlv(2, &[version])));
        }
        tbs.push(der::tlv(2, &self.serial(cert)));
        tbs.push(algorithm(&cert.inner));
        tbs.push(
            cert.issuer_name
                .as_ref()
                .unwrap_or(&issuer.subject)
                .encode(),
        );
        tbs.push(der::sequence(&[
            cert.not_before.encode(now),
            cert.not_after.encode(now),
        ]));
        tbs.push(cert.subject.encode());
        tbs.push(key(cert));
        if cert.unique_ids {
            tbs.push(der::implicit(1, &[0, 0x12, 0x34]));
            tbs.push(der::implicit(2, &[0, 0x56, 0x78]));
        }
        if !cert.extensions.is_empty() || cert.empty_extensions {
            let list: Vec<Vec<u8>> = cert
                .extensions
                .iter()
                .map(|e| e.encode(|value| self.derived(value, cert, issuer, &key)))
                .collect();
            tbs.push(der::explicit(3, &der::sequence(&list)));
        }
        tbs.push(cert.tbs_trailing.clone());
        if let Some(field) = cert.long_field.and_then(|at| tbs.get_mut(at)) {
            *field = der::with_long_length(field);
        }
        let tbs = der::sequence(&tbs);
        let mut signature = keys.sign(&issuer.key, scheme, &tbs);
        if cert.bad_signature {
            // The structure of an ECDSA signature remains valid; only a number changes.
            *signature.last_mut().unwrap() ^= 1;
        }
        let whole = der::sequence(&[tbs, algorithm(&cert.outer), der::bits(&signature)]);
        [whole, cert.trailing.clone()].concat()
    }

    /// An extension value that depends on keys or on the issuer.
    fn derived(
        &self,
        value: &Value,
        cert: &Cert,
        issuer: &Cert,
        key: &impl Fn(&Cert) -> Vec<u8>,
    ) -> Vec<u8> {
        match value {
            Value::Bytes(bytes) => bytes.clone(),
            Value::OwnKeyId => der::octets(&key_id(&key(cert))),
            Value::IssuerKeyId => der::sequence(&[der::implicit(0, &key_id(&key(issuer)))]),
            Value::IssuerAndSerial => {
                let above = self.get(&issuer.issuer);
                let name = issuer.issuer_name.as_ref().unwrap_or(&above.subject);
                der::sequence(&[
                    der::explicit(1, &der::explicit(4, &name.encode())),
                    der::implicit(2, &self.serial(issuer)),
                ])
            }
        }
    }
}

/// SHA-1 of the key's bits (RFC 5280 section 4.2.1.2, method 1).
fn key_id(spki: &[u8]) -> Vec<u8> {
    let bits = der::skip(der::content(spki));
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &der::content(bits)[1..])
        .as_ref()
        .to_vec()
}
