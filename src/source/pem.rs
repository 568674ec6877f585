//! PEM files: the leaf, followed by its chain.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::certificate::parse_certificates;
use crate::instance::Instance;

use super::SourceError;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads one file.
pub(super) fn load(file: &Path) -> Result<Instance, SourceError> {
    let unusable = |why: String| SourceError::Unusable(format!("{}: {why}", file.display()));
    read_bounded(file)
        .and_then(|pem| parse_certificates(&pem))
        .and_then(Instance::from_chain)
        .map_err(|why| {
            unusable(format!(
                "{why}; give a PEM file with the certificate, followed by its chain"
            ))
        })
}

/// The files of one certificate, as they are told of.
pub(super) fn display(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    files.join(", ")
}

/// Reads a file of a size that certificates have.
pub(crate) fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| format!("it cannot be read: {e}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    Ok(bytes)
}

/// The files that a pattern names, in order.
pub(super) fn expand(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let paths = glob::glob(pattern)
        .map_err(|e| SourceError::Unusable(format!("`{pattern}` is no pattern: {e}")))?;
    let files: Vec<PathBuf> = paths
        .filter_map(Result::ok)
        .filter(|p| p.is_file())
        .collect();
    if files.is_empty() {
        return Err(SourceError::Unusable(format!(
            "no file fits `{pattern}`; check the pattern and who may read the folder"
        )));
    }
    Ok(files)
}

/// What a file is called in results: certbot and its like give every file the same name, and the
/// folder the certificate's.
pub(super) fn name_of(file: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
    let stem = text(file.file_stem()).unwrap_or_default();
    let folder = text(file.parent().and_then(Path::file_name));
    match (stem.as_str(), folder) {
        ("fullchain" | "cert" | "tls" | "chain", Some(folder)) => folder,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_what_tells_them_apart() {
        assert_eq!(
            name_of(Path::new("/etc/letsencrypt/live/mail/fullchain.pem")),
            "mail"
        );
        assert_eq!(
            name_of(Path::new("/etc/sslmate/www.example.com.chained.crt")),
            "www.example.com.chained"
        );
        assert_eq!(name_of(Path::new("fullchain.pem")), "fullchain");
    }
}
