//! The paths that a search found.

use crate::certificate::Certificate;
use crate::finding::Fault;
use crate::model::Timestamp;

use super::super::trust_store::Anchor;

/// A path, or an attempt at one.
#[derive(Clone, Debug)]
pub(in crate::judge) struct Path<'a> {
    /// The certificates from the leaf up, without the trust anchor.
    pub(in crate::judge) certificates: Vec<&'a Certificate>,
    /// The end of the path.
    pub(in crate::judge) end: PathEnd<'a>,
    /// All faults except the end of the path.
    pub(in crate::judge) faults: Vec<Fault>,
}

/// The end of a path.
#[derive(Clone, Copy, Debug)]
pub(in crate::judge) enum PathEnd<'a> {
    /// A trust anchor.
    Anchor(&'a Anchor),
    /// The leaf, which is in the trust store itself.
    LeafInStore,
    /// A certificate whose issuer is neither served nor a trust anchor.
    NoIssuer,
    /// A self-signed certificate that is not a trust anchor.
    SelfSigned,
    /// Certificates that issued each other.
    Loop,
}

impl<'a> Path<'a> {
    /// Returns true if the path reaches the trust store.
    pub(in crate::judge) fn is_anchored(&self) -> bool {
        matches!(self.end, PathEnd::Anchor(_) | PathEnd::LeafInStore)
    }

    /// Returns true if the path is valid by RFC 5280, section 6.
    pub(in crate::judge) fn is_valid(&self) -> bool {
        self.is_anchored() && self.faults.is_empty()
    }

    /// Returns the last certificate before the trust anchor.
    pub(in crate::judge) fn top(&self) -> Option<&'a Certificate> {
        self.certificates.last().copied()
    }

    /// Returns the trust anchor.
    pub(in crate::judge) fn anchor(&self) -> Option<&'a Anchor> {
        match self.end {
            PathEnd::Anchor(anchor) => Some(anchor),
            _ => None,
        }
    }

    /// Returns the first notAfter on the path, including that of the trust anchor.
    pub(in crate::judge) fn expiry(&self) -> Option<Timestamp> {
        let anchor = self.anchor().and_then(Anchor::certificate);
        let all = self.certificates.iter().copied().chain(anchor);
        all.filter_map(|c| c.facts().ok())
            .map(|f| f.not_after)
            .min()
    }
}

/// The result of a search.
#[derive(Debug)]
pub(in crate::judge) struct Found<'a> {
    /// The paths, best first; never empty.
    pub(in crate::judge) paths: Vec<Path<'a>>,
    /// True if the search reached one of its limits.
    pub(in crate::judge) is_bounded: bool,
}

impl<'a> Found<'a> {
    /// Returns the valid path, or the attempt that best explains its absence.
    pub(in crate::judge) fn best(&self) -> Option<&Path<'a>> {
        self.paths.first()
    }

    /// Returns the valid paths.
    pub(in crate::judge) fn valid(&self) -> impl Iterator<Item = &Path<'a>> {
        self.paths.iter().filter(|p| p.is_valid())
    }

    /// Returns true if there is a valid path.
    pub(in crate::judge) fn is_valid(&self) -> bool {
        self.valid().next().is_some()
    }
}
