//! Certificates that a testbed puts into its account.

use crate::certificate::{Certificate, PublicKeyHash};
use crate::instance::State;

/// Certificate object of one common name.
#[derive(Clone, Debug)]
pub struct AccountCertificate {
    /// Additional names. `None` stands for SSLMate's default ones.
    pub sans: Option<Vec<String>>,
    /// Certificate signing request of the certificate object, as PEM.
    pub csr: String,
    /// Public key of that request.
    pub key: PublicKeyHash,
    /// Instances, oldest first. Of several active ones, the newest is the current one.
    pub instances: Vec<AccountInstance>,
}

/// Instance of a certificate.
#[derive(Clone, Debug)]
pub struct AccountInstance {
    /// Number of the instance.
    pub id: u64,
    /// State in the life cycle.
    pub state: State,
    /// Leaf certificate. The temporary one while the instance is pending.
    pub leaf: Certificate,
    /// Intermediate certificates.
    pub chain: Vec<Certificate>,
    /// Root certificate. `None` while the instance is pending.
    pub root: Option<Certificate>,
    /// Certificate signing request of the instance, as PEM.
    pub csr: String,
}
