//! Judging: compares expectations with observations. Pure: no clock, no sockets, no files.

mod above;
mod bundle;
mod chain;
mod clients;
mod cost;
mod dane;
mod ech;
mod expiry;
mod handshake;
mod identity;
mod links;
mod mail;
mod next_change;
mod path;
mod presented;
mod refusals;
mod replacement;
mod reported;
mod revocation;
mod served;
mod served_path;
#[cfg(test)]
mod tests;
mod together;
mod trust_store;

use std::collections::HashSet;
use std::sync::Arc;

use crate::certificate::Fingerprint;
use crate::finding::{Code, Detail, EntryNotes, Finding, Nonconformant, Severity};
use crate::instance::Expected;
use crate::model::{RevocationCheck, Threshold, Timestamp};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError, Status};

pub use bundle::{Bundle, ChainEnd};
pub use clients::{BESIDE, Clients, Effect, Effects, Opinion, RULES, Rule};
pub use cost::is_cheap;
pub use dane::{Dane, DnsFacts, judge_by_dns};
pub use links::Signatures;
pub use next_change::next_change;
pub use replacement::material_changes;
use reported::judge_reported;
pub use served::issuer_to_ask;
use served::judge_served;
pub use served_path::{PathEntry, Role, ServedPath, served_path};
pub use together::{agree, together};
pub use trust_store::{Root, TrustStore, UnreadableAnchor};

/// Maximum findings about the certificates of one probe. One more has the number of the others.
pub const MAX_FINDINGS: usize = 100;

/// Settings of judging, in addition to the expectation and the observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Threshold of expiry from which a finding is a warning.
    pub warn: Threshold,
    /// Threshold of expiry from which a finding is critical.
    pub crit: Threshold,
    /// The rollout in progress. `None` if there is none, or if the previous certificate is unknown.
    pub grace: Option<Grace>,
    /// Time of the source's last response, if that is too long ago.
    pub stale_since: Option<Timestamp>,
    /// Method of checking the revocation of the leaf.
    pub revocation: RevocationCheck,
}

/// A grace period during a rollout, in which serving the previous certificate is only a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The previously expected leaf.
    pub before: Fingerprint,
    /// End of the grace period.
    pub until: Timestamp,
}

impl Rules {
    /// Returns the grace period if it has not ended.
    fn grace_at(&self, now: Timestamp) -> Option<Grace> {
        self.grace.filter(|grace| now < grace.until)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            warn: Threshold::WARN,
            crit: Threshold::CRIT,
            grace: None,
            stale_since: None,
            revocation: RevocationCheck::default(),
        }
    }
}

/// A probe with its judgement.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The observation.
    pub observation: Observation,
    /// The expected certificate; `None` if the source does not know it.
    pub expected: Option<Arc<Expected>>,
    /// The judgement.
    pub verdict: Verdict,
    /// Findings, most severe first.
    pub findings: Vec<Finding>,
    /// Opinions of mainstream clients on the served chain; `None` if this program did not receive
    /// it. Results of chains that every client accepts share one.
    pub clients: Option<Arc<Clients>>,
    /// The expiry of the valid path that expires last, including its root; `None` if there is no
    /// valid path.
    pub path_expiry: Option<Timestamp>,
    /// Times when the served leaf reaches the warning and the critical threshold of its expiry.
    pub thresholds: Option<Thresholds>,
    /// The TLSA records, judged by [`judge_by_dns`]; `None` if they were not requested, or are unknown.
    pub dane: Option<Dane>,
    /// Labels of the entry, and its acceptances that applied at the time of judging.
    pub notes: Arc<EntryNotes>,
}

/// Times when a certificate reaches the thresholds of its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Time from which its expiry is a warning.
    pub warn: Timestamp,
    /// Time from which its expiry is critical.
    pub crit: Timestamp,
}

impl Judged {
    /// Creates the result of a probe that failed before there was anything to judge.
    pub fn failed(observation: Observation, error: ProbeError) -> Self {
        Self {
            observation,
            expected: None,
            verdict: Verdict::Inconclusive(error),
            findings: Vec::new(),
            clients: None,
            path_expiry: None,
            thresholds: None,
            dane: None,
            notes: Arc::default(),
        }
    }

    /// Adds the labels and the acceptances of an entry. The severity of an accepted finding becomes
    /// `info`, also of findings that are added later by [`together()`].
    pub fn annotate(&mut self, notes: &Arc<EntryNotes>, now: Timestamp) {
        self.notes = if notes.accept.iter().all(|a| a.applies_at(now)) {
            notes.clone()
        } else {
            let mut applying = EntryNotes::clone(notes);
            applying.accept.retain(|a| a.applies_at(now));
            Arc::new(applying)
        };
        self.accept();
    }

    /// Adds a finding, to which the acceptances of the entry apply.
    pub fn add_finding(&mut self, finding: Finding) {
        self.findings.push(finding);
        sort(&mut self.findings);
        self.accept();
    }

    /// Applies the acceptances to the findings.
    fn accept(&mut self) {
        if self.notes.accept.is_empty() {
            return;
        }
        for finding in &mut self.findings {
            let code = finding.code();
            let accepted = self.notes.accept.iter().find(|a| a.code == code);
            if let Some(accepted) = accepted
                && finding.severity > Severity::Info
            {
                finding.severity = Severity::Info;
                finding.accepted = Some(Arc::new(accepted.clone()));
            }
        }
        sort(&mut self.findings);
    }

    /// Returns the greatest severity of the findings, or unknown if nothing could be judged and no
    /// finding is critical.
    pub fn severity(&self) -> Severity {
        let floor = match self.verdict {
            Verdict::Conclusive(_) => Severity::Ok,
            // The absence of such a key is a valid result.
            Verdict::Inconclusive(_) if self.is_of_absent_key() => Severity::Ok,
            // A finding that reports the failure is accepted.
            Verdict::Inconclusive(_)
                if self
                    .findings
                    .iter()
                    .any(|f| f.accepted.is_some() && f.detail.error().is_some()) =>
            {
                Severity::Ok
            }
            Verdict::Inconclusive(_) => Severity::Unknown,
        };
        let findings = self.findings.iter().map(|f| f.severity);
        findings.fold(floor, Severity::max)
    }

    /// Returns the status of the probe.
    pub fn status(&self) -> Status {
        match &self.verdict {
            Verdict::Conclusive(_) => Status::Conclusive,
            Verdict::Inconclusive(error) => error.kind.status(),
        }
    }

    /// Returns the error of a probe without a result, unless a finding reports it.
    pub fn unreported_error(&self) -> Option<&ProbeError> {
        let Verdict::Inconclusive(error) = &self.verdict else {
            return None;
        };
        let mut reported = self.findings.iter().filter_map(|f| f.detail.error());
        (!reported.any(|reported| reported == error)).then_some(error)
    }

    /// Returns true if the server has no certificate of the requested key type but has one of
    /// another type.
    pub fn is_of_absent_key(&self) -> bool {
        self.findings
            .iter()
            .any(|f| f.code() == Code::KeyTypeMissing)
    }
}

/// The verdict on an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This program or a remote vantage received a certificate.
    Conclusive(Flags),
    /// No certificate was received.
    Inconclusive(ProbeError),
}

/// Properties of a served certificate, judged independently. `None` is unknown: SSLMate reports only
/// the first three, and others are known if the expected certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// True if the leaf is the expected instance.
    pub correct: bool,
    /// True if a client that has only the roots can build a path from the served certificates.
    pub chained: bool,
    /// True if the leaf is a temporary certificate.
    pub dummy: bool,
    /// True if a path to the trust store is valid now, and the name matches.
    pub trusted: Option<bool>,
    /// True if the leaf is valid for the requested name, or for all requested names. `None` for a
    /// file without names to match.
    pub hostname_match: Option<bool>,
    /// True if the leaf has expired.
    pub expired: Option<bool>,
    /// True if the leaf's notBefore is in the future.
    pub not_yet_valid: Option<bool>,
    /// True if the leaf has been revoked.
    pub revoked: Option<bool>,
}

/// Judges one probe. [`together()`] afterwards judges properties of several probes.
pub fn judge(
    expected: Option<&Arc<Expected>>,
    observation: Observation,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> Judged {
    let signatures = Signatures::default();
    judge_within(&signatures, expected, observation, trust, rules, now)
}

/// Judges one probe as [`judge`] does, within a budget of signatures that it shares with
/// [`issuer_to_ask`] and [`judge_by_dns`].
pub fn judge_within(
    signatures: &Signatures,
    expected: Option<&Arc<Expected>>,
    observation: Observation,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> Judged {
    let expected = expected.map(|e| e.for_key_type(observation.key_type));
    let (mut clients, mut path_expiry, mut thresholds) = (None, None, None);
    let (verdict, mut findings) = match (&observation.outcome, &expected) {
        (Outcome::Failed(error), _) => (
            Verdict::Inconclusive(error.clone()),
            handshake::failure(error, &observation.target)
                .into_iter()
                .collect(),
        ),
        (_, None) => (
            Verdict::Inconclusive(ProbeError::new(
                ErrorKind::Internal,
                "it is not known which certificate is expected",
            )),
            Vec::new(),
        ),
        (Outcome::Served(served), Some(expected)) => {
            let names = observation.target.names_to_match();
            let judged = judge_served(expected, served, names, trust, rules, now, signatures);
            thresholds = expiry::thresholds(&served.leaf, rules);
            (clients, path_expiry) = (Some(judged.clients.shared()), judged.path_expiry);
            let mut findings = judged.findings;
            findings.extend(handshake::incomplete(served, &observation.target));
            (Verdict::Conclusive(judged.flags), findings)
        }
        (Outcome::Reported(reported), Some(expected)) => {
            let names = observation.target.names_to_match();
            let (flags, findings) = judge_reported(expected, reported, names, rules, now);
            (Verdict::Conclusive(flags), findings)
        }
    };
    if expected.is_some() {
        findings.extend(rules.stale_since.map(stale_finding));
    }
    sort(&mut findings);
    bound(&mut findings);
    Judged {
        observation,
        expected,
        verdict,
        findings,
        clients,
        path_expiry,
        thresholds,
        dane: None,
        notes: Arc::default(),
    }
}

/// Sorts findings, most severe first; within one severity in the order of the table.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.code()));
}

/// Keeps the most severe findings if there are more than [`MAX_FINDINGS`], and the most severe one
/// of each code, so that an acceptance of one code hides none of another. One more finding, at most
/// a warning, has the number of the others.
fn bound(findings: &mut Vec<Finding>) {
    if findings.len() <= MAX_FINDINGS {
        return;
    }
    let mut codes = HashSet::new();
    let (mut kept, others): (Vec<_>, Vec<_>) = std::mem::take(findings)
        .into_iter()
        .partition(|finding| codes.insert(finding.code()));
    let free = MAX_FINDINGS.saturating_sub(kept.len());
    let mut others = others.into_iter();
    kept.extend(others.by_ref().take(free));
    let count = others.len();
    if let Some(first) = others.next() {
        let detail = Detail::NonconformantCertificate(Nonconformant::MoreFindings { count });
        let severity = first.severity.min(Severity::Warning);
        kept.push(Finding::with_severity(severity, detail));
    }
    sort(&mut kept);
    *findings = kept;
}

fn stale_finding(last_success: Timestamp) -> Finding {
    Finding::new(Detail::SourceStale { last_success })
}
