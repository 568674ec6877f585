//! Exit codes of all commands.

use std::borrow::Cow;
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
/// either. Other commands than `check` and `verify` do not have the flag. A word after a flag that
/// needs a value is that value.
pub(super) fn of_usage_error(program: &clap::Command, arguments: &[OsString]) -> Code {
    const FLAG: &str = "fail-on";
    let mut words = arguments.iter().skip(1);
    let command = words.find(|word| !word.to_string_lossy().starts_with('-'));
    let command = command.filter(|command| *command == "check" || *command == "verify");
    let Some(command) = command.and_then(|command| program.find_subcommand(command)) else {
        return Code::Unknown;
    };
    let mut value = None;
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    // What follows `--` is no flag.
    while let Some(word) = words.next().filter(|word| word != "--") {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_ref(), None),
        };
        let flag = (program.get_arguments().chain(command.get_arguments()))
            .find(|argument| is_named(argument, name));
        let joined = joined.or_else(|| {
            flag.filter(|flag| needs_value(flag))?;
            words.next().map(Cow::into_owned)
        });
        // The last one counts.
        if flag.is_some_and(|flag| flag.get_long() == Some(FLAG)) {
            value = joined;
        }
    }
    match value.as_deref() {
        Some("never") => Code::Ok,
        _ => Code::Unknown,
    }
}

/// Returns true if a word is this flag.
fn is_named(flag: &clap::Arg, word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(name) => flag.get_long() == Some(name),
        None => word.strip_prefix('-').is_some_and(|name| {
            flag.get_short()
                .is_some_and(|short| name.chars().eq([short]))
        }),
    }
}

fn needs_value(flag: &clap::Arg) -> bool {
    let is_optional = flag
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    flag.get_action().takes_values() && !is_optional
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
