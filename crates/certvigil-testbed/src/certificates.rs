//! Certificates of the testbed: its authorities, and for each host a correct certificate and faulty
//! ones.

use crate::certificate::Certificate;
use crate::instance::State;
use crate::model::Timestamp;

use super::account::{AccountCertificate, AccountInstance};
use super::authority::{Authority, Issued, Key, Validity, self_signed};
use super::scenario::{Chain, Serve};

/// Common names of the authorities, the root first.
pub(crate) const CHAIN_NAMES: [&str; 3] = ["Demo Root CA", "Demo Policy CA", "Demo Issuing CA"];

/// Authorities of the testbed: a root, and two intermediates below each other.
pub struct Pki {
    /// Root that clients trust.
    pub root: Authority,
    policy: Authority,
    issuing: Authority,
}

impl Pki {
    /// Creates new authorities, valid for years before and after `now`.
    ///
    /// # Errors
    /// If a key or a signature cannot be created.
    pub fn new(now: Timestamp) -> Result<Self, rcgen::Error> {
        let validity = Validity::around(now, 1000, 3000);
        let [root, policy, issuing] = CHAIN_NAMES;
        let root = Authority::root(root, validity)?;
        let policy = root.intermediate(policy, validity)?;
        let issuing = policy.intermediate(issuing, validity)?;
        Ok(Self {
            root,
            policy,
            issuing,
        })
    }

    /// Returns the authorities with these certificates and keys, the root first.
    pub(crate) fn of_chain(chain: Vec<Authority>) -> Option<Self> {
        let [root, policy, issuing] = chain.try_into().ok()?;
        Some(Self {
            root,
            policy,
            issuing,
        })
    }

    /// Returns all authorities, the root first.
    pub(crate) fn authorities(&self) -> [&Authority; 3] {
        [&self.root, &self.policy, &self.issuing]
    }

    /// Returns the authority that issues leaves.
    pub(crate) fn issuing(&self) -> &Authority {
        &self.issuing
    }

    /// Returns the intermediates, in order.
    pub(crate) fn intermediates(&self) -> Vec<Certificate> {
        vec![
            self.issuing.certificate.clone(),
            self.policy.certificate.clone(),
        ]
    }

    /// Returns the certificates that a server sends after the leaf.
    pub fn chain(&self, leaf: Serve, chain: Chain) -> Vec<Certificate> {
        let mut all = self.intermediates();
        if matches!(leaf, Serve::Temporary | Serve::SelfSigned) {
            return Vec::new();
        }
        match chain {
            Chain::Full => {}
            Chain::None => all.clear(),
            Chain::Reversed => all.reverse(),
            Chain::Root => all.push(self.root.certificate.clone()),
            Chain::Twice => all.extend(self.intermediates()),
        }
        all
    }
}

/// Certificates of one host.
pub struct HostCertificates {
    current: Issued,
    previous: Issued,
    same_key: Issued,
    another: Issued,
    expired: Issued,
    other_name: Issued,
    temporary: Issued,
    csr: String,
    chain: Vec<Certificate>,
    root: Certificate,
}

impl HostCertificates {
    /// Creates the certificates for this host name.
    ///
    /// # Errors
    /// If a key or a signature cannot be created.
    pub fn new(pki: &Pki, name: &str, now: Timestamp) -> Result<Self, rcgen::Error> {
        // 90 days, as most authorities issue. The expiry is too far away for a finding. One hour more,
        // so that a clock that is read a little earlier or later has the same number of days.
        const MARGIN_SECONDS: i64 = 3600;
        let later = Timestamp(now.0 + MARGIN_SECONDS);
        let fresh = Validity::around(later, 10, 80);
        let older = Validity::around(later, 60, 30);
        let newer = Validity::around(later, 5, 85);
        let over = Validity::around(Timestamp(now.0 - MARGIN_SECONDS), 100, -10);
        let names = [name.to_owned()];
        let elsewhere = [format!("elsewhere.{name}")];
        let (key, old_key, other_key) = (Key::generate()?, Key::generate()?, Key::generate()?);
        let issue = |names: &[String], validity, key: &Key| pki.issuing.issue(names, validity, key);
        Ok(Self {
            current: issue(&names, fresh, &key)?,
            previous: issue(&names, older, &old_key)?,
            same_key: issue(&names, newer, &key)?,
            another: issue(&names, fresh, &other_key)?,
            expired: issue(&names, over, &key)?,
            other_name: issue(&elsewhere, fresh, &key)?,
            temporary: self_signed(&names, fresh, &key)?,
            csr: key.request(&names)?,
            chain: pki.intermediates(),
            root: pki.root.certificate.clone(),
        })
    }

    /// Returns the leaf that a server sends.
    pub fn leaf(&self, serve: Serve) -> &Issued {
        match serve {
            Serve::Current | Serve::Silence | Serve::Nothing => &self.current,
            Serve::Previous => &self.previous,
            Serve::SameKey => &self.same_key,
            Serve::Another => &self.another,
            Serve::Expired => &self.expired,
            Serve::OtherName => &self.other_name,
            Serve::Temporary | Serve::SelfSigned => &self.temporary,
        }
    }

    /// Returns the certificate object of the account: an older instance with another key, and a
    /// current or pending one.
    pub fn account_certificate(&self, number: u64, issued: bool) -> AccountCertificate {
        let instance = |id, leaf: &Issued| AccountInstance {
            id,
            state: State::Active,
            leaf: leaf.certificate.clone(),
            chain: self.chain.clone(),
            root: Some(self.root.clone()),
            csr: self.csr.clone(),
        };
        let (first, second) = (100 * number + 1, 100 * number + 2);
        let instances = if issued {
            vec![
                instance(first, &self.previous),
                instance(second, &self.current),
            ]
        } else {
            vec![AccountInstance {
                state: State::Pending,
                chain: Vec::new(),
                root: None,
                ..instance(first, &self.temporary)
            }]
        };
        AccountCertificate {
            sans: Some(Vec::new()),
            csr: self.csr.clone(),
            key: self.current.key.public_key_hash(),
            instances,
        }
    }
}
