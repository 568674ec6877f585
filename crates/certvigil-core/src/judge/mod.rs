//! Judging: what ought to be served against what was seen. Pure: no clock, no sockets, no files.

mod above;
mod bundle;
mod chain;
mod clients;
mod cost;
mod dane;
mod expiry;
mod handshake;
mod identity;
mod ladder;
mod links;
mod path;
mod refusals;
mod revocation;
mod served;
#[cfg(test)]
mod tests;
mod together;
mod trust_store;

use std::sync::Arc;

use crate::certificate::Fingerprint;
use crate::finding::{Code, Detail, Finding, Missing, Older, Severity, Wanted};
use crate::instance::Expected;
use crate::model::{RevocationCheck, Threshold, Timestamp};
use crate::observation::{ErrorKind, LookError, Observation, Outcome, Status, Told};

pub use bundle::{Bundle, End};
pub use clients::{Clients, Effect, Effects, Opinion, RULES, Rule};
pub use cost::is_cheap;
pub use dane::{Dane, dane};
pub use ladder::{Ladder, Role, Rung, climb};
pub use links::Signatures;
pub use served::issuer_to_ask;
use served::judge_served;
pub use together::{agree, together};
pub use trust_store::{Root, TrustStore};

/// What judging depends on beside what is expected and what was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// From when on a coming end is a warning.
    pub warn: Threshold,
    /// From when on a coming end is critical.
    pub crit: Threshold,
    /// A rollout under way; who knows no before knows of none.
    pub grace: Option<Grace>,
    /// When the source last said what is expected, if that is too long ago.
    pub stale_since: Option<Timestamp>,
    /// How it is found out whether the leaf has been revoked.
    pub revocation: RevocationCheck,
}

/// A new certificate is not everywhere at once: so long the one before is only a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The leaf that was expected before.
    pub before: Fingerprint,
    /// When patience ends.
    pub until: Timestamp,
}

impl Rules {
    /// The grace that there is now, if any.
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

/// A look with its judgement.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was seen.
    pub observation: Observation,
    /// What ought to be served; `None` where the source could not say.
    pub expected: Option<Arc<Expected>>,
    /// The judgement.
    pub verdict: Verdict,
    /// What is right to tell, worst first.
    pub findings: Vec<Finding>,
    /// What mainstream clients do with what is served; `None` where it was not seen by us.
    pub clients: Option<Clients>,
    /// The expiry of the valid path that lasts longest, its root included; `None` where there is no valid path.
    pub path_expiry: Option<Timestamp>,
    /// The TLSA records, judged by [`dane()`]; `None` where they were not asked for, or are not known.
    pub dane: Option<Dane>,
}

impl Judged {
    /// A look that failed before there was anything to judge.
    pub fn failed(observation: Observation, error: LookError) -> Self {
        Self {
            observation,
            expected: None,
            verdict: Verdict::Inconclusive(error),
            findings: Vec::new(),
            clients: None,
            path_expiry: None,
            dane: None,
        }
    }

    /// The worst of the findings; unknown where nothing could be judged and nothing critical is known.
    pub fn severity(&self) -> Severity {
        let floor = match self.verdict {
            Verdict::Conclusive(_) => Severity::Ok,
            // That there is nothing of the kind is an answer.
            Verdict::Inconclusive(_) if self.is_of_absent_key() => Severity::Ok,
            Verdict::Inconclusive(_) => Severity::Unknown,
        };
        let findings = self.findings.iter().map(|f| f.severity);
        findings.fold(floor, Severity::max)
    }

    /// The status of the probe.
    pub fn status(&self) -> Status {
        match &self.verdict {
            Verdict::Conclusive(_) => Status::Conclusive,
            Verdict::Inconclusive(error) => error.kind.status(),
        }
    }

    /// The error of a probe without a result, unless a finding reports it.
    pub fn unreported_error(&self) -> Option<&LookError> {
        let Verdict::Inconclusive(error) = &self.verdict else {
            return None;
        };
        let mut reported = self.findings.iter().filter_map(|f| f.detail.error());
        (!reported.any(|reported| reported == error)).then_some(error)
    }

    /// Whether a kind of key was asked for that the server has none of, while it has another.
    pub fn is_of_absent_key(&self) -> bool {
        self.findings
            .iter()
            .any(|f| f.code() == Code::KeyTypeMissing)
    }
}

/// An observation judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A certificate was seen, by us or by a remote vantage.
    Conclusive(Flags),
    /// None was seen.
    Inconclusive(LookError),
}

/// What is true of a served certificate, each judged on its own. `None` is unknown: a remote
/// vantage tells only the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The leaf is the expected instance.
    pub correct: bool,
    /// A client that holds only the roots can build the chain from what was served.
    pub chained: bool,
    /// The leaf is a temporary certificate.
    pub dummy: bool,
    /// There is a path to the trust store, valid now, and the name matches.
    pub trusted: Option<bool>,
    /// The leaf is valid for the name that was asked for.
    pub hostname_match: Option<bool>,
    /// The leaf's end has passed.
    pub expired: Option<bool>,
    /// The leaf's beginning has not come.
    pub not_yet_valid: Option<bool>,
    /// The leaf has been revoked.
    pub revoked: Option<bool>,
}

/// Judges one probe. What needs several probes is judged by [`together()`] afterwards.
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

/// Judges one probe as [`judge`] does, within a budget of signatures that it shares with [`issuer_to_ask`] and [`dane()`].
pub fn judge_within(
    signatures: &Signatures,
    expected: Option<&Arc<Expected>>,
    observation: Observation,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> Judged {
    let expected = expected.map(|e| e.for_key_type(observation.key_type));
    let (mut clients, mut path_expiry) = (None, None);
    let (verdict, mut findings) = match (&observation.outcome, &expected) {
        (Outcome::Failed(error), _) => (
            Verdict::Inconclusive(error.clone()),
            handshake::failure(error, &observation.target)
                .into_iter()
                .collect(),
        ),
        (_, None) => (
            Verdict::Inconclusive(LookError::new(
                ErrorKind::Internal,
                "it is not known which certificate is expected",
            )),
            Vec::new(),
        ),
        (Outcome::Served(served), Some(expected)) => {
            let hostname = &observation.target.hostname;
            let judged = judge_served(expected, served, hostname, trust, rules, now, signatures);
            (clients, path_expiry) = (Some(judged.clients), judged.path_expiry);
            (Verdict::Conclusive(judged.flags), judged.findings)
        }
        (Outcome::Told(told), Some(expected)) => {
            let (flags, findings) = judge_told(expected, *told, rules.grace_at(now));
            (Verdict::Conclusive(flags), findings)
        }
    };
    if expected.is_some() {
        findings.extend(rules.stale_since.map(stale_finding));
    }
    sort(&mut findings);
    Judged {
        observation,
        expected,
        verdict,
        findings,
        clients,
        path_expiry,
        dane: None,
    }
}

/// Worst first; within one severity in the order of the table.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.code()));
}

fn stale_finding(last_success: Timestamp) -> Finding {
    Finding::new(Detail::SourceStale { last_success })
}

fn judge_told(expected: &Expected, told: Told, grace: Option<Grace>) -> (Flags, Vec<Finding>) {
    let mut findings = Vec::new();
    if told.dummy {
        findings.push(identity::dummy_finding(told.correct, expected, grace));
    } else if !told.correct
        && let Some(grace) = grace
    {
        // The served certificate is not reported. During a rollout it is most likely the previous one.
        findings.push(Finding::with_severity(
            Severity::Warning,
            Detail::PreviousInstance {
                older: Older::Reported,
                grace_until: Some(grace.until),
                expected: Wanted::of(expected),
            },
        ));
    } else if !told.correct {
        findings.push(Finding::new(Detail::WrongCertificate {
            served: None,
            expected: Wanted::of(expected),
        }));
    } else if !told.chained {
        findings.push(Finding::new(Detail::MissingIntermediate {
            missing: Missing::Reported,
            expected: Wanted::of(expected),
        }));
    }
    let flags = Flags {
        correct: told.correct,
        chained: told.chained,
        dummy: told.dummy,
        trusted: None,
        hostname_match: None,
        expired: None,
        not_yet_valid: None,
        revoked: None,
    };
    (flags, findings)
}
