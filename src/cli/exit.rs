//! The exit code: one place makes the number.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::finding::Severity;
use crate::judge::Judged;

/// The monitoring plugins' exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// All is well.
    Ok = 0,
    /// Something is to be mended.
    Warning = 1,
    /// Clients fail, or will within days.
    Critical = 2,
    /// It could not be found out, or the command was wrong.
    Unknown = 3,
}

impl Code {
    /// The same in the words of findings.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Ok => Severity::Ok,
            Self::Warning => Severity::Warning,
            Self::Critical => Severity::Critical,
            Self::Unknown => Severity::Unknown,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// The exit code where the command line could not be read. What it says of `--fail-on` counts even so:
/// whoever wants no exit code but 0 wants none for a mistake either.
pub(super) fn of_usage_error(arguments: &[OsString]) -> Code {
    let never = |pair: &[OsString]| matches!(pair, [flag, value] if flag == "--fail-on" && value == "never");
    if arguments.iter().any(|a| a == "--fail-on=never") || arguments.windows(2).any(never) {
        Code::Ok
    } else {
        Code::Unknown
    }
}

/// From which severity on the exit code is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Warnings and worse
    Warning,
    /// Critical findings only
    Critical,
    /// Nothing: always exit with 0
    Never,
}

impl FailOn {
    /// The exit code of a run that ended with an error instead of a result.
    pub(super) fn error(self) -> Code {
        match self {
            Self::Never => Code::Ok,
            Self::Warning | Self::Critical => Code::Unknown,
        }
    }

    /// The exit code of these results; what was not looked at is unknown, and so are all where there are none.
    pub(super) fn code(self, results: &[Judged], complete: bool) -> Code {
        let floor = if complete && !results.is_empty() {
            Severity::Ok
        } else {
            Severity::Unknown
        };
        let worst = results
            .iter()
            .map(Judged::severity)
            .fold(floor, Severity::max);
        match (self, worst) {
            (Self::Never, _) | (_, Severity::Ok | Severity::Info) => Code::Ok,
            (Self::Critical, Severity::Warning) => Code::Ok,
            (Self::Warning, Severity::Warning) => Code::Warning,
            (_, Severity::Unknown) => Code::Unknown,
            (_, Severity::Critical) => Code::Critical,
        }
    }
}
