//! Buying, reissuing, approving and revoking instances.

use std::sync::Arc;

use certvigil_core::certificate::SigningRequest;
use certvigil_core::model::Timestamp;

use super::{
    Account, ApiError, Context, Expiry, InstanceRecord, MAX_INSTANCES, Order, Source, State, check,
    names,
};

/// Result of a revocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked {
    /// Instances that were revoked.
    pub revoked: usize,
    /// Instances that are active afterwards.
    pub active: usize,
    /// Instances that could not be revoked because they were imported.
    pub imported: usize,
}

/// Lifetime of the temporary certificate of a pending instance, in seconds.
const TEMPORARY_LIFETIME: i64 = 365 * 86_400;

impl Account {
    /// Buys an instance. A lifetime in days replaces that of the policy. Returns its ID.
    pub(super) fn buy(
        &mut self,
        cn: &str,
        days: Option<i64>,
        context: &mut Context<'_>,
    ) -> Result<u64, ApiError> {
        const DAY: i64 = 86_400;
        let lifetime = days.map_or(context.policy.lifetime, |days| days * DAY);
        let invoice = self.numbers.invoice;
        let id = self.order(cn, Expiry::After(lifetime), Some(invoice), context)?;
        self.numbers.invoice += 1;
        Ok(id)
    }

    /// Reissues the active instance with the settings of the certificate object. Returns the ID.
    pub(super) fn reissue(&mut self, cn: &str, context: &mut Context<'_>) -> Result<u64, ApiError> {
        let record = self.certificate(cn)?;
        let current = record
            .current()
            .ok_or_else(|| ApiError::NothingToReissue(cn.to_owned()))?;
        let expiry = Expiry::At(current.certificate.not_after);
        // "You will be charged for any net increase in SANs."
        let count = |sans: Option<&[super::San]>| names(cn, sans).len();
        let is_charged = count(record.sans.as_deref()) > count(current.sans.as_deref());
        let invoice = is_charged.then_some(self.numbers.invoice);
        let id = self.order(cn, expiry, invoice, context)?;
        self.numbers.invoice += u64::from(is_charged);
        Ok(id)
    }

    /// Creates a pending instance from the settings of the certificate object. It replaces another
    /// pending one.
    fn order(
        &mut self,
        cn: &str,
        expiry: Expiry,
        invoice: Option<u64>,
        context: &mut Context<'_>,
    ) -> Result<u64, ApiError> {
        let id = self.numbers.instance;
        let record = self.certificate_mut(cn)?;
        if record.instances.len() >= MAX_INSTANCES {
            return Err(ApiError::Full {
                things: "instances of one certificate",
                max: MAX_INSTANCES,
            });
        }
        let request = readable(&record.csr)?;
        let order = Order {
            names: names(cn, record.sans.as_deref()),
            country: check::country(&request).unwrap_or_default(),
            request: &request,
            not_before: context.now,
            not_after: Timestamp(context.now.0 + TEMPORARY_LIFETIME),
        };
        let temporary = context.issuing.temporary(&order);
        let temporary = temporary.map_err(|error| ApiError::Internal(error.to_string()))?;
        if let Some(pending) = record.instance_mut(State::Pending) {
            pending.state = State::Canceled;
            pending.approved_at = None;
        }
        let instance = InstanceRecord {
            id,
            state: State::Pending,
            source: Source::Sslmate,
            kind: Some(record.kind),
            sans: record.sans.clone(),
            csr: record.csr.clone(),
            pubkey_hash: record.pubkey_hash.clone(),
            approval: Some(record.approval.clone()),
            certificate: temporary,
            expiry,
            approved_at: context.policy.approval_delay.map(|d| context.now.0 + d),
            invoice,
            revoked_at: None,
        };
        record.instances.push(Arc::new(instance));
        self.numbers.instance += 1;
        Ok(id)
    }

    /// Repeats the approval of the pending instance with the settings of the certificate object.
    /// Returns its ID.
    pub(super) fn redo_approval(
        &mut self,
        cn: &str,
        context: &Context<'_>,
    ) -> Result<u64, ApiError> {
        let record = self.certificate_mut(cn)?;
        let (approval, sans) = (record.approval.clone(), record.sans.clone());
        let pending = record
            .instance_mut(State::Pending)
            .ok_or_else(|| ApiError::NothingPending(cn.to_owned()))?;
        pending.approval = Some(approval);
        // The names of the instance are those of its order; their approval may have changed.
        if let Some(names) = &mut pending.sans {
            for san in names.iter_mut() {
                let mut known = sans.iter().flatten();
                if let Some(known) = known.find(|known| known.value == san.value) {
                    san.approval = known.approval.clone();
                }
            }
        }
        pending.approved_at = context.policy.approval_delay.map(|d| context.now.0 + d);
        Ok(pending.id)
    }

    /// Approves the pending instance: it is issued at once. Returns its ID.
    ///
    /// # Errors
    /// If there is no pending instance, or if the certificate cannot be signed.
    pub fn approve(&mut self, cn: &str, context: &mut Context<'_>) -> Result<u64, ApiError> {
        let record = self.certificate(cn)?;
        let pending = record
            .pending()
            .ok_or_else(|| ApiError::NothingPending(cn.to_owned()))?;
        let id = pending.id;
        self.issue(cn, context)?;
        Ok(id)
    }

    /// Cancels the pending instance, as a rejected approval does. Returns its ID.
    ///
    /// # Errors
    /// If there is no pending instance.
    pub fn reject(&mut self, cn: &str) -> Result<u64, ApiError> {
        let pending = self.certificate_mut(cn)?.instance_mut(State::Pending);
        let pending = pending.ok_or_else(|| ApiError::NothingPending(cn.to_owned()))?;
        pending.state = State::Canceled;
        pending.approved_at = None;
        Ok(pending.id)
    }

    /// Issues the certificate of the pending instance, which becomes the active one. An instance
    /// whose expiry has passed meanwhile is canceled.
    pub(super) fn issue(&mut self, cn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        let now = context.now;
        let record = self.certificate_mut(cn)?;
        let Some(pending) = record.pending() else {
            return Ok(());
        };
        let not_after = match pending.expiry {
            Expiry::After(seconds) => now.0 + seconds,
            Expiry::At(at) => at,
        };
        if not_after <= now.0 {
            return self.reject(cn).map(|_| ());
        }
        let request = readable(&pending.csr)?;
        let issued = context.issuing.issue(&Order {
            names: names(cn, pending.sans.as_deref()),
            country: check::country(&request).unwrap_or_default(),
            request: &request,
            not_before: now,
            not_after: Timestamp(not_after),
        });
        let issued = issued.map_err(|error| ApiError::Internal(error.to_string()))?;
        // A testbed may have planted several active ones.
        while let Some(replaced) = record.instance_mut(State::Active) {
            replaced.state = State::Canceled;
        }
        if let Some(pending) = record.instance_mut(State::Pending) {
            pending.certificate = issued;
            pending.state = State::Active;
            pending.approved_at = None;
        }
        self.deliver(cn, context);
        Ok(())
    }

    /// Revokes the issued instances of a certificate, and the active one if `all` is true.
    pub(super) fn revoke(
        &mut self,
        cn: &str,
        all: bool,
        now: Timestamp,
    ) -> Result<Revoked, ApiError> {
        let record = self.certificate_mut(cn)?;
        let current = record.current().map(|current| current.id);
        let mut counts = Revoked::default();
        for instance in &mut record.instances {
            if Some(instance.id) == current && !all {
                counts.active += 1;
            } else if is_revocable(instance, now) {
                if instance.source == Source::Import {
                    counts.imported += 1;
                    counts.active += usize::from(instance.state == State::Active);
                    continue;
                }
                let instance = Arc::make_mut(instance);
                instance.state = State::Revoked;
                instance.revoked_at = Some(now.0);
                counts.revoked += 1;
            }
        }
        Ok(counts)
    }
}

/// Returns true if an instance has an issued certificate that is valid and not revoked.
fn is_revocable(instance: &InstanceRecord, now: Timestamp) -> bool {
    let is_valid = instance.certificate.not_after > now.0;
    !instance.certificate.is_temporary && is_valid && instance.revoked_at.is_none()
}

/// Reads the stored CSR of the account.
fn readable(csr: &str) -> Result<SigningRequest, ApiError> {
    SigningRequest::from_pem(csr).map_err(|error| ApiError::Internal(error.to_string()))
}
