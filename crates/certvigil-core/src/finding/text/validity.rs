//! Text of findings about validity periods.

use super::super::{ChainValidity, LeafValidity, Role};
use super::{Text, described, span};

/// Returns the text of [`Detail::Expired`](super::Detail::Expired).
pub(super) fn expired(validity: &LeafValidity) -> Text {
    let not_after = validity.not_after;
    Text::new(
        format!(
            "the certificate expired on {} ({} ago)",
            not_after.date(),
            span(validity.judged_at, not_after)
        ),
        if validity.is_newer_expected {
            "install the expected certificate and reload the server"
        } else {
            "install a renewed certificate and reload the server"
        },
    )
}

/// Returns the text of [`Detail::Expiring`](super::Detail::Expiring).
pub(super) fn expiring(validity: &LeafValidity) -> Text {
    let not_after = validity.not_after;
    Text::new(
        format!(
            "the certificate expires on {} (in {})",
            not_after.date(),
            span(not_after, validity.judged_at)
        ),
        if validity.is_newer_expected {
            "install the expected certificate before then and reload the server"
        } else {
            "renew the certificate, install it and reload the server"
        },
    )
}

/// Returns the text of [`Detail::NotYetValid`](super::Detail::NotYetValid).
pub(super) fn not_yet_valid(validity: &ChainValidity) -> Text {
    let not_before = validity.not_before;
    let what = described(validity.position, &validity.certificate);
    match validity.position {
        Role::Leaf => Text::new(
            format!(
                "{what} is not valid before {not_before} (in {})",
                span(not_before, validity.judged_at)
            ),
            "check the clock here, or serve the certificate before it until then",
        ),
        Role::Intermediate => Text::new(
            format!("{what} is not valid before {not_before}"),
            "check the clock of this machine, or serve the previous certificate until then",
        ),
        Role::Anchor => Text::new(
            format!("{what} is not valid before {not_before}"),
            "check the clock here; until then, have the certificate issued below a root that is valid now",
        ),
    }
}

/// Returns the text of [`Detail::ChainExpired`](super::Detail::ChainExpired).
pub(super) fn chain_expired(validity: &ChainValidity, is_needed: bool) -> Text {
    let message = format!(
        "{} expired on {} ({} ago)",
        described(validity.position, &validity.certificate),
        validity.not_after.date(),
        span(validity.judged_at, validity.not_after)
    );
    if !is_needed {
        return Text::new(
            format!("{message}; clients that build the path without it accept the chain"),
            "remove it from the server's certificate file: some old clients try it first and fail",
        );
    }
    Text::new(
        message,
        match validity.position {
            Role::Anchor => {
                "have the certificate issued below a root that is valid now, and give that root to clients"
            }
            Role::Leaf | Role::Intermediate => {
                "replace it by the one that came with the newest certificate"
            }
        },
    )
}

/// Returns the text of [`Detail::ChainExpiring`](super::Detail::ChainExpiring).
pub(super) fn chain_expiring(validity: &ChainValidity) -> Text {
    Text::new(
        format!(
            "{} expires on {} (in {})",
            described(validity.position, &validity.certificate),
            validity.not_after.date(),
            span(validity.not_after, validity.judged_at)
        ),
        match validity.position {
            Role::Anchor => {
                "have the certificate issued below a root that lasts, and give that root to clients before then"
            }
            Role::Leaf | Role::Intermediate => {
                "reissue the certificate: its new chain has an intermediate that lasts"
            }
        },
    )
}
