//! Files that a glob pattern names.

use std::path::{Path, PathBuf};

use super::SourceError;
use crate::source::matching::{has_wildcard, is_lossy, matching};

pub(super) fn no_match(pattern: &str) -> SourceError {
    SourceError::Unusable(format!(
        "no file matches `{pattern}`; check the pattern and the permissions of the directory"
    ))
}

/// Returns true for a glob pattern that is not the path of an existing file.
pub(super) fn is_pattern(file: &Path) -> bool {
    (has_wildcard(file) || is_lossy(file)) && std::fs::symlink_metadata(file).is_err()
}

/// Returns the files to probe that a path or pattern names, in order. A path, and a pattern that
/// fits no file, is returned itself, so that probing it reports why.
pub(crate) fn files_of(pattern: &str) -> Vec<PathBuf> {
    let itself = || vec![PathBuf::from(pattern)];
    if !is_pattern(Path::new(pattern)) {
        return itself();
    }
    expand(pattern).unwrap_or_else(|_| itself())
}

/// Returns the files that a pattern names, in order. Links without a target and folders that certvigil may not read are
/// among them, so that loading them reports why.
pub(in crate::source) fn expand(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let found = matching(Path::new(pattern))
        .map_err(|e| SourceError::Unusable(format!("`{pattern}` is no pattern: {e}")))?;
    let files = found.filter_map(|found| match found {
        Ok(path) => (!path.is_dir()).then_some(path),
        Err(blocked) => Some(blocked.path),
    });
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(no_match(pattern));
    }
    Ok(files)
}
