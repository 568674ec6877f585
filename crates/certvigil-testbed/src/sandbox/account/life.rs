//! Transitions that time makes: automatic approval and renewal, expiry, and webhook deliveries.

use std::sync::Arc;

use certvigil_core::model::Timestamp;

use super::expand::Object;
use super::{Account, ApiError, Approval, CertificateRecord, Context, Delivery, Expand, State};

/// Failed attempts after which a webhook delivery is dropped. The last pause is over four hours.
const MAX_ATTEMPTS: u32 = 15;
/// Pause after the first failed attempt, in seconds. It doubles each time.
const FIRST_PAUSE: i64 = 1;
/// Maximum deliveries that wait. The oldest is dropped for a new one.
const MAX_DELIVERIES: usize = 1000;

impl Account {
    /// Makes all transitions that are due. Returns the certificates that could not be signed: their
    /// order is canceled and their automatic renewal ended, so that the others continue.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Vec<(String, ApiError)> {
        let now = context.now.0;
        let is_due = |record: &CertificateRecord| due(record).is_some_and(|at| at <= now);
        let all = self.certificates.iter();
        let names: Vec<String> = all
            .filter(|(_, record)| is_due(record))
            .map(|(cn, _)| cn.clone())
            .collect();
        let mut failures = Vec::new();
        for cn in names {
            if let Err(error) = self.advance_one(&cn, context) {
                if let Ok(record) = self.certificate_mut(&cn) {
                    record.auto_renew = false;
                }
                let _ = self.reject(&cn);
                failures.push((cn, error));
            }
        }
        failures
    }

    fn advance_one(&mut self, cn: &str, context: &mut Context<'_>) -> Result<(), ApiError> {
        let mut result = Ok(());
        if is_due_at(renewal_due(self.certificate(cn)?), context) {
            result = self.buy(cn, None, context).map(|_| ());
        }
        if result.is_ok() && is_due_at(approval_due(self.certificate(cn)?), context) {
            result = self.issue(cn, context);
        }
        let now = context.now.0;
        for instance in &mut self.certificate_mut(cn)?.instances {
            if instance.state == State::Active && instance.certificate.not_after <= now {
                Arc::make_mut(instance).state = State::Expired;
            }
        }
        result
    }

    /// Returns the time of the next transition that time makes.
    pub fn next_transition(&self) -> Option<Timestamp> {
        let all = self.certificates.values();
        all.filter_map(|record| due(record)).min().map(Timestamp)
    }

    /// Adds a delivery of a certificate object for each webhook.
    pub(super) fn deliver(&mut self, cn: &str, context: &Context<'_>) {
        let paths = ["current.crt", "current.chain"];
        let expand = Expand::parse(paths.into_iter(), Object::Certificate).unwrap_or_default();
        for url in &context.policy.webhooks {
            let body = self.certificate_object(cn, &expand, context.policy, context.now);
            let delivery = Delivery {
                url: url.clone(),
                cn: cn.to_owned(),
                body: body.to_string(),
                failures: 0,
                next_at: context.now.0,
            };
            if self.deliveries.len() >= MAX_DELIVERIES {
                self.deliveries.pop_first();
            }
            self.deliveries
                .insert(self.numbers.delivery, Arc::new(delivery));
            self.numbers.delivery += 1;
        }
    }

    /// Records the result of a delivery attempt. Returns the seconds until the next attempt, `None`
    /// after a success or the last attempt.
    pub fn delivered(&mut self, number: u64, is_success: bool, now: Timestamp) -> Option<i64> {
        let delivery = self.deliveries.get_mut(&number).map(Arc::make_mut)?;
        delivery.failures += 1;
        if is_success || delivery.failures >= MAX_ATTEMPTS {
            self.deliveries.remove(&number);
            return None;
        }
        let pause = FIRST_PAUSE << (delivery.failures - 1);
        delivery.next_at = now.0 + pause;
        Some(pause)
    }
}

/// Returns true if a transition is due.
fn is_due_at(at: Option<i64>, context: &Context<'_>) -> bool {
    at.is_some_and(|at| at <= context.now.0)
}

/// Returns the time of the next transition of a certificate.
fn due(record: &CertificateRecord) -> Option<i64> {
    let all = [
        renewal_due(record),
        approval_due(record),
        expiry_due(record),
    ];
    all.into_iter().flatten().min()
}

/// Returns the time of the automatic renewal, which requires approval by HTTP or DNS.
fn renewal_due(record: &CertificateRecord) -> Option<i64> {
    let is_automatic = record.auto_renew && !matches!(record.approval, Approval::Email(_));
    let is_ordered = record.pending().is_some();
    let is_full = record.instances.len() >= super::MAX_INSTANCES;
    let current = record.current()?;
    (is_automatic && !is_ordered && !is_full).then(|| current.expiring_from())
}

fn approval_due(record: &CertificateRecord) -> Option<i64> {
    record.pending()?.approved_at
}

fn expiry_due(record: &CertificateRecord) -> Option<i64> {
    let active = record.instances.iter().filter(|i| i.state == State::Active);
    active.map(|i| i.certificate.not_after).min()
}
