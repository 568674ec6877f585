//! Exit codes of all commands.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::finding::Severity;
use crate::judge::Judged;

/// Exit codes of the monitoring plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// All targets are healthy.
    Ok = 0,
    /// There is something to fix.
    Warning = 1,
    /// Clients fail, or will fail within days.
    Critical = 2,
    /// The state could not be determined, or the command was wrong.
    Unknown = 3,
}

impl Code {
    /// Returns the severity that corresponds to this exit code.
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
        Self::from(code as u8)
    }
}

/// Returns the exit code for a command line that could not be parsed. `--fail-on never` applies
/// even then: a user who wants no other exit code than 0 does not want one for a usage error
/// either. Other commands than `check` and `verify` do not have the flag.
pub(super) fn of_usage_error(arguments: &[OsString]) -> Code {
    const FLAG: &str = "--fail-on";
    let mut words = arguments.iter().skip(1);
    let command = words.find(|word| !word.to_string_lossy().starts_with('-'));
    if !command.is_some_and(|command| command == "check" || command == "verify") {
        return Code::Unknown;
    }
    // What follows `--` is no flag.
    let end = arguments.iter().position(|word| word == "--");
    let (arguments, _) = arguments.split_at(end.unwrap_or(arguments.len()));
    let joined = arguments.iter().enumerate().filter_map(|(at, argument)| {
        let value = argument.to_str()?.strip_prefix(FLAG)?.strip_prefix('=')?;
        Some((at, value.to_owned()))
    });
    let pairs = arguments.windows(2).enumerate();
    let apart = pairs.filter_map(|(at, pair)| match pair {
        [flag, value] if flag == FLAG => Some((at, value.to_string_lossy().into_owned())),
        _ => None,
    });
    // The last one counts.
    let last = joined.chain(apart).max_by_key(|(at, _)| *at);
    match last {
        Some((_, value)) if value == "never" => Code::Ok,
        _ => Code::Unknown,
    }
}

/// Lowest severity that makes the exit code non-zero.
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
    /// Returns the exit code of a run that ended with an error instead of a result.
    pub(super) fn error(self) -> Code {
        match self {
            Self::Never => Code::Ok,
            Self::Warning | Self::Critical => Code::Unknown,
        }
    }

    /// Returns the exit code for these results. It is unknown if the scan is incomplete or has no
    /// results, unless a finding is critical.
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
