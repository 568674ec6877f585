//! Output of the commands: results go to stdout or a file, everything else to stderr.

mod destination;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::certificate::printable;
use crate::model::{Timestamp, redacted, userinfo};
use crate::report::Style;

use super::Code;
use super::log;
#[cfg(feature = "serve")]
use super::log::LogArgs;

pub(super) use destination::{Destination, OutputError, write_file};

/// Width in columns if stdout is not a terminal.
const DEFAULT_WIDTH: usize = 100;
/// Minimum width in columns. Narrower tables are unreadable.
const MIN_WIDTH: usize = 40;

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On terminals that support it, unless the environment says otherwise
    #[default]
    Auto,
    /// Always, in files and pipes too
    Always,
    /// Never
    Never,
}

static COLOUR: OnceLock<Colour> = OnceLock::new();

/// Sets when colour is used. The first call counts.
pub(super) fn use_colour(colour: Colour) {
    let _ = COLOUR.set(colour);
}

/// User names and passwords of the arguments, each with its `@`.
static HIDDEN: OnceLock<Vec<String>> = OnceLock::new();

/// Keeps the user names and passwords in these arguments out of all messages.
pub(super) fn hide(arguments: &[OsString]) {
    let found = arguments.iter().filter_map(|argument| {
        let info = userinfo(argument.to_str()?)?;
        Some(format!("{info}@"))
    });
    let _ = HIDDEN.set(found.collect());
}

/// Returns a message without user names and passwords.
pub(super) fn without_secrets(message: &str) -> String {
    let mut text = message.to_owned();
    for info in HIDDEN.get().into_iter().flatten() {
        text = text.replace(info.as_str(), "***@");
    }
    redacted(&text).into_owned()
}

/// Logs to stderr, in colour only if it is a terminal that supports colour. Without a verbosity,
/// only errors are logged.
pub(super) fn start_logging(verbose: Option<u8>) {
    IS_QUIET.store(verbose.is_none(), Ordering::Relaxed);
    let level = verbose.map_or(tracing::Level::ERROR, level_of);
    log_lines(level, || AroundBars);
}

/// Logs the events of a server to stderr, each on one line.
#[cfg(feature = "serve")]
pub(super) fn start_logging_of_server(verbose: u8, log: &LogArgs) {
    // A server logs its events by default.
    let by_default = || level_of(verbose.saturating_add(1));
    let level = log.level(verbose).unwrap_or_else(by_default);
    let Some(format) = log.format() else {
        log_lines(level, || OneLine);
        return;
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(|| OneLine)
        .log_internal_errors(false)
        .event_format(log::Format {
            format,
            has_target: level >= tracing::Level::DEBUG,
        });
    let subscriber = tracing_subscriber::registry().with(layer);
    let _ = subscriber.with(log::filter(level)).try_init();
}

fn level_of(verbose: u8) -> tracing::Level {
    match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    }
}

/// Logs events as lines for people.
fn log_lines<W: io::Write + 'static>(level: tracing::Level, writer: fn() -> W) {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colour_on(io::stderr().is_terminal()))
        .without_time()
        .with_target(level >= tracing::Level::DEBUG)
        // The subscriber would report failed writes with a macro that panics if stderr is closed.
        // That would end a monitor.
        .log_internal_errors(false)
        .fmt_fields(log::printable_fields());
    let subscriber = tracing_subscriber::registry().with(layer);
    let _ = subscriber.with(log::filter(level)).try_init();
}

/// True if only errors are reported.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Progress bars on stderr. Other output is written above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Draws a progress bar on stderr, which must be one that [`is_drawable`].
pub(super) fn bar(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Returns true if stderr is a terminal that can redraw lines.
pub(super) fn is_drawable() -> bool {
    io::stderr().is_terminal() && is_capable()
}

/// Writer to stderr that writes above the progress bars.
struct AroundBars;

impl io::Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// Writes a whole message.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let shown = match std::str::from_utf8(bytes) {
            Ok(text) if text.contains('@') => Cow::Owned(without_secrets(text).into_bytes()),
            _ => Cow::Borrowed(bytes),
        };
        BARS.suspend(|| io::stderr().write_all(&shown))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writer of events to stderr, each on one line.
#[cfg(feature = "serve")]
struct OneLine;

#[cfg(feature = "serve")]
impl io::Write for OneLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// Writes a whole event.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_end_matches('\n').contains('\n') => {
                AroundBars.write_all(log::on_one_line(text).as_bytes())
            }
            _ => AroundBars.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        AroundBars.flush()
    }
}

/// Returns text for people as it may be in a log: in a job of GitHub Actions, no line is a command of
/// a server's text.
pub(super) fn for_log(text: String) -> String {
    match std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        true => crate::report::without_commands(&text),
        false => text,
    }
}

/// Reports an error on stderr, one line for each of its lines. Returns [`Code::Unknown`].
pub(super) fn fail(error: &(impl fmt::Display + ?Sized)) -> Code {
    let mut stderr = io::stderr().lock();
    for line in without_secrets(&error.to_string()).lines() {
        // Quoted text comes from arguments, files and servers and must not control the terminal.
        let _ = writeln!(stderr, "error: {}", printable(line));
    }
    Code::Unknown
}

/// Reports a message on stderr, unless only errors are reported.
pub(super) fn note(text: &str) {
    if IS_QUIET.load(Ordering::Relaxed) {
        return;
    }
    let _ = AroundBars.write_all(for_log(format!("{text}\n")).as_bytes());
}

/// Writes a result to stdout. A reader that closes the pipe early is not an error.
pub(super) fn print(text: &str, code: Code) -> Code {
    print_by(code, |out| out.write_all(text.as_bytes()))
}

/// Writes the help or version. A reader that closes the pipe early is not an error.
pub(super) fn print_help(help: &clap::Error, code: Code) -> Code {
    let written = help.print().and_then(|()| io::stdout().flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write the help: {error}"))
        }
        _ => code,
    }
}

fn print_by(code: Code, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Code {
    match write_pieces(io::stdout().lock(), write) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => fail(&format!("cannot write the result to stdout: {error}")),
    }
}

/// Size of one write to a file or stdout, in bytes.
const WRITE_SIZE: usize = 64 * 1024;

/// Writes a result piece by piece.
fn write_pieces(
    out: impl io::Write,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(WRITE_SIZE, out);
    write(&mut out)?;
    out.flush()
}

/// Appends to the summary of a GitHub job, whose file the environment names. Outside such a job,
/// does nothing. A summary that cannot be written is reported, and does not change the result.
pub(super) fn append_to_job_summary(text: impl FnOnce() -> String) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text().as_bytes())) {
        note(&format!(
            "cannot write the job summary to {}: {error}; check GITHUB_STEP_SUMMARY",
            Path::new(&path).display()
        ));
    }
}

/// Returns the file to write to. `None` is stdout, which `-` means too.
pub(super) fn file(output: Option<&Path>) -> Option<&Path> {
    output.filter(|path| *path != Path::new("-"))
}

/// Returns true if results on stdout are in colour.
pub(super) fn colour_on_stdout() -> bool {
    colour_on(io::stdout().is_terminal())
}

/// Returns true if results in a file are in colour.
pub(super) fn colour_in_files() -> bool {
    COLOUR.get() == Some(&Colour::Always)
}

/// Returns true if output is in colour: by `--color`, by `NO_COLOR` (<https://no-color.org>), by
/// `CLICOLOR_FORCE` (<https://bixense.com/clicolors/>), or on a capable terminal.
fn colour_on(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is_forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0");
    match COLOUR.get().copied().unwrap_or_default() {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if set("NO_COLOR") => false,
        Colour::Auto => is_forced || is_terminal && is_capable(),
    }
}

fn is_capable() -> bool {
    std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Returns the style of results on stderr.
pub(super) fn style_on_stderr(now: Timestamp) -> Style {
    Style {
        width: usize::MAX,
        colour: colour_on(io::stderr().is_terminal()),
        now,
    }
}

/// Returns the width in columns of the terminal that stderr is, if it is known.
pub(super) fn width_of_stderr() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0))
}

/// Returns the maximum width in columns of a table on stdout.
pub(super) fn width_of_stdout() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    columns
        .or_else(terminal)
        .unwrap_or(DEFAULT_WIDTH)
        .max(MIN_WIDTH)
}
