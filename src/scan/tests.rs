//! Faults of our own that tests ask for.

use std::net::Ipv4Addr;

use crate::look::Look;
use crate::model::Target;

/// A look at this address panics.
pub(crate) const BAD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
/// What comes before the looks at this host's addresses panics.
pub(crate) const BAD_HOST: &str = "bad.example";

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
