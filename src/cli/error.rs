//! Errors of commands.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::ValueError;
use crate::error::Cause;
use crate::model::CritBeforeWarn;
use crate::remote::RemoteError;
use crate::report::Gap;
#[cfg(feature = "serve")]
use crate::serve::{RouteError, ServerError};
use crate::source::{FetchError, SetupError};
use crate::store::StoreError;

use super::chain::ChainError;
use super::output::OutputError;
use super::targets::TargetError;

/// Reason why a command has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A TARGET is invalid.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Flags do not fit each other or the targets.
    #[error(transparent)]
    Flags(#[from] FlagsError),
    /// The settings of a source are invalid.
    #[error(transparent)]
    Source(#[from] SetupError),
    /// The settings of a remote vantage are invalid.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A file with roots, a client certificate, a key or a password cannot be used, or the TLS
    /// client cannot be created.
    #[error("{0}")]
    Resource(Cause),
    /// A source failed.
    #[error("{0}")]
    Fetch(Arc<FetchError>),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The monitor cannot be started, or has failed.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server cannot listen.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The path prefixes of the web server are invalid.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The chain cannot be completed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The result cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The history has no such name.
    #[error(
        "no history of `{name}`; {}",
        near.as_deref().unwrap_or("give the name of a monitored certificate or host, or omit the name")
    )]
    NoHistory {
        /// Given name.
        name: String,
        /// Question with a similar name.
        near: Option<String>,
    },
    /// The inventory has no such target.
    #[error(
        "`{text}` is not in the inventory; {}",
        near.as_deref().unwrap_or("give one of its certificate names or hosts")
    )]
    NotInInventory {
        /// Given target.
        text: String,
        /// Question with a similar name.
        near: Option<String>,
    },
    /// The user interrupted before any target was probed.
    #[error("interrupted before any result")]
    Interrupted,
    /// A run for a file of metrics lacks results.
    #[error("{}{} keeps its previous results", match gap {
        Gap::Interrupted => "interrupted: ".to_owned(),
        Gap::Source(_) => format!("{gap}; "),
    }, file.display())]
    Kept {
        /// Reason why results are missing.
        gap: Gap,
        /// The file of metrics.
        file: PathBuf,
    },
    /// The async runtime cannot be started.
    #[error("cannot start the async runtime: {0}")]
    Runtime(io::Error),
    /// A signal handler cannot be installed.
    #[cfg(all(feature = "serve", unix))]
    #[error("cannot install signal handlers: {0}")]
    Signals(io::Error),
    /// The task of the check failed, which is a bug.
    #[error("the check task failed: {0}")]
    Task(tokio::task::JoinError),
}

impl Error {
    /// Returns the error for a file that cannot be used, or for the TLS client.
    pub(super) fn resource(cause: impl Into<Cause>) -> Self {
        Self::Resource(cause.into())
    }
}

/// Returns what to do about a configuration file that cannot be read.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::IsADirectory => "give the path of the file in it",
        io::ErrorKind::NotFound => "check the path, or create the file",
        io::ErrorKind::PermissionDenied => "run as a user who may read it",
        _ => "give the path of a configuration file",
    }
}

/// Reason why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InventoryError {
    /// The file cannot be read.
    #[error("cannot read configuration {}: {error}; {}", file.display(), advice(error))]
    Unreadable {
        /// Configuration file.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The file is too large.
    #[error("cannot read configuration {}: larger than {limit} bytes", file.display())]
    TooLarge {
        /// Configuration file.
        file: PathBuf,
        /// Maximum size in bytes.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("cannot read configuration {}: byte {byte} is not UTF-8; save it as UTF-8", file.display())]
    NotUtf8 {
        /// Configuration file.
        file: PathBuf,
        /// Number of the first invalid byte, starting at 1.
        byte: usize,
    },
    /// The content is invalid. The cause has one line for each problem.
    #[error("{0}")]
    Invalid(Cause),
    /// Included files or files of targets are invalid.
    #[error("{}", .0.join("\n"))]
    Files(Vec<String>),
}

/// Reason why flags cannot be used together, or with these targets.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum FlagsError {
    /// The critical threshold is longer than the warning threshold.
    #[error(transparent)]
    Thresholds(#[from] CritBeforeWarn),
    /// `--starttls` was given with an inventory.
    #[error("--starttls does not apply to an inventory; set `protocol` in its entries instead")]
    StarttlsOfInventory,
    /// `--crl-file` was given without a revocation check.
    #[error("--crl-file needs a revocation check; remove --revocation off")]
    CrlWithoutCheck,
    /// No target sends EHLO.
    #[error(
        "--ehlo has no effect: no target uses SMTP or LMTP; write one as smtp://HOST, or remove the flag"
    )]
    UnusedEhlo,
    /// No target speaks XMPP.
    #[error(
        "--xmpp-domain has no effect: no target uses XMPP; write one as xmpp://HOST, or remove the flag"
    )]
    UnusedXmppDomain,
    /// There are several source addresses of one family.
    #[error("--source-address: {0}")]
    SourceAddress(ValueError),
    /// A setting does not fit the protocol of a target.
    #[error("{0}")]
    Reach(Cause),
    /// The list of vantages has an empty name.
    #[error("`{0}` has an empty vantage name; write a comma-separated list such as local,sslmate")]
    EmptyVantage(String),
    /// There is no vantage of this name.
    #[error("unknown vantage `{name}`; {advice}")]
    UnknownVantage {
        /// Given name.
        name: String,
        /// Remedy.
        advice: VantageAdvice,
    },
    /// Flags of the web server were given to a demo that does not serve.
    #[cfg(feature = "demo")]
    #[error("--web flags need --serve; add --serve or remove them")]
    WebWithoutServe,
    /// There is nothing to monitor.
    #[cfg(feature = "serve")]
    #[error("nothing to monitor; give a TARGET such as www.example.com, or --config FILE")]
    NothingToMonitor,
    /// There is no certificate whose chain could be completed.
    #[error("give --cert, --sslmate or --download")]
    NoCertificate,
    /// The file of `--key` has several private keys.
    #[error(
        "--key {}: the file has {count} private keys, and servers use the first: give a file with one",
        file.display()
    )]
    SeveralKeys {
        /// File of the keys.
        file: PathBuf,
        /// Number of keys in it.
        count: usize,
    },
    /// The file of `--key` cannot be used.
    #[error("--key {}: {cause}", file.display())]
    Key {
        /// File of the key.
        file: PathBuf,
        /// Error of the file.
        cause: Cause,
    },
}

/// Remedy for an unknown vantage.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VantageAdvice {
    /// Question with a similar name.
    Near(String),
    /// A missing account, and the names that exist.
    Account(Vec<String>),
    /// A missing definition, and the names that exist.
    Definition(Vec<String>),
}

impl fmt::Display for VantageAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, all) = match self {
            Self::Near(near) => return f.write_str(near),
            Self::Account(all) => ("give --sslmate CN or a configuration with `sslmate`", all),
            Self::Definition(all) => ("define it under `vantages` in a configuration", all),
        };
        write!(f, "{what}, or use one of: {}", all.join(", "))
    }
}

/// Reason why a server cannot listen.
#[cfg(feature = "serve")]
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}; choose another with {flag}")]
    Bind {
        /// Address and port.
        address: std::net::SocketAddr,
        /// Error of the operating system.
        error: io::Error,
        /// Flag that chooses another address.
        flag: String,
    },
    /// A socket of systemd is no TCP listener.
    #[error(
        "cannot use socket {number} of systemd: {error}; set ListenStream= of the socket unit to a TCP port"
    )]
    Passed {
        /// Number of the socket, starting at 1.
        number: usize,
        /// Error of the operating system.
        error: io::Error,
    },
    /// systemd passed no socket.
    #[error(
        "--web.systemd-socket: systemd passed no socket; start the service by its socket unit, or remove the flag"
    )]
    NoPassed,
    /// A socket of systemd cannot be used.
    #[error("cannot listen on a socket of systemd: {0}")]
    Unusable(io::Error),
    /// The address of a listener cannot be read.
    #[error("{0}")]
    Address(io::Error),
    /// The web configuration is invalid.
    #[error("{0}")]
    Web(Cause),
}

/// Reason why the value of a flag is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FlagError {
    /// The duration is zero.
    #[error("the duration must be greater than zero; write it as 10s or 2m")]
    ZeroDuration,
    /// The text is no HTTP URL.
    #[error("not an http or https URL; write it as {0}")]
    Url(&'static str),
    /// The text is no positive whole number.
    #[error("not a positive whole number; write 1 or more")]
    Count,
    /// The text is no time.
    #[error(
        "`{0}` is not a time; write it as 2026-11-24T12:00:00Z, as a date (2026-11-24), or as +30d"
    )]
    Time(String),
    /// The text is no start of a period.
    #[error("not a duration or an RFC 3339 time; write it as 7d, 12h or 2026-11-24T12:00:00Z")]
    Since,
    /// The text is no listen address.
    #[cfg(feature = "serve")]
    #[error("`{0}` is not a listen address; write :10843, 127.0.0.1:10843 or [::1]:10843")]
    Listen(String),
    /// The value is refused by the type that it is parsed to.
    #[error("{0}")]
    Model(Cause),
}
