//! Violations of a protocol by a server.

use super::super::tds::PacketError;
use super::wire::quote;

/// Violation of a protocol by a server, before TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    /// Data that the protocol does not allow at this point, as printable text.
    #[error("it sent `{0}`")]
    Unexpected(String),
    #[error("it sent a response of more than {limit} bytes")]
    LongResponse { limit: usize },
    /// LDAP: the length of the answer, in bytes.
    #[error("its answer has {0} bytes")]
    LdapLength(usize),
    /// LDAP: the length of the answer is indefinite, or has too many octets.
    #[error("the length of its answer is not BER as LDAP has it")]
    LdapBer,
    /// LDAP: the answer is another message.
    #[error("its answer is no ExtendedResponse")]
    LdapMessage,
    /// MySQL: the greeting lacks the capabilities.
    #[error("its greeting is too short")]
    MysqlGreeting,
    /// MySQL: the protocol's version is unknown.
    #[error("its greeting is not of the protocol's version 10")]
    MysqlVersion,
    /// NATS: the INFO line is malformed. Contains the reason, which quotes the line.
    #[error("its INFO line is not valid JSON: {0}")]
    NatsInfo(String),
    /// PostgreSQL: the length of the ErrorResponse, in bytes.
    #[error("it sent an error of {0} bytes")]
    PostgresError(usize),
    /// RDP: the length of the TPKT, in bytes.
    #[error("it sent a TPKT of {0} bytes")]
    Tpkt(usize),
    /// RDP: the selected security protocol.
    #[error("it selected the security protocol {0}, which was not offered")]
    SecurityProtocol(u32),
    /// SQL Server: a packet is malformed.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// SQL Server: the response to PRELOGIN ends early.
    #[error("its response to PRELOGIN is truncated")]
    PreloginTruncated,
    /// SQL Server: the response to PRELOGIN does not answer the question.
    #[error("its response to PRELOGIN has no encryption option")]
    PreloginEncryption,
    /// XMPP: the stream ends.
    #[error("it closed the stream")]
    StreamClosed,
}

impl Violation {
    /// Creates the violation of data that the protocol does not allow at this point.
    pub(super) fn unexpected(received: impl AsRef<[u8]>) -> Self {
        Self::Unexpected(quote(received))
    }

    /// Creates the violation of data whose first bytes the protocol does not allow.
    pub(super) fn unexpected_start(received: &[u8]) -> Self {
        const MAX_START: usize = 16;
        Self::unexpected(received.get(..MAX_START).unwrap_or(received))
    }
}
