//! Errors of the monitor.

use crate::error::Cause;
use crate::remote::RemoteError;
use crate::source::SetupError;
use crate::store::StoreError;

use super::reload::PATIENCE;

/// Reason why a configuration cannot be put into force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file is invalid. The cause has one line for each problem.
    #[error("{0}")]
    File(Cause),
    /// The settings of a source are invalid.
    #[error(transparent)]
    Source(#[from] SetupError),
    /// The settings of a remote vantage are invalid.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The settings of a probe module are invalid.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A file with roots, a client certificate or a secret cannot be used.
    #[error("{0}")]
    Resource(Cause),
    /// The web configuration is invalid.
    #[error("{0}")]
    Web(Cause),
}

impl ConfigError {
    /// Returns the error for a file that the configuration names, or for the TLS client.
    pub(super) fn resource(cause: impl Into<Cause>) -> Self {
        Self::Resource(cause.into())
    }
}

/// Reason why a probe module cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// The client certificate cannot be used.
    #[error("the module `{module}`: {cause}")]
    Reach {
        /// Name of the module.
        module: String,
        /// Error of the file.
        cause: Cause,
    },
    /// The trusted roots cannot be loaded.
    #[error("the trust of the module `{module}`: {cause}")]
    Trust {
        /// Name of the module.
        module: String,
        /// Error of the file.
        cause: Cause,
    },
}

/// Reason why a reload did not put a configuration into force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration could not be read in time.
    #[error(
        "the configuration could not be read within {} s: check the disk that it, or a file that it names, is on; it is in force once it has been read",
        PATIENCE.as_secs()
    )]
    Overdue,
    /// Too many requests wait for a reload.
    #[error("too many wait for the configuration to be read: try again")]
    TooMany,
    /// The monitor is stopping.
    #[error("certvigil is stopping")]
    Stopping,
    /// The thread of the reload failed, which is a bug.
    #[error("{0}")]
    Failed(Cause),
}

/// Reason why the monitor did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The monitor ended, which is a bug.
    #[error("the monitor has ended: please report it")]
    Ended,
    /// A task failed, which is a bug.
    #[error("a part of certvigil has failed: {0}")]
    Failed(#[from] tokio::task::JoinError),
}
