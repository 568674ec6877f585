//! Times since which an endpoint has had each of its findings.

use crate::finding::Code;
use crate::judge::Judged;
use crate::model::Timestamp;

use super::results::Since;

/// Start of each finding of an endpoint. A finding that stays keeps its start, while others come and
/// go, and while the server changes its certificate.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Starts {
    /// The findings of the last result, and those of the result before it. A comparison of endpoints
    /// may find these again.
    starts: Box<[(Code, Since)]>,
    /// True after the first probe.
    is_first: bool,
}

impl Starts {
    /// Returns the starts after the first probe of an endpoint.
    pub(super) fn first(judged: &Judged, at: Timestamp) -> Self {
        let none = Self {
            starts: Box::default(),
            is_first: true,
        };
        none.with(judged, at)
    }

    /// Returns the starts after another probe; `last` is the result before it.
    pub(super) fn following(&self, last: &Judged, judged: &Judged, at: Timestamp) -> Self {
        let starts = self.starts.iter().copied();
        let stayed = Self {
            starts: starts.filter(|(code, _)| has(last, *code)).collect(),
            is_first: false,
        };
        stayed.with(judged, at)
    }

    /// Returns the starts with those of other findings of the same probe.
    pub(super) fn with(&self, judged: &Judged, at: Timestamp) -> Self {
        let since = Since {
            at,
            is_change: !self.is_first,
        };
        let codes = judged.findings.iter().map(|finding| finding.code());
        let new = codes.filter(|code| self.of(*code).is_none());
        let new = new.map(|code| (code, since));
        Self {
            starts: self.starts.iter().copied().chain(new).collect(),
            is_first: self.is_first,
        }
    }

    /// Returns the time since which the endpoint has had a finding of its last result.
    pub(in crate::serve) fn of(&self, code: Code) -> Option<Since> {
        let mut starts = self.starts.iter();
        starts.find(|(of, _)| *of == code).map(|(_, since)| *since)
    }
}

fn has(judged: &Judged, code: Code) -> bool {
    judged.findings.iter().any(|finding| finding.code() == code)
}
