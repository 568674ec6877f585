//! Mail domains: the facts in DNS about their mail hosts, beside the hosts' own.

use crate::model::Hostname;
use crate::mta_sts::{Sts, StsFault};

/// A mail domain with its mail hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailDomain {
    /// The domain, as in mail addresses.
    pub domain: Hostname,
    /// Its mail hosts, the preferred first (RFC 5321, section 5.1).
    pub hosts: Vec<Hostname>,
    /// True if the name server reports that DNSSEC authenticates the MX records, or their absence.
    /// `None` if DANE was not requested.
    pub is_authenticated: Option<bool>,
    /// The MTA-STS policy that senders apply (RFC 8461). `None` if there is none.
    pub sts: Option<Sts>,
    /// The fault of the announced policy. `sts` is then an earlier one that has not expired, if any.
    pub sts_fault: Option<StsFault>,
}
