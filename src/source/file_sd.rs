//! Files of targets that are read again when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Defaults, Entry, Include, TargetFile, parse_targets};
use crate::model::{Timestamp, path_text};

use super::error::{TargetFileError, TargetFileReason};
use super::failure::SourceFailure;
use super::matching::{has_wildcard, matching};
use super::pem::Stamp;

/// Maximum files that the patterns match.
const MAX_FILES: usize = 10_000;
/// Maximum size of one file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// State of the files that the patterns match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetStamps {
    /// Stamps of the files; `None` for a missing file.
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// Folders that cannot be read. They may have files that match.
    unreadable: BTreeSet<PathBuf>,
}

/// Files of targets, as they were last read.
#[derive(Clone, Debug, Default)]
pub struct TargetFiles {
    stamps: TargetStamps,
    defaults: Defaults,
    files: BTreeMap<PathBuf, KnownFile>,
}

/// File of targets.
#[derive(Clone, Debug, Default)]
pub struct KnownFile {
    /// Last good content.
    content: Arc<TargetFile>,
    /// Reason why the content is not of the present file, and the time since which it is not.
    pub failure: Option<SourceFailure>,
    /// Time of the last success.
    pub last_success: Option<Timestamp>,
}

impl TargetStamps {
    /// Returns the present stamps of the files that the patterns match. A path without a pattern
    /// counts as a match even if there is no such file.
    pub fn of(patterns: &[Include]) -> Self {
        let mut stamps = Self::default();
        for Include { pattern, .. } in patterns {
            // The configuration has patterns only.
            let found = (has_wildcard(pattern).then(|| matching(pattern))).and_then(Result::ok);
            let Some(found) = found else {
                stamps.files.insert(pattern.clone(), Stamp::of(pattern));
                continue;
            };
            for found in found {
                if stamps.files.len() + stamps.unreadable.len() >= MAX_FILES {
                    break;
                }
                match found {
                    Ok(path) if path.is_dir() => {}
                    Ok(path) => {
                        let stamp = Stamp::of(&path);
                        stamps.files.insert(path, stamp);
                    }
                    Err(blocked) => drop(stamps.unreadable.insert(blocked.path)),
                }
            }
        }
        stamps
    }
}

impl TargetFiles {
    /// Reads the files that the patterns match. Unchanged files are those of `before`, and the last
    /// good content of a broken file stays in use, as do the files of a folder that cannot be read. Such
    /// a folder is itself a broken file.
    pub fn read(
        patterns: &[Include],
        defaults: &Defaults,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let stamps = TargetStamps::of(patterns);
        let mut files = BTreeMap::new();
        let missed = before.into_iter().flat_map(|before| &before.files);
        for (path, known) in missed {
            let mut folders = stamps.unreadable.iter();
            if folders.any(|folder| path != folder && path.starts_with(folder)) {
                files.insert(path.clone(), known.clone());
            }
        }
        let unreadable = stamps.unreadable.iter().map(|folder| (folder, &None));
        for (path, stamp) in stamps.files.iter().chain(unreadable) {
            let known = before.and_then(|before| before.files.get(path));
            let is_same = before.is_some_and(|before| {
                before.stamps.files.get(path) == Some(stamp) && before.defaults == *defaults
            });
            let file = match known {
                Some(known) if is_same && known.failure.is_none() => known.clone(),
                _ => read_again(path, defaults, known, now),
            };
            files.insert(path.clone(), file);
        }
        Self {
            stamps,
            defaults: defaults.clone(),
            files,
        }
    }

    /// Returns the stamps at the time of reading.
    pub fn stamps(&self) -> &TargetStamps {
        &self.stamps
    }

    /// Returns the entries of all files.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.files.values().flat_map(|file| &file.content.entries)
    }

    /// Returns the files and their states.
    pub fn states(&self) -> impl Iterator<Item = (&Path, &KnownFile)> {
        self.files.iter().map(|(path, file)| (&**path, file))
    }

    /// Returns the name of a file as a source, for metrics and pages.
    pub fn source(path: &Path) -> String {
        format!("file_sd: {}", path_text(path))
    }

    /// Returns the reasons why files cannot be used.
    pub fn errors(&self) -> Vec<String> {
        let failures = self.files.values().filter_map(|file| file.failure.as_ref());
        failures.map(|failure| failure.error.clone()).collect()
    }
}

impl KnownFile {
    /// Returns the number of hosts and ports in the content that is in use.
    pub fn targets(&self) -> usize {
        self.content.entries.len()
    }
}

fn read_again(
    path: &Path,
    defaults: &Defaults,
    known: Option<&KnownFile>,
    now: Timestamp,
) -> KnownFile {
    let content = read_text(path)
        .map_err(|e| e.to_string())
        .and_then(|text| parse_targets(&text, path, defaults).map_err(|e| e.to_string()));
    match content {
        Ok(content) => {
            if known.is_none_or(|known| known.content.ignored != content.ignored) {
                for reason in &content.ignored {
                    tracing::info!("{}: {reason}", path.display());
                }
            }
            if known.is_some_and(|known| known.failure.is_some()) {
                tracing::info!("{}: the targets can be read again", path.display());
            }
            KnownFile {
                content: Arc::new(content),
                failure: None,
                last_success: Some(now),
            }
        }
        Err(error) => {
            let before = known.and_then(|known| known.failure.as_ref());
            if before.is_none_or(|before| before.error != error) {
                match known.and_then(|known| known.last_success) {
                    Some(_) => {
                        tracing::warn!(
                            "targets not updated, the last good ones stay in use: {error}"
                        );
                    }
                    None => tracing::warn!("targets cannot be read: {error}"),
                }
            }
            KnownFile {
                failure: Some(SourceFailure {
                    since: before.map_or(now, |before| before.since),
                    error,
                }),
                ..known.cloned().unwrap_or_default()
            }
        }
    }
}

fn read_text(path: &Path) -> Result<String, TargetFileError> {
    let failed = |reason| TargetFileError::new(path, reason);
    let io = |error: std::io::Error| failed(TargetFileReason::Io(error.into()));
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        // A folder is read here because it could not be listed.
        std::fs::read_dir(path).map_err(io)?;
    }
    if !metadata.is_file() {
        return Err(failed(TargetFileReason::Irregular));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(failed(TargetFileReason::TooLarge(MAX_FILE_BYTES)));
    }
    std::fs::read_to_string(path).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(files: &TargetFiles) -> Vec<String> {
        files
            .entries()
            .map(|e| e.hostnames[0].to_string())
            .collect()
    }

    #[test]
    fn broken_file_keeps_the_last_good_targets_and_a_removed_match_drops_them() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let patterns = [Include {
            pattern: at("*.json"),
            line: 1,
        }];
        let read = |before: Option<&TargetFiles>, now| {
            TargetFiles::read(&patterns, &Defaults::default(), before, Timestamp(now))
        };
        std::fs::write(at("a.json"), r#"[{"targets": ["a.example"]}]"#).unwrap();
        std::fs::write(at("b.json"), r#"[{"targets": ["b.example"]}]"#).unwrap();
        let first = read(None, 1);
        assert_eq!(hosts(&first), ["a.example", "b.example"]);
        std::fs::write(at("a.json"), "[{").unwrap();
        std::fs::remove_file(at("b.json")).unwrap();
        let second = read(Some(&first), 2);
        assert_ne!(first.stamps(), second.stamps());
        assert_eq!(hosts(&second), ["a.example"]);
        let error = second.errors().concat();
        assert!(error.contains("a.json:"), "{error}");
        let (_, state) = second.states().next().unwrap();
        assert_eq!(state.last_success, Some(Timestamp(1)));
        assert_eq!(state.targets(), 1);
        std::fs::write(at("a.json"), "[[").unwrap();
        let (_, state) = read(Some(&second), 7)
            .states()
            .next()
            .map(|(p, s)| (p.to_owned(), s.clone()))
            .unwrap();
        assert_eq!(state.failure.unwrap().since, Timestamp(2));
        std::fs::write(at("a.json"), "[]").unwrap();
        let third = read(Some(&second), 3);
        assert!(hosts(&third).is_empty() && third.errors().is_empty());
    }

    #[test]
    fn missing_file_without_a_pattern_is_an_error() {
        let patterns = [Include {
            pattern: "/nonexistent/t.json".into(),
            line: 1,
        }];
        let files = TargetFiles::read(&patterns, &Defaults::default(), None, Timestamp(1));
        let error = files.errors().concat();
        assert!(error.contains("/nonexistent/t.json"), "{error}");
    }
}
