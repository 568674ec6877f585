//! Interpretation of DNS responses without records.

use std::net::IpAddr;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use crate::observation::{ErrorKind, ProbeError};

use super::RESOLV_CONF;

pub(super) fn timed_out(name: &str, kind: RecordType) -> ProbeError {
    ProbeError::new(
        ErrorKind::DnsTimeout,
        format!("no name server answered for the {kind} records of {name} in time"),
    )
}

/// Returns the error of a name that does not exist; `alias` is the name for which it is an alias.
pub(super) fn nonexistent(name: &str, alias: Option<&str>) -> ProbeError {
    let message = match alias {
        Some(target) => format!("{name} is an alias for {target}, and that name does not exist"),
        None => format!("the name {name} does not exist"),
    };
    ProbeError::new(ErrorKind::DnsNxdomain, message)
}

/// Returns the meaning of an error. `alias` is the name for which `name` is an alias; `server` is
/// the address of the name server, if it is known.
pub(super) fn explain(
    name: &str,
    alias: Option<&str>,
    kind: RecordType,
    server: Option<IpAddr>,
    error: &NetError,
) -> ProbeError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => nonexistent(name, alias),
            ResponseCode::NoError => ProbeError::new(
                ErrorKind::DnsNoAddress,
                match alias {
                    Some(target) => {
                        format!("{name} is an alias for {target}, which has no {kind} records")
                    }
                    None => format!("{name} has no {kind} records"),
                },
            ),
            code => servfail(name, kind, code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => servfail(name, kind, *code),
        NetError::Timeout => timed_out(name, kind),
        NetError::NoConnections | NetError::Io(_) => ProbeError::new(
            ErrorKind::DnsTimeout,
            format!(
                "cannot query the name server{} for the {kind} records of {name}: {error}; check {RESOLV_CONF}, \
                 or give another name server with --dns",
                server
                    .map(|server| format!(" {server}"))
                    .unwrap_or_default()
            ),
        ),
        other => ProbeError::new(
            ErrorKind::DnsServfail,
            format!("the {kind} records of {name} could not be found out: {other}"),
        ),
    }
}

/// Returns true if a name server's error says that it does not support EDNS (RFC 6891, section 7).
pub(super) fn rejects_edns(error: &NetError) -> bool {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        _ => return false,
    };
    let rejections = [
        ResponseCode::FormErr,
        ResponseCode::NotImp,
        ResponseCode::BADVERS,
        // The same number in a TSIG record, and what hickory makes of it.
        ResponseCode::BADSIG,
    ];
    rejections.contains(&code)
}

fn servfail(name: &str, kind: RecordType, code: ResponseCode) -> ProbeError {
    ProbeError::new(
        ErrorKind::DnsServfail,
        format!(
            "the name server answered {} for the {kind} records of {name}",
            rcode_name(code)
        ),
    )
}

fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        // No query is signed with TSIG.
        ResponseCode::BADSIG => "BADVERS".into(),
        other => other.to_string(),
    }
}
