//! Injected panics for tests.

use std::net::Ipv4Addr;

use crate::config::Entry;
use crate::model::Target;
use crate::probe::Request;

/// Address whose probe panics.
pub(crate) const BAD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
/// Host for which the steps before its probes panic.
pub(crate) const BAD_HOST: &str = "bad.example";

/// Entry name whose source request panics.
pub(crate) const BAD_SOURCE: &str = "bad-source";

pub(super) fn panic_on_bad_source(entry: &Entry) {
    assert_ne!(
        entry.name.as_deref(),
        Some(BAD_SOURCE),
        "as the test asked for"
    );
}

pub(super) fn panic_on_bad_address(request: &Request<'_>) {
    assert_ne!(request.address.ip(), BAD_ADDRESS, "as the test asked for");
}

pub(super) fn panic_on_bad_host(target: &Target) {
    assert_ne!(
        target.hostname.to_string(),
        BAD_HOST,
        "as the test asked for"
    );
}
