//! Output of the commands: results go to stdout or a file, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar};

use crate::certificate::printable;
use crate::model::Timestamp;
use crate::report::Style;

use super::Code;

/// Width in columns if stdout is not a terminal.
const DEFAULT_WIDTH: usize = 100;
/// Minimum width in columns. Narrower tables are unreadable.
const MIN_WIDTH: usize = 40;

/// Logs to stderr, in colour only if it is a terminal that supports colour.
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
        // The subscriber would report failed writes with a macro that panics if stderr is closed.
        // That would end a monitor.
        .log_internal_errors(false)
        .try_init();
}

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
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        BARS.suspend(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Reports an error on stderr, one line for each of its lines. Returns [`Code::Unknown`].
pub(super) fn fail(error: &str) -> Code {
    let mut stderr = io::stderr().lock();
    for line in error.lines() {
        // Quoted text comes from arguments, files and servers and must not control the terminal.
        let _ = writeln!(stderr, "error: {}", printable(line));
    }
    Code::Unknown
}

/// Reports a message on stderr.
pub(super) fn note(text: &str) {
    let _ = AroundBars.write_all(format!("{text}\n").as_bytes());
}

/// Writes a result to stdout. A reader that closes the pipe early is not an error.
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

/// Destination of a result: a file that is replaced as a whole, or a stream such as a device or
/// pipe.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    is_stream: bool,
}

impl Destination {
    /// Checks the destination before the command runs, so that the user does not wait for a result
    /// that cannot be written.
    pub(super) fn new(path: &Path) -> Result<Self, String> {
        let told = path.display();
        if let Ok(found) = std::fs::metadata(path) {
            if found.is_dir() {
                return Err(format!(
                    "cannot write the result to {told}: it is a directory; give the path of a file"
                ));
            }
            return Ok(Self {
                // If the path is a symbolic link, its target is written and the link stays.
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

    /// Writes the result. A reader of the file sees the old or the new content, never a part.
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
            // The mode that programs use by default. The process' umask still applies.
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

/// Returns true if stdout is a terminal and colour is not disabled (<https://no-color.org>).
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

/// Returns the style of results on stderr.
pub(super) fn style_on_stderr(now: Timestamp) -> Style {
    Style {
        width: usize::MAX,
        colour: io::stderr().is_terminal() && colour_is_wanted(),
        now,
    }
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
