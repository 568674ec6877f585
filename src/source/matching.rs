//! Files that a glob pattern matches, whatever the bytes of their names.
//!
//! `glob::glob` passes over names that are not UTF-8 without a word, so that a certificate would
//! not be checked. Only its patterns are used here, one for each part of a path.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{Pattern, PatternError};

/// Returns true if a path has characters with a meaning in patterns.
pub(crate) fn has_wildcard(pattern: &Path) -> bool {
    let bytes = pattern.as_os_str().as_encoded_bytes();
    bytes.iter().any(|byte| b"*?[".contains(byte))
}

/// Returns true if a path was made text, and had bytes that are not UTF-8. It matches the names that
/// become the same text.
pub(in crate::source) fn is_lossy(pattern: &Path) -> bool {
    let text = pattern.to_str();
    text.is_some_and(|text| text.contains(char::REPLACEMENT_CHARACTER))
}

/// Returns the paths that a pattern matches: of each folder in the order of the names, and links
/// without a target too.
///
/// # Errors
/// If it is no pattern.
pub(crate) fn matching(pattern: &Path) -> Result<Matching, PatternError> {
    let mut parts = Vec::new();
    for component in pattern.components() {
        let part = Path::new(component.as_os_str());
        match (component, &*part.to_string_lossy()) {
            (Component::Normal(_), "**") => {
                if !matches!(parts.last(), Some(Part::Folders)) {
                    parts.push(Part::Folders);
                }
            }
            (Component::Normal(_), text) if has_wildcard(part) || is_lossy(part) => {
                parts.push(Part::Names(Pattern::new(text)?));
            }
            (component, _) => parts.push(Part::Name(component.as_os_str().to_owned())),
        }
    }
    Ok(Matching {
        parts,
        is_of_folders: pattern.as_os_str().as_encoded_bytes().ends_with(b"/"),
        open: vec![(PathBuf::new(), 0)],
    })
}

/// Path that cannot be followed: a folder that certvigil may not list or search, or a link without a
/// target. Files that match may be below it.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// Part of a pattern.
#[derive(Debug)]
enum Part {
    /// The name itself.
    Name(OsString),
    /// Each name that the pattern matches.
    Names(Pattern),
    /// `**`: the folder, and each folder below it.
    Folders,
}

/// Paths that a pattern matches.
#[derive(Debug)]
pub(crate) struct Matching {
    parts: Vec<Part>,
    /// True for a pattern with a `/` at its end.
    is_of_folders: bool,
    /// Paths to go on from, the next one last. Each has the number of parts that it matches.
    open: Vec<(PathBuf, usize)>,
}

impl Iterator for Matching {
    type Item = Result<PathBuf, Blocked>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (path, at) = self.open.pop()?;
            let Some(part) = self.parts.get(at) else {
                if self.is_of_folders && !path.is_dir() {
                    continue;
                }
                return Some(Ok(path));
            };
            if let Part::Name(name) = part {
                let file = path.join(name);
                match file.symlink_metadata() {
                    Ok(_) => self.open.push((file, at + 1)),
                    Err(error) if is_absence(&error) && !is_lost_link(&path) => {}
                    Err(error) => return Some(Err(Blocked { path: file, error })),
                }
                continue;
            }
            let names = match names(&path) {
                Ok(names) => names,
                Err(error) => return Some(Err(Blocked { path, error })),
            };
            let next = names.iter().rev().filter_map(|name| match part {
                Part::Names(pattern) => {
                    let is_match = pattern.matches(&name.to_string_lossy());
                    is_match.then(|| (path.join(name), at + 1))
                }
                Part::Folders | Part::Name(_) => {
                    let below = path.join(name);
                    may_be_folder(&below).then_some((below, at))
                }
            });
            self.open.extend(next);
            match part {
                // Unlike shells of old, `*` does not match these. `.*` does.
                Part::Names(pattern) if pattern.as_str().starts_with('.') => {
                    let of_folder = [".", ".."].into_iter().filter(|name| pattern.matches(name));
                    let of_folder = of_folder.map(|name| (path.join(name), at + 1));
                    self.open.extend(of_folder);
                }
                // The folder itself, unless nothing else is to match.
                Part::Folders if at + 1 < self.parts.len() => self.open.push((path, at + 1)),
                Part::Names(_) | Part::Folders | Part::Name(_) => {}
            }
        }
    }
}

/// Returns the names in a folder, in order. A file and a path that does not exist have none.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if is_absence(&error) && !is_lost_link(folder) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let names = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names.collect::<io::Result<Vec<OsString>>>()?;
    names.sort();
    Ok(names)
}

/// Returns true if an error means that there is nothing at a path.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns true for a link whose target does not exist. It may be meant to be a folder.
fn is_lost_link(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

/// Returns false for a file, and for a link without a target: below a folder with many files, most of
/// these links are meant to be files.
fn may_be_folder(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => !is_absence(&error),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    /// A folder with these files.
    fn folder(files: &[&[u8]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(OsStr::from_bytes(file));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(folder: &Path, pattern: &[u8]) -> Vec<Vec<u8>> {
        let found = matching(&folder.join(OsStr::from_bytes(pattern))).unwrap();
        let found = found.map(|path| path.unwrap());
        let relative = |path: PathBuf| {
            let path = path.strip_prefix(folder).unwrap();
            path.as_os_str().as_bytes().to_vec()
        };
        found.map(relative).collect()
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        let folder = folder(&[b"a.pem", b"caf\xe9.pem", b"d\xe9/b.pem", b"d\xe9/c\xff.pem"]);
        let folder = folder.path();
        let both: [&[u8]; 2] = [b"a.pem", b"caf\xe9.pem"];
        assert_eq!(found(folder, b"*.pem"), both);
        assert_eq!(found(folder, b"caf?.pem"), [b"caf\xe9.pem"]);
        let below: [&[u8]; 2] = [b"d\xe9/b.pem", b"d\xe9/c\xff.pem"];
        assert_eq!(found(folder, b"d*/*.pem"), below);
        assert_eq!(found(folder, b"d\xe9/*.pem"), below);
        assert_eq!(found(folder, "d\u{fffd}/*.pem".as_bytes()), below);
        assert_eq!(
            found(folder, "caf\u{fffd}.pem".as_bytes()),
            [b"caf\xe9.pem"]
        );
        assert_eq!(found(folder, b"**/*.pem").len(), 4);
    }

    /// The crate's own walk is the reference for names that are UTF-8.
    #[test]
    fn other_names_match_as_those_of_the_glob_crate() {
        let folder = folder(&[
            b"a.pem",
            b".hidden.pem",
            b"live/a/cert.pem",
            b"live/a/key.pem",
            b"live/b/cert.pem",
            b"live/README",
            b"live/b/deep/er/cert.pem",
            b"[x]/a.pem",
            b"live/.h/cert.pem",
        ]);
        let folder = folder.path();
        std::os::unix::fs::symlink("nowhere", folder.join("live/lost.pem")).unwrap();
        std::os::unix::fs::symlink("b", folder.join("live/c")).unwrap();
        for pattern in [
            "*.pem",
            "*",
            "?.pem",
            "live/*/cert.pem",
            "live/*/*.pem",
            "live/**/cert.pem",
            "**/*.pem",
            "live/*",
            "live/[ab]/*",
            "live/[!a]/cert.pem",
            "[[]x]/*",
            "live/*/",
            ".*",
            "live/.*/cert.pem",
            "live/../*.pem",
            "./live/*/cert.pem",
            "live/*/../README",
            "missing/*",
            "a.pem/*",
            "live//*.pem",
            "**/**/cert.pem",
            "live/b/**/deep/*/cert.pem",
            "live/lost.pem",
            "a.pem",
        ] {
            let own: BTreeSet<PathBuf> =
                matching(&folder.join(pattern)).unwrap().flatten().collect();
            let text = folder.join(pattern).to_str().unwrap().to_owned();
            let theirs: BTreeSet<PathBuf> = glob::glob(&text).unwrap().flatten().collect();
            assert_eq!(own, theirs, "{pattern}");
        }
    }

    #[test]
    fn path_that_cannot_be_followed_is_no_absence() {
        use std::os::unix::fs::symlink;
        let folder = folder(&[b"a/tls.crt", b"a/sub/x.crt", b"README"]);
        let folder = folder.path();
        symlink("nowhere", folder.join("b")).unwrap();
        symlink("c", folder.join("c")).unwrap();
        let blocked = |pattern: &str| -> Vec<PathBuf> {
            let found = matching(&folder.join(pattern)).unwrap();
            let blocked = found.filter_map(|found| Some(found.err()?.path));
            let relative = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
            blocked.map(relative).collect()
        };
        assert_eq!(blocked("*/*.crt"), [Path::new("b"), Path::new("c")]);
        let files = [Path::new("b/tls.crt"), Path::new("c/tls.crt")];
        assert_eq!(blocked("*/tls.crt"), files);
        assert_eq!(blocked("b/*/tls.crt"), [Path::new("b")]);
        // A lost link may be meant to be a file, so `**` passes over it.
        assert_eq!(blocked("**/*.crt"), [Path::new("c")]);
        assert_eq!(
            blocked("*/missing"),
            [Path::new("b/missing"), Path::new("c/missing")]
        );
        assert_eq!(blocked("a/*/*.crt"), Vec::<PathBuf>::new());
    }

    #[test]
    fn pattern_in_the_present_folder_has_relative_matches() {
        let found: Vec<PathBuf> = matching(Path::new("Cargo.*")).unwrap().flatten().collect();
        assert!(found.contains(&PathBuf::from("Cargo.toml")), "{found:?}");
        assert!(matching(Path::new("a**")).is_err());
        assert!(matching(Path::new("/x/[a/*")).is_err());
    }
}
