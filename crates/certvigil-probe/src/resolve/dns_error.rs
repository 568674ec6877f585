//! Interpretation of DNS responses without records.

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use crate::observation::{ErrorKind, LookError};

pub(super) fn timed_out(name: &str, kind: RecordType) -> LookError {
    LookError::new(
        ErrorKind::DnsTimeout,
        format!("no name server answered for the {kind} records of {name} in time"),
    )
}

/// Returns the meaning of an error. `alias` is the name for which `name` is an alias.
pub(super) fn explain(
    name: &str,
    alias: Option<&str>,
    kind: RecordType,
    error: &NetError,
) -> LookError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookError::new(
                ErrorKind::DnsNxdomain,
                match alias {
                    Some(target) => {
                        format!("{name} is an alias for {target}, and that name does not exist")
                    }
                    None => format!("the name {name} does not exist"),
                },
            ),
            ResponseCode::NoError => LookError::new(
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
        NetError::NoConnections | NetError::Io(_) => LookError::new(
            ErrorKind::DnsTimeout,
            format!("no name server could be asked for the {kind} records of {name}: {error}"),
        ),
        other => LookError::new(
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

fn servfail(name: &str, kind: RecordType, code: ResponseCode) -> LookError {
    LookError::new(
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
