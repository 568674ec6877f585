//! Files and stdout as destinations of a result.

use std::io;
use std::path::{Path, PathBuf};

use crate::certificate::may_have_private_key;
use crate::cli::Code;
use crate::cli::plan::stop;

use super::{print_by, write_pieces};

/// Reason why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum OutputError {
    /// The path is a directory.
    #[error(
        "cannot write the result to {}: it is a directory; give the path of a file",
        .0.display()
    )]
    Directory(PathBuf),
    /// The file has or may have a private key, which the result would replace.
    #[error(
        "cannot write the result to {}: it has a private key, which would be lost; choose another path",
        .0.display()
    )]
    PrivateKey(PathBuf),
    /// The existing file cannot be read, so that it may have a private key.
    #[error(
        "cannot write the result to {}: it has content that cannot be read, which would be lost: {error}; check its permissions or choose another path",
        file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The path is a symbolic link that leads to no file.
    #[error(
        "cannot write the result to {}: its symbolic links lead to each other; choose another path",
        .0.display()
    )]
    Links(PathBuf),
    /// The directory of the file does not exist.
    #[error(
        "cannot write the result to {}: directory {} does not exist; create it or choose another path",
        file.display(),
        folder.display()
    )]
    NoFolder {
        /// File of the result.
        file: PathBuf,
        /// Directory that does not exist.
        folder: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the result to {}: {error}", file.display())]
    Write {
        /// File of the result.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// A directory cannot be created.
    #[error("cannot create directory {}: {error}", folder.display())]
    Create {
        /// The directory.
        folder: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// An existing file cannot be read.
    #[error(
        "cannot read {}: {error}; check its permissions or choose another directory",
        file.display()
    )]
    Existing {
        /// The file.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// A user changed files that would be overwritten.
    #[error(
        "nothing written: these files exist and differ: {}; save your changes elsewhere and overwrite with --force, or choose another directory",
        .0.join(", ")
    )]
    InTheWay(Vec<String>),
}

/// Destination of a result.
#[derive(Debug)]
pub(in crate::cli) enum Destination {
    Stdout,
    File(OutputFile),
    Nowhere,
}

impl Destination {
    /// Checks the file, if there is one, before the command runs, so that the user does not wait
    /// for a result that cannot be written.
    pub(in crate::cli) fn of(file: Option<&Path>) -> Result<Self, OutputError> {
        match file {
            Some(path) => OutputFile::new(path).map(Self::File),
            None => Ok(Self::Stdout),
        }
    }

    /// Returns true if the result replaces a file.
    pub(in crate::cli) fn is_replaced(&self) -> bool {
        matches!(self, Self::File(file) if !file.is_stream)
    }

    /// Returns true if the result goes to stdout.
    pub(in crate::cli) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes the result. Returns the exit code.
    pub(in crate::cli) fn finish(&self, text: &str, code: Code) -> Result<Code, OutputError> {
        self.write(code, |out| out.write_all(text.as_bytes()))
    }

    /// Writes the result of a command that handles signals, as [`Destination::write`] does. A pipe may
    /// take nothing forever. Meanwhile, SIGINT and SIGTERM end the process with the exit code
    /// `interrupted`.
    pub(in crate::cli) fn write_unless_stopped(
        &self,
        code: Code,
        interrupted: Code,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<Code, OutputError> {
        if self.is_replaced() {
            return self.write(code, write);
        }
        let stop = stop();
        let stopping = tokio::spawn(async move {
            stop.await;
            #[expect(
                clippy::disallowed_methods,
                reason = "the thread that writes cannot be interrupted"
            )]
            std::process::exit(interrupted as i32);
        });
        let written = tokio::task::block_in_place(|| self.write(code, write));
        stopping.abort();
        written
    }

    /// Writes the result piece by piece. Returns the exit code.
    pub(in crate::cli) fn write(
        &self,
        code: Code,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<Code, OutputError> {
        match self {
            Self::Stdout => Ok(print_by(code, write)),
            Self::File(file) => file.write(write).map(|()| code),
            Self::Nowhere => Ok(write(&mut io::sink()).map_or(code, |()| code)),
        }
    }
}

/// Replaces a file as a whole. Its directory must exist.
pub(in crate::cli) fn write_file(path: &Path, text: &str) -> Result<(), OutputError> {
    OutputFile::new(path)?.write(|out| out.write_all(text.as_bytes()))
}

/// File for a result that is replaced as a whole, or a stream such as a device or pipe.
#[derive(Debug)]
pub(in crate::cli) struct OutputFile {
    path: PathBuf,
    is_stream: bool,
}

impl OutputFile {
    fn new(path: &Path) -> Result<Self, OutputError> {
        if let Ok(found) = std::fs::metadata(path) {
            if found.is_dir() {
                return Err(OutputError::Directory(path.to_owned()));
            }
            if found.is_file() {
                keep_private_key(path, found.len())?;
            }
            return Ok(Self {
                // If the path is a symbolic link, its target is written and the link stays.
                path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
                is_stream: !found.is_file(),
            });
        }
        // A link to a file that does not exist yet: the file is created, and the link stays.
        let target = target_of_link(path)?;
        let path = target.as_deref().unwrap_or(path);
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(OutputError::NoFolder {
                file: path.to_owned(),
                folder: folder.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            is_stream: false,
        })
    }

    /// Writes the result. A reader of the file sees the old or the new content, never a part.
    fn write(
        &self,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let wrong = |error| OutputError::Write {
            file: self.path.clone(),
            error,
        };
        if self.is_stream {
            let opened = std::fs::OpenOptions::new().write(true).open(&self.path);
            return match opened.and_then(|stream| write_pieces(stream, write)) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(wrong(error)),
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
            .map_err(wrong)?;
        if let Ok(existing) = std::fs::metadata(&self.path) {
            keep_access(file.as_file(), &existing).map_err(wrong)?;
        }
        write_pieces(file.as_file_mut(), write).map_err(wrong)?;
        file.as_file().sync_all().map_err(wrong)?;
        file.persist(&self.path).map_err(|e| wrong(e.error))?;
        Ok(())
    }
}

/// Returns an error if a file may have a private key. HAProxy's file has it beside the certificates, and
/// there may be no other copy.
fn keep_private_key(path: &Path, length: u64) -> Result<(), OutputError> {
    /// Larger files are no keys or keystores of a server.
    const MAX_BYTES: u64 = 16 << 20;
    if length == 0 {
        return Ok(());
    }
    let content = certvigil_probe::io::read_up_to(path, MAX_BYTES);
    let content = content.map_err(|error| OutputError::Unreadable {
        file: path.to_owned(),
        error,
    })?;
    match may_have_private_key(&content) {
        true => Err(OutputError::PrivateKey(path.to_owned())),
        false => Ok(()),
    }
}

/// Gives a new file the mode of the file that it replaces, and its owner and group if the user may.
#[cfg(unix)]
fn keep_access(file: &std::fs::File, existing: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    // Only root may give files away. The group may be one of the user's.
    if fchown(file, Some(existing.uid()), Some(existing.gid())).is_err() {
        let _ = fchown(file, None, Some(existing.gid()));
    }
    file.set_permissions(existing.permissions())
}

#[cfg(not(unix))]
fn keep_access(_file: &std::fs::File, _existing: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Maximum symbolic links from one to the next, as in Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Returns the path to which a symbolic link leads. `None` if the path is no link.
fn target_of_link(path: &Path) -> Result<Option<PathBuf>, OutputError> {
    let mut target = None;
    for _ in 0..=MAX_LINKS {
        let link = target.as_deref().unwrap_or(path);
        let Ok(next) = std::fs::read_link(link) else {
            return Ok(target);
        };
        target = Some(folder_of(link).join(next));
    }
    Err(OutputError::Links(path.to_owned()))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
