//! `certvigil dashboards export`: writes the Grafana dashboards and Prometheus rules of this
//! version.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::embedded::DASHBOARDS;

use super::error::FlagError;
use super::output::OutputError;
use super::{Code, output};

/// Base URL in the files, which `--external-url` replaces.
const DEFAULT_URL: &str = "http://localhost:10843";
/// Maximum length of a base URL, in bytes.
const MAX_URL_BYTES: usize = 500;

/// What can be done with them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write the Grafana dashboards, Prometheus rules and examples to a directory
    Export {
        /// Path to the directory; created if missing
        directory: PathBuf,
        /// Base URL of the monitor, for the links of alerts and dashboards
        #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = base_url)]
        external_url: String,
        /// Overwrite existing files that differ
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(command: &Command) -> Code {
    let Command::Export {
        directory,
        external_url,
        force,
    } = command;
    match export(directory, external_url, *force) {
        Ok(written) => output::print(&written, Code::Ok),
        Err(error) => output::fail(&error),
    }
}

/// Parses a base URL. It becomes part of YAML, JSON and templates, so it has no special characters.
fn base_url(text: &str) -> Result<String, FlagError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]%@".contains(&b);
    match url::Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && text.len() <= MAX_URL_BYTES
                && text.bytes().all(is_plain) =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(FlagError::Url("https://certvigil.example.com")),
    }
}

/// Returns true if the text is that of a file with any base URL, so that no user changed it.
fn is_own(old: &[u8], text: &str) -> bool {
    let Ok(old) = std::str::from_utf8(old) else {
        return false;
    };
    let mut parts = text.splitn(3, DEFAULT_URL);
    let (Some(start), Some(next)) = (parts.next(), parts.next()) else {
        return old == text;
    };
    let url = old.strip_prefix(start).and_then(|rest| {
        let (url, _) = rest.split_once(next)?;
        base_url(url).ok()
    });
    url.is_some_and(|url| old == text.replace(DEFAULT_URL, &url))
}

/// Writes all files, or none if a file exists that a user changed. Returns one line for each file.
fn export(directory: &Path, external_url: &str, force: bool) -> Result<String, OutputError> {
    let mut wanted = Vec::new();
    let mut in_the_way = Vec::new();
    for (name, text) in DASHBOARDS.files() {
        let path = directory.join(name);
        let uses = text.matches(DEFAULT_URL).count();
        let most = text.len() + uses * MAX_URL_BYTES;
        let template = text;
        let text = template.replace(DEFAULT_URL, external_url);
        let old = match read_up_to(&path, most) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(OutputError::Existing { file: path, error });
            }
        };
        let is_same = old.as_deref() == Some(text.as_bytes());
        let is_own = old.as_deref().is_none_or(|old| is_own(old, &template));
        if !is_own && !force {
            in_the_way.push(path.display().to_string());
        }
        wanted.push((path, text, is_same));
    }
    if !in_the_way.is_empty() {
        return Err(OutputError::InTheWay(in_the_way));
    }
    let mut report = String::new();
    for (path, text, is_same) in wanted {
        let what = if is_same { "unchanged" } else { "wrote" };
        if !is_same {
            write(&path, &text)?;
        }
        report.push_str(&format!("{what} {}\n", path.display()));
    }
    Ok(report)
}

/// Reads at most one byte more than `length`, which is enough to compare the file.
fn read_up_to(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, text: &str) -> Result<(), OutputError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|error| OutputError::Create {
        folder: folder.to_owned(),
        error,
    })?;
    output::write_file(path, text)
}
