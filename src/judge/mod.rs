//! Judging: what ought to be served against what was seen. Pure: no clock, no sockets, no files.

use std::sync::Arc;

use crate::finding::{Finding, Severity};
use crate::instance::Expected;
use crate::observation::{LookError, Observation};

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
}

impl Judged {
    /// The worst of the findings; unknown where nothing could be judged and nothing critical is known.
    pub fn severity(&self) -> Severity {
        let floor = match self.verdict {
            Verdict::Conclusive(_) => Severity::Ok,
            Verdict::Inconclusive(_) => Severity::Unknown,
        };
        let findings = self.findings.iter().map(|f| f.severity);
        findings.fold(floor, Severity::max)
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
