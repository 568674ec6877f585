//! Rules for mail hosts: DNSSEC of MX records (RFC 7672) and MTA-STS (RFC 8461).

use std::sync::Arc;

use crate::finding::{Detail, Finding, MAX_LISTED_RECORDS, Severity, StsMismatch, TlsaMissing};
use crate::mail::MailDomain;
use crate::mta_sts::{Sts, StsMode};
use crate::tlsa::{DaneCheck, TlsaLookup};

use super::Judged;
use super::dane::{DnsFacts, missing_finding};

/// Adds a finding for each mail domain whose MX records DNSSEC does not authenticate.
pub(super) fn by_mx_security(judged: &mut Judged, facts: &DnsFacts) {
    let is_host_protected = matches!(
        &facts.tlsa,
        TlsaLookup::Known(tlsa) if tlsa.authenticated && !tlsa.records.is_empty()
    );
    let severity = match facts.dane {
        DaneCheck::Required => Severity::Critical,
        // The TLSA records show that DANE is intended, and it does not protect this domain.
        _ if is_host_protected => Severity::Warning,
        _ => Severity::Info,
    };
    let unsigned = facts
        .mail
        .iter()
        .filter(|mail| mail.is_authenticated == Some(false));
    judged.findings.extend(unsigned.map(|mail| {
        let missing = TlsaMissing::UnsignedMx {
            domain: mail.domain.clone(),
            is_host_protected,
        };
        missing_finding(severity, missing)
    }));
}

/// Adds the findings about the MTA-STS policies of the mail domains. `is_trusted` is trust in the
/// served certificate before TLSA records replace it.
pub(super) fn by_mta_sts(
    judged: &mut Judged,
    domains: &[Arc<MailDomain>],
    is_trusted: Option<bool>,
) {
    for mail in domains {
        let policy = mail.sts.as_ref();
        let mismatch = policy.and_then(|sts| mismatch(judged, mail, sts, is_trusted));
        judged.findings.extend(mismatch);
        // The policy is the domain's, so one host reports it.
        if let Some(fault) = &mail.sts_fault
            && mail.hosts.first() == Some(&judged.observation.target.hostname)
        {
            judged.findings.push(Finding::new(Detail::MtaStsUnusable {
                domain: mail.domain.clone(),
                fault: fault.clone(),
            }));
        }
    }
}

fn mismatch(
    judged: &Judged,
    mail: &MailDomain,
    sts: &Sts,
    is_trusted: Option<bool>,
) -> Option<Finding> {
    let severity = match sts.policy.mode {
        StsMode::Enforce => Severity::Critical,
        StsMode::Testing => Severity::Warning,
        StsMode::None => return None,
    };
    let hostname = &judged.observation.target.hostname;
    let mismatch = if !sts.policy.allows(hostname) {
        let patterns = sts.policy.mx.iter().take(MAX_LISTED_RECORDS);
        StsMismatch::Host {
            patterns: patterns.cloned().collect(),
            pattern_count: sts.policy.mx.len(),
        }
    } else if is_trusted == Some(false) && judged.findings.iter().any(|f| f.is_replaced) {
        // Without DANE, the findings about trust report it.
        StsMismatch::Certificate
    } else {
        return None;
    };
    Some(Finding::with_severity(
        severity,
        Detail::MtaStsMismatch {
            domain: mail.domain.clone(),
            hostname: hostname.clone(),
            id: sts.id.clone(),
            mode: sts.policy.mode,
            mismatch,
        },
    ))
}
