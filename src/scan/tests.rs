//! Injected panics for tests.

use std::net::Ipv4Addr;

use crate::config::Entry;
use crate::look::Look;
use crate::model::Target;

/// Address whose probe panics.
pub(crate) const BAD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
/// Host for which the steps before its probes panic.
pub(crate) const BAD_HOST: &str = "bad.example";

/// Entry name whose source request panics.
pub(crate) const BAD_SOURCE: &str = "bad-source";

pub(super) fn break_down_asking(entry: &Entry) {
    assert_ne!(
        entry.name.as_deref(),
        Some(BAD_SOURCE),
        "as the test asked for"
    );
}

pub(super) fn break_down_before(look: &Look<'_>) {
    assert_ne!(look.address.ip(), BAD_ADDRESS, "as the test asked for");
}

pub(super) fn break_down_at(target: &Target) {
    assert_ne!(
        target.hostname.to_string(),
        BAD_HOST,
        "as the test asked for"
    );
}
