//! Filling an account from outside the API: imported instances, and those of a testbed.

use std::collections::BTreeSet;
use std::sync::Arc;

use certvigil_core::certificate::Certificate;

use super::{
    Account, ApiError, Approval, CertificateRecord, Expiry, InstanceRecord, Kind, San, Signed,
    Source, State,
};
use crate::account::{AccountCertificate, AccountInstance};
use crate::instance;
use crate::sandbox::authority::signed_of;

/// Instance to insert into an account.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// ID. `None` takes the next one.
    pub id: Option<u64>,
    /// State.
    pub state: State,
    /// Origin.
    pub source: Source,
    /// Leaf: the temporary certificate of a pending instance.
    pub leaf: Certificate,
    /// Intermediates, the leaf's issuer first.
    pub chain: Vec<Certificate>,
    /// Root, if it is known.
    pub root: Option<Certificate>,
}

impl From<AccountInstance> for NewInstance {
    fn from(of: AccountInstance) -> Self {
        Self {
            id: Some(of.id),
            state: match of.state {
                instance::State::Pending => State::Pending,
                instance::State::Active => State::Active,
                instance::State::Expired => State::Expired,
                instance::State::Revoked => State::Revoked,
                instance::State::Canceled | instance::State::Unknown => State::Canceled,
            },
            source: Source::Sslmate,
            leaf: of.leaf,
            chain: of.chain,
            root: of.root,
        }
    }
}

impl CertificateRecord {
    /// Creates a certificate object without instances. It is approved by HTTP.
    pub fn new(token: String, csr: String, pubkey_hash: String, sans: Option<Vec<San>>) -> Self {
        Self {
            token,
            csr,
            pubkey_hash,
            approval: Approval::Http,
            kind: Kind::Dv,
            sans,
            auto_renew: false,
            muted: false,
            tags: BTreeSet::new(),
            instances: Vec::new(),
        }
    }
}

impl Account {
    /// Adds or replaces the certificate object of a testbed, with its instances. Its download URL
    /// contains its common name.
    ///
    /// # Errors
    /// If an instance cannot be added.
    pub fn plant(&mut self, cn: &str, certificate: AccountCertificate) -> Result<(), ApiError> {
        let san = |value: String| San {
            value,
            approval: Approval::Http,
        };
        let sans = certificate.sans;
        let sans = sans.map(|sans| sans.into_iter().map(san).collect());
        let hash = certificate.key.to_string();
        self.put(
            cn,
            CertificateRecord::new(cn.to_owned(), certificate.csr, hash, sans),
        );
        for instance in certificate.instances {
            self.insert(cn, instance.into())?;
        }
        Ok(())
    }

    /// Adds or replaces a certificate object.
    pub fn put(&mut self, cn: &str, record: CertificateRecord) {
        self.certificates.insert(cn.to_owned(), Arc::new(record));
    }

    /// Adds an instance to a certificate object. An imported one replaces the active one. Those of a
    /// testbed keep their states, of which the newest counts.
    ///
    /// # Errors
    /// If there is no certificate object with this common name.
    pub fn insert(&mut self, cn: &str, new: NewInstance) -> Result<u64, ApiError> {
        let id = new.id.unwrap_or(self.numbers.instance);
        self.numbers.instance = self.numbers.instance.max(id + 1);
        let record = self.certificate_mut(cn)?;
        let is_imported = new.source == Source::Import;
        if let (true, Some(replaced)) = (is_imported, record.instance_mut(new.state)) {
            replaced.state = State::Canceled;
        }
        let pubkey_hash = new.leaf.public_key_hash().map(|hash| hash.to_string());
        let chain = new.chain.iter().map(Certificate::to_pem).collect();
        let root = new.root.as_ref().map(Certificate::to_pem);
        let is_temporary = new.state == State::Pending;
        let signed: Signed = signed_of(&new.leaf, chain, root.unwrap_or_default(), is_temporary);
        let instance = InstanceRecord {
            id,
            state: new.state,
            source: new.source,
            kind: (!is_imported).then_some(record.kind),
            sans: record.sans.clone(),
            csr: if is_imported {
                String::new()
            } else {
                record.csr.clone()
            },
            pubkey_hash: pubkey_hash.unwrap_or_default(),
            approval: (!is_imported).then(|| record.approval.clone()),
            expiry: Expiry::At(signed.not_after),
            certificate: signed,
            approved_at: None,
            invoice: None,
            revoked_at: None,
        };
        record.instances.push(Arc::new(instance));
        Ok(id)
    }
}
