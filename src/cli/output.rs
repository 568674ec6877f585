//! What the commands write: results to stdout or a file, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar};

use crate::certificate::printable;
use crate::model::Timestamp;
use crate::report::Style;

use super::Code;

/// The width where stdout is no terminal.
const DEFAULT_WIDTH: usize = 100;
/// Narrower than this nothing is readable.
const MIN_WIDTH: usize = 40;

/// Logs to stderr, in colour only on a terminal that wants it.
pub(super) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| AroundBars)
        .with_ansi(io::stderr().is_terminal() && colour_is_wanted())
        .without_time()
        .with_target(verbose > 1)
        // Told on stderr too, by a macro that panics: a log that nobody reads would end a monitor.
        .log_internal_errors(false)
        .try_init();
}

/// What is drawn on stderr, so that what is told there goes around it.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Draws a bar on stderr, which has to be one that [`is_drawable`].
pub(super) fn bar(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Whether stderr is a terminal on which lines can be drawn anew.
pub(super) fn is_drawable() -> bool {
    io::stderr().is_terminal() && is_capable()
}

/// Writes to stderr, above what is drawn there.
struct AroundBars;

impl io::Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        BARS.suspend(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Tells an error on stderr, one line for each of its lines, and ends with unknown.
pub(super) fn fail(error: &str) -> Code {
    let mut stderr = io::stderr().lock();
    for line in error.lines() {
        // What is quoted comes from arguments, files and servers, and may not steer the terminal.
        let _ = writeln!(stderr, "error: {}", printable(line));
    }
    Code::Unknown
}

/// Tells something on stderr.
pub(super) fn note(text: &str) {
    let _ = AroundBars.write_all(format!("{text}\n").as_bytes());
}

/// Writes a result to stdout. A reader that has seen enough is no error.
pub(super) fn print(text: &str, code: Code) -> Code {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => fail(&format!("cannot write the result to stdout: {error}")),
    }
}

/// Where a result goes: a file that is written as a whole, or a device or pipe that takes what comes.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    is_stream: bool,
}

impl Destination {
    /// Looks at the place before there is anything to write, so that no one waits for a result that
    /// cannot be kept.
    pub(super) fn new(path: &Path) -> Result<Self, String> {
        let told = path.display();
        if let Ok(found) = std::fs::metadata(path) {
            if found.is_dir() {
                return Err(format!(
                    "cannot write the result to {told}: it is a directory; give the path of a file"
                ));
            }
            return Ok(Self {
                // Where there is a link, the file that it leads to is written and the link stays.
                path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
                is_stream: !found.is_file(),
            });
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(format!(
                "cannot write the result to {told}: directory {} does not exist; create it or choose another path",
                folder.display()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            is_stream: false,
        })
    }

    /// Writes the result. Who reads a file sees the old one or the new one, never a part.
    pub(super) fn write(&self, text: &str) -> Result<(), String> {
        let wrong = |e: &dyn std::fmt::Display| {
            format!("cannot write the result to {}: {e}", self.path.display())
        };
        if self.is_stream {
            let opened = std::fs::OpenOptions::new().write(true).open(&self.path);
            return match opened.and_then(|mut stream| stream.write_all(text.as_bytes())) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(wrong(&error)),
                _ => Ok(()),
            };
        }
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other program would make it; the process' umask takes its part off.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut file = builder
            .prefix(".certvigil-")
            .tempfile_in(folder_of(&self.path))
            .map_err(|e| wrong(&e))?;
        file.write_all(text.as_bytes()).map_err(|e| wrong(&e))?;
        file.as_file().sync_all().map_err(|e| wrong(&e))?;
        file.persist(&self.path).map_err(|e| wrong(&e.error))?;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether stdout is to be coloured: a terminal, and nobody said no (<https://no-color.org>).
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colour_is_wanted()
}

fn colour_is_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && is_capable()
}

fn is_capable() -> bool {
    std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// How a result is told on stderr.
pub(super) fn style_on_stderr(now: Timestamp) -> Style {
    Style {
        width: usize::MAX,
        colour: io::stderr().is_terminal() && colour_is_wanted(),
        now,
    }
}

/// How many columns a table on stdout may have.
pub(super) fn width_of_stdout() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    columns
        .or_else(terminal)
        .unwrap_or(DEFAULT_WIDTH)
        .max(MIN_WIDTH)
}
