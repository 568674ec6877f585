//! Account of the SSLMate service as a pure state machine: requests in, responses and deliveries
//! out. Time and policy are arguments; keys, signatures and random numbers come from [`Issuing`].

mod arguments;
mod check;
mod error;
mod expand;
mod life;
mod orders;
mod request;
mod seed;
mod update;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use certvigil_core::certificate::SigningRequest;
use certvigil_core::model::Timestamp;

pub use arguments::Body;
pub use error::{ApiError, CsrError};
pub use expand::Expand;
pub use request::{Call, Method, Parsed, Request, Which, parse};
pub use seed::NewInstance;
pub use update::Change;
pub use view::test_row;

/// Maximum certificate objects of an account.
pub const MAX_CERTIFICATES: usize = 10_000;
/// Maximum instances of one certificate object.
pub const MAX_INSTANCES: usize = 1000;

/// Content of an account. A clone shares the unchanged certificates and instances, so that a change
/// can be stored before it takes effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Numbers for the next objects.
    pub numbers: Numbers,
    /// Certificate objects by common name.
    pub certificates: BTreeMap<String, Arc<CertificateRecord>>,
    /// Webhook deliveries that have not succeeded, by number.
    pub deliveries: BTreeMap<u64, Arc<Delivery>>,
}

/// Numbers for the next objects of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// ID of the next instance.
    pub instance: u64,
    /// Number of the next invoice.
    pub invoice: u64,
    /// Number of the next webhook delivery.
    pub delivery: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            instance: 1,
            invoice: 1001,
            delivery: 1,
        }
    }
}

/// Certificate object with its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Secret part of the download URL.
    pub token: String,
    /// CSR as PEM.
    pub csr: String,
    /// Hash of the CSR's public key in hex.
    pub pubkey_hash: String,
    /// Verification of the common name.
    pub approval: Approval,
    /// Type of future instances.
    pub kind: Kind,
    /// Additional names. `None` stands for the default ones.
    pub sans: Option<Vec<San>>,
    /// True if the certificate is renewed automatically.
    pub auto_renew: bool,
    /// True if expiration reminders are not sent.
    pub muted: bool,
    /// User-defined tags.
    pub tags: BTreeSet<String>,
    /// Instances, oldest first. They are stored separately.
    #[serde(skip)]
    pub instances: Vec<Arc<InstanceRecord>>,
}

/// Certificate instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Unique ID.
    pub id: u64,
    /// State in the life cycle.
    pub state: State,
    /// Origin.
    pub source: Source,
    /// Type. `None` only for an imported instance.
    pub kind: Option<Kind>,
    /// Additional names. `None` stands for the default ones.
    pub sans: Option<Vec<San>>,
    /// CSR as PEM. Empty for an imported instance without one.
    pub csr: String,
    /// Hash of the public key in hex.
    pub pubkey_hash: String,
    /// Verification of the common name. `None` for an imported instance.
    pub approval: Option<Approval>,
    /// Temporary certificate while the instance is pending, then the issued one.
    pub certificate: Signed,
    /// Expiry of the certificate that will be issued.
    pub expiry: Expiry,
    /// Time of the automatic approval of a pending instance. `None` without automatic approval.
    pub approved_at: Option<i64>,
    /// Number of the invoice.
    pub invoice: Option<u64>,
    /// Time of the revocation.
    pub revoked_at: Option<i64>,
}

/// State of an instance, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Ordered, waiting for approval.
    Pending,
    /// Issued; the current one.
    Active,
    /// Expired while it was active.
    Expired,
    /// Revoked.
    Revoked,
    /// Never issued, or replaced by a newer instance.
    Canceled,
}

/// Origin of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Bought or reissued here.
    Sslmate,
    /// Imported from another vendor.
    Import,
}

/// Type of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Domain validated.
    Dv,
    /// Extended validation.
    Ev,
}

/// Verification of the control over a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// E-mail to this address.
    Email(String),
    /// File on the HTTP server.
    Http,
    /// DNS record.
    Dns,
}

/// Additional subject alternative name: a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct San {
    /// The name.
    pub value: String,
    /// Verification of the name.
    pub approval: Approval,
}

/// Expiry of a certificate that is not issued yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Seconds after it is issued: a bought certificate.
    After(i64),
    /// Unix time: a reissued certificate.
    At(i64),
}

/// Certificate with its chain, in PEM, and the facts that the API reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// True for the temporary certificate of a pending instance.
    pub is_temporary: bool,
    /// Leaf.
    pub crt: String,
    /// Intermediates, the leaf's issuer first.
    pub chain: Vec<String>,
    /// Root. Empty if it is unknown.
    pub root: String,
    /// SHA-1 of the leaf in hex.
    pub sha1: String,
    /// SHA-256 of the leaf in hex.
    pub sha256: String,
    /// Serial number in hex.
    pub serial: String,
    /// Start of the validity as Unix time.
    pub not_before: i64,
    /// End of the validity as Unix time.
    pub not_after: i64,
}

/// Webhook request that has not succeeded yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// URL of the webhook.
    pub url: String,
    /// Common name of the certificate.
    pub cn: String,
    /// Certificate object as JSON.
    pub body: String,
    /// Failed attempts.
    pub failures: u32,
    /// Unix time of the next attempt.
    pub next_at: i64,
}

/// Certificate to sign.
#[derive(Debug)]
pub struct Order<'a> {
    /// Common name, followed by the additional names.
    pub names: Vec<String>,
    /// Request with the key.
    pub request: &'a SigningRequest,
    /// Country of the subject.
    pub country: String,
    /// Start of the validity.
    pub not_before: Timestamp,
    /// End of the validity.
    pub not_after: Timestamp,
}

/// Source of signatures and random numbers.
pub trait Issuing {
    /// Issues a certificate.
    ///
    /// # Errors
    /// If it cannot be signed.
    fn issue(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError>;

    /// Signs a temporary certificate, whose issuer is its subject.
    ///
    /// # Errors
    /// If it cannot be signed.
    fn temporary(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError>;

    /// Returns a secret of at least 128 bits in hex.
    fn token(&mut self) -> String;
}

/// Reason for which a certificate cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the sandbox cannot sign a certificate: {0}")]
pub struct IssuingError(pub String);

/// Settings of a sandbox that the account's behaviour depends on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Seconds from an order to its automatic approval. `None` without automatic approval.
    pub approval_delay: Option<i64>,
    /// Lifetime of bought certificates, in seconds.
    pub lifetime: i64,
    /// URL of the sandbox without a path.
    pub origin: String,
    /// URLs of the webhooks.
    pub webhooks: Vec<String>,
    /// Distinguished name for CSRs, without the common name.
    pub dn: BTreeMap<String, String>,
}

impl Policy {
    /// Lifetime of bought certificates according to the reference: one year, in seconds.
    pub const YEAR: i64 = 365 * 86_400;
    /// Default delay of the approval, in seconds.
    pub const DEFAULT_APPROVAL_DELAY: i64 = 2;

    /// Creates the default policy for a sandbox at this URL.
    pub fn new(origin: String) -> Self {
        Self {
            approval_delay: Some(Self::DEFAULT_APPROVAL_DELAY),
            lifetime: Self::YEAR,
            origin,
            webhooks: Vec::new(),
            dn: BTreeMap::from([("C".into(), "US".into())]),
        }
    }
}

/// Arguments of a transition: policy, time and signer.
pub struct Context<'a> {
    /// Settings.
    pub policy: &'a Policy,
    /// Current time.
    pub now: Timestamp,
    /// Source of signatures and random numbers.
    pub issuing: &'a mut dyn Issuing,
}

impl State {
    /// Returns the name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Canceled => "canceled",
        }
    }
}

impl Kind {
    /// Returns the name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dv => "dv",
            Self::Ev => "ev",
        }
    }
}

impl Approval {
    /// Returns the name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Http => "http",
            Self::Dns => "dns",
        }
    }

    /// Returns the address of an approval by e-mail.
    pub fn email(&self) -> Option<&str> {
        match self {
            Self::Email(address) => Some(address),
            Self::Http | Self::Dns => None,
        }
    }
}

impl InstanceRecord {
    /// Returns the time from which an active instance is `expiring`: 30 days before its expiry, or
    /// the last third of a short lifetime.
    pub fn expiring_from(&self) -> i64 {
        const LONG: i64 = 30 * 86_400;
        let lifetime = self.certificate.not_after - self.certificate.not_before;
        self.certificate.not_after - LONG.min(lifetime / 3)
    }
}

impl CertificateRecord {
    /// Returns the active instance.
    pub fn current(&self) -> Option<&InstanceRecord> {
        self.in_state(State::Active)
    }

    /// Returns the pending instance.
    pub fn pending(&self) -> Option<&InstanceRecord> {
        self.in_state(State::Pending)
    }

    fn in_state(&self, state: State) -> Option<&InstanceRecord> {
        let newest_first = self.instances.iter().rev();
        newest_first.map(Arc::as_ref).find(|i| i.state == state)
    }

    /// Returns the instance with this ID.
    pub fn instance(&self, id: u64) -> Option<&InstanceRecord> {
        let found = self.instances.iter().find(|i| i.id == id);
        found.map(Arc::as_ref)
    }

    /// Returns the instance with this public key. The reference requires: "If a certificate has
    /// more than one instance with the requested pubkey_hash, then the most recent active instance
    /// is returned."
    pub fn instance_by_key(&self, hash: &str) -> Option<&InstanceRecord> {
        let newest_first = || {
            let all = self.instances.iter().rev().map(Arc::as_ref);
            all.filter(|i| i.pubkey_hash == hash)
        };
        let mut active = newest_first().filter(|i| i.state == State::Active);
        active.next().or_else(|| newest_first().next())
    }

    /// Returns the instance in this position for a change.
    fn instance_mut(&mut self, state: State) -> Option<&mut InstanceRecord> {
        let mut newest_first = self.instances.iter_mut().rev();
        newest_first.find(|i| i.state == state).map(Arc::make_mut)
    }
}

impl Account {
    /// Returns the certificate object with this common name.
    ///
    /// # Errors
    /// [`ApiError::NoSuchCertificate`] if there is none.
    pub fn certificate(&self, cn: &str) -> Result<&CertificateRecord, ApiError> {
        let found = self.certificates.get(cn).map(Arc::as_ref);
        found.ok_or_else(|| ApiError::NoSuchCertificate(cn.to_owned()))
    }

    /// Returns the certificate object with this common name for a change.
    fn certificate_mut(&mut self, cn: &str) -> Result<&mut CertificateRecord, ApiError> {
        let found = self.certificates.get_mut(cn).map(Arc::make_mut);
        found.ok_or_else(|| ApiError::NoSuchCertificate(cn.to_owned()))
    }

    /// Returns the certificate object with this download token, with its common name.
    pub fn by_token(&self, token: &str) -> Option<(&str, &CertificateRecord)> {
        let mut all = self.certificates.iter();
        let (cn, record) = all.find(|(_, record)| record.token == token)?;
        Some((cn, record))
    }
}

/// Returns all names of a certificate: the common name and the additional ones.
pub fn names(cn: &str, sans: Option<&[San]>) -> Vec<String> {
    let mut names = vec![cn.to_owned()];
    match sans {
        Some(sans) => names.extend(sans.iter().map(|san| san.value.clone())),
        None => names.push(default_san(cn)),
    }
    names
}

/// Returns the additional name according to "Default SANs" of the reference.
fn default_san(cn: &str) -> String {
    match cn.strip_prefix("www.").or_else(|| cn.strip_prefix("*.")) {
        Some(rest) => rest.to_owned(),
        None => format!("www.{cn}"),
    }
}
