//! Messages for command lines that cannot be parsed.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::model::{TargetAddress, userinfo, without_userinfo};

use super::Cli;
use super::plan::Mail;
use super::targets::suggestion_for_file;

/// Flags of other programs, each with what certvigil has instead.
const FLAGS_OF_OTHERS: [(&[&str], &str); 12] = [
    (
        &["--port", "-p"],
        "write the port after the host, as HOST:PORT",
    ),
    (
        &["--host", "--hostname", "-H", "--connect", "-connect"],
        "write the host without a flag, as HOST:PORT",
    ),
    (
        &["--servername", "-servername", "--server-name"],
        "the flag is --sni",
    ),
    (
        &[
            "--cacert",
            "--cafile",
            "-CAfile",
            "--ca",
            "--ca-cert",
            "--capath",
        ],
        "the flag is --ca-file",
    ),
    (
        &["--key"],
        "the flag is --client-key, or `certvigil verify --key` for files",
    ),
    (
        &["--insecure", "-k"],
        "certvigil reports an untrusted certificate and continues, so there is no such flag",
    ),
    (&["--json"], "write --format json"),
    (&["-o", "-O"], "the flag is --output"),
    (
        &["--file", "-f", "--input", "--list", "--targets-file"],
        "the flag is --targets",
    ),
    (
        &["--days", "--warning", "-w"],
        "the flag is --warn, such as --warn 30d",
    ),
    (&["--critical"], "the flag is --crit, such as --crit 7d"),
    (
        &["--nameserver", "--name-server", "--resolver"],
        "the flag is --dns",
    ),
];

/// Subcommands that this build does not have, with the features that they need.
const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "serve"))]
    ("serve", "serve"),
    #[cfg(not(feature = "demo"))]
    ("demo", "demo"),
    #[cfg(not(feature = "demo"))]
    ("sandbox", "demo"),
];

/// Formats a usage error in one line, in the form of all other errors. Returns `None` for help.
pub(super) fn message(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return None;
    }
    let text = without_secret(error, error.render().to_string());
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // The usage of the command and a pointer to the help follow.
    let what = text.lines().take_while(|line| !line.starts_with("Usage:"));
    let mut parts: Vec<&str> = what
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    let hint = hint(error, arguments);
    if hint.is_some() {
        // The hint fits better than a similar name.
        parts.retain(|part| !part.starts_with("tip:"));
    }
    parts.extend(hint.as_deref());
    Some(format!("{} (see --help)", parts.join("; ")).replace(":; ", ": "))
}

/// Hides the value of a flag that may be a secret: the path of a download URL.
fn without_secret(error: &clap::Error, text: String) -> String {
    match (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::InvalidValue),
    ) {
        (Some(ContextValue::String(flag)), Some(ContextValue::String(value)))
            if flag.starts_with("--download") && value.contains('/') =>
        {
            text.replace(value.as_str(), "***")
        }
        _ => text,
    }
}

/// Returns a suggestion that knows more than the parser.
fn hint(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand)?;
            if let Some((name, feature)) = LEFT_OUT.iter().find(|(name, _)| *name == word) {
                return Some(format!(
                    "this build of certvigil has no `{name}`: it was compiled without the feature `{feature}`; install a complete build"
                ));
            }
            let is_alike = error.get(ContextKind::SuggestedSubcommand).is_some();
            // `certvigil completions.example` has a dot, which no subcommand has.
            if is_alike && !word.contains(['.', ':', '/']) {
                return None;
            }
            of_target(word)
        }
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg)?;
            let name = flag.split(['=', ' ']).next()?;
            if let Some(hint) = of_negative_value(name, arguments) {
                return Some(hint);
            }
            // Of `-servername`, the parser names `-s`.
            let is_written = |known: &&str| {
                let mut given = arguments.iter().filter_map(|a| a.to_str());
                known.starts_with(name) && given.any(|a| a.split('=').next() == Some(known))
            };
            let mut flags = FLAGS_OF_OTHERS.iter();
            let known = flags.find(|(names, _)| names.iter().any(is_written));
            let is_first = arguments.get(1).and_then(|a| a.to_str())?.starts_with(name);
            match known {
                _ if is_first && is_flag_of_check(name) => {
                    let rest: Vec<_> = arguments
                        .iter()
                        .skip(1)
                        .map(|a| a.to_string_lossy())
                        .collect();
                    let rest = rest.iter().map(|word| without_userinfo(word));
                    let rest = rest.collect::<Vec<_>>().join(" ");
                    Some(format!("did you mean `certvigil check {rest}`?"))
                }
                known => known.map(|(_, hint)| (*hint).to_owned()),
            }
        }
        _ => None,
    }
}

/// Returns the suggestion for a value such as `-30d`, which is read as a flag.
fn of_negative_value(name: &str, arguments: &[OsString]) -> Option<String> {
    let is_number = name.starts_with('-') && name.chars().nth(1)?.is_ascii_digit();
    let mut pairs = arguments.windows(2).filter_map(|pair| match pair {
        [flag, value] => Some((flag.to_str()?, value.to_str()?)),
        _ => None,
    });
    let is_value = |(flag, value): &(&str, &str)| {
        flag.starts_with("--") && !flag.contains('=') && value.starts_with(name)
    };
    let (flag, value) = pairs.find(is_value).filter(|_| is_number)?;
    Some(format!(
        "write a value that begins with - as {flag}={value}"
    ))
}

/// Returns the suggestion for a target in the place of a subcommand.
fn of_target(word: &str) -> Option<String> {
    if userinfo(word).is_none()
        && let Some(what) = suggestion_for_file(word)
    {
        return Some(what);
    }
    let shown = without_userinfo(word).replace("***@", "");
    let is_target = match Mail::parse(&shown) {
        Some(domain) => domain.is_ok(),
        None => shown.parse::<TargetAddress>().is_ok(),
    };
    is_target.then(|| format!("did you mean `certvigil check {shown}`?"))
}

fn is_flag_of_check(name: &str) -> bool {
    let cli = Cli::command();
    let check = cli.find_subcommand("check");
    let mut arguments = check.into_iter().flat_map(clap::Command::get_arguments);
    let long = name.strip_prefix("--");
    let short = name.strip_prefix('-').and_then(|n| n.chars().next());
    arguments.any(|argument| match long {
        Some(long) => argument.get_long() == Some(long),
        None => short.is_some() && argument.get_short() == short,
    })
}
