//! The weight of a fault in the choice of the best path.

use crate::finding::{Fault, FaultKind};

/// Returns the weight of a fault. The attempt with the fewest and mildest faults explains best why
/// there is no valid path.
pub(super) fn weight_of(kind: &FaultKind) -> u32 {
    match kind {
        FaultKind::Expired(_) | FaultKind::NotYetValid(_) => 10,
        FaultKind::TinyKey(_) | FaultKind::WeakSignature(_) | FaultKind::RareAlgorithm(_) => 12,
        FaultKind::NoTlsKeyUsage { .. }
        | FaultKind::NotForServers { .. }
        | FaultKind::NameConstraint { .. }
        | FaultKind::PathLength { .. } => 20,
        FaultKind::UnknownCritical(_) | FaultKind::NoValidPolicy | FaultKind::AnyPolicyMapped => 20,
        FaultKind::NameConstraintUnsupported(_)
        | FaultKind::NameConstraintMalformed
        | FaultKind::TooManyNames
        | FaultKind::MalformedExtension(_)
        | FaultKind::MoreExtensions(_)
        | FaultKind::DuplicateExtension(_)
        | FaultKind::AlgorithmMismatch
        | FaultKind::NameForm
        | FaultKind::Deviation(_)
        | FaultKind::UnreadableValidity => 25,
        FaultKind::NoKeyCertSign { .. } => 30,
        FaultKind::OldVersion(_) | FaultKind::NoBasicConstraints { .. } => 35,
        FaultKind::NotCa => 40,
        FaultKind::Unverifiable(_) => 60,
        FaultKind::Unreadable => 80,
    }
}

/// Returns the weight of all faults of a step.
pub(super) fn weight(faults: &[Fault]) -> u32 {
    faults.iter().map(|f| weight_of(&f.kind)).sum()
}
