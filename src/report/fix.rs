//! English text of the fixes of errors that no finding reports.

use crate::observation::ErrorKind;

/// Returns the fix of an error, as the hint of a finding: a sentence without a full stop. `None` if
/// the message of the error says what to do, or if only a log can.
pub(crate) fn fix_of(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::DnsNxdomain => "correct the name, or remove it from the inventory",
        ErrorKind::DnsNoAddress => "add an A or AAAA record, or remove the name from the inventory",
        ErrorKind::DnsServfail | ErrorKind::DnsTimeout => {
            "check the name servers of the zone, and the one that certvigil asks"
        }
        ErrorKind::ConnectRefused => "start the server, or correct its address and port",
        ErrorKind::ConnectTimeout | ErrorKind::ConnectUnreachable | ErrorKind::ConnectReset => {
            "check that the machine is up, and that the route and the firewalls allow the connection"
        }
        _ => return None,
    })
}
