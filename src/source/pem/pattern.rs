//! Files that a glob pattern names.

use std::io::ErrorKind;
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

/// Returns the files that a pattern names, in order. Links without a target and files in folders that certvigil may not
/// read are among them, so that loading them reports why.
pub(in crate::source) fn expand(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let paths = glob(pattern)?;
    let mut files: Vec<PathBuf> = paths.into_iter().filter(|path| !path.is_dir()).collect();
    files.extend(unreachable(pattern)?);
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(no_match(pattern));
    }
    Ok(files)
}

/// Returns the paths that a pattern names, and the folders on the way that cannot be listed.
fn glob(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let paths = matching(Path::new(pattern))
        .map_err(|e| SourceError::Unusable(format!("`{pattern}` is no pattern: {e}")))?;
    Ok(paths
        .map(|path| path.unwrap_or_else(|unlisted| unlisted.folder))
        .collect())
}

/// Returns the files of a pattern such as `live/*/fullchain.pem` in folders that are links without a target, or that may
/// not be searched: the match passes over these.
fn unreachable(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let Some((folders, rest)) = pattern
        .rfind(['*', '?', ']'])
        .and_then(|at| pattern.get(at..)?.find('/').map(|slash| at + slash))
        .and_then(|slash| pattern.split_at_checked(slash))
    else {
        return Ok(Vec::new());
    };
    let is_unreachable = |folder: &Path, file: &Path| match std::fs::symlink_metadata(file) {
        Ok(_) => false,
        Err(error) => match error.kind() {
            ErrorKind::NotFound => folder.is_symlink() && !folder.exists(),
            ErrorKind::NotADirectory => false,
            _ => true,
        },
    };
    let rest = rest.trim_start_matches('/');
    let folders = glob(folders)?.into_iter();
    Ok(folders
        .map(|folder| (folder.join(rest), folder))
        .filter(|(file, folder)| is_unreachable(folder, file))
        .map(|(file, _)| file)
        .collect())
}
