//! Files that a configuration file includes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::{Include, Inventory, SourceSettings, parse_included};
use crate::source::{has_wildcard, matching};

use super::{InventoryError, read_text};

/// Maximum included files.
const MAX_FILES: usize = 10_000;

/// Adds the certificates of the included files to the inventory.
///
/// # Errors
/// One line for each problem, with the file and its line.
pub(super) fn add_included(inventory: &mut Inventory, file: &Path) -> Result<(), InventoryError> {
    if inventory.include.is_empty() {
        return Ok(());
    }
    let mut names = HashMap::new();
    let mut files = Files::default();
    files.check_names(inventory, &mut names, 0, file);
    let include = inventory.include.clone();
    files.add(
        inventory,
        &mut names,
        file,
        &include,
        &mut vec![identity(file)],
    );
    match files.problems.is_empty() {
        true => Ok(()),
        false => Err(InventoryError::Files(files.problems)),
    }
}

/// Included files so far.
#[derive(Default)]
struct Files {
    read: HashSet<PathBuf>,
    problems: Vec<String>,
}

impl Files {
    /// Adds the files that match these patterns. `open` has the files that include each other, from
    /// the first to `file`.
    fn add(
        &mut self,
        inventory: &mut Inventory,
        names: &mut HashMap<String, PathBuf>,
        file: &Path,
        include: &[Include],
        open: &mut Vec<PathBuf>,
    ) {
        for Include { pattern, line } in include {
            let place = format!("{}:{line}: include", file.display());
            for path in self.matches(pattern, &place) {
                let id = identity(&path);
                if open.contains(&id) {
                    self.problems.push(format!(
                        "{place}: `{}` includes this file, directly or through others; remove one `include`",
                        path.display()
                    ));
                    continue;
                }
                // A file that two patterns match is read once.
                if !self.read.insert(id.clone()) {
                    continue;
                }
                if self.read.len() > MAX_FILES {
                    self.problems
                        .push(format!("{place}: more than {MAX_FILES} files; merge some"));
                    return;
                }
                let text = read_text(&path).map_err(|e| e.to_string());
                let read = text.and_then(|text| {
                    parse_included(&text, &path, &inventory.defaults).map_err(|e| e.to_string())
                });
                match read {
                    Ok(included) => {
                        let first = inventory.certificates.len();
                        inventory.certificates.extend(included.certificates);
                        self.check_names(inventory, names, first, &path);
                        open.push(id);
                        self.add(inventory, names, &path, &included.include, open);
                        open.pop();
                    }
                    Err(error) => self.problems.push(error),
                }
            }
        }
    }

    /// Returns the files that match a pattern, in order.
    fn matches(&mut self, pattern: &Path, place: &str) -> Vec<PathBuf> {
        let is_pattern = has_wildcard(pattern);
        let mut files = Vec::new();
        // The configuration has patterns only.
        for path in matching(pattern).into_iter().flatten() {
            match path {
                Ok(path) if path.is_dir() && is_pattern => {}
                Ok(path) => files.push(path),
                Err(blocked) => self.problems.push(format!(
                    "{place}: cannot read `{}`: {}",
                    blocked.path.display(),
                    blocked.error
                )),
            }
        }
        if files.is_empty() && !is_pattern {
            self.problems.push(format!(
                "{place}: `{}` does not exist; create it or remove the item",
                pattern.display()
            ));
        }
        files
    }

    /// Reports names that an entry from `first` on shares with an earlier one.
    fn check_names(
        &mut self,
        inventory: &Inventory,
        names: &mut HashMap<String, PathBuf>,
        first: usize,
        file: &Path,
    ) {
        for entry in inventory.certificates.iter().skip(first) {
            let name = entry.name.clone().or_else(|| match &entry.source {
                SourceSettings::Sslmate(cn) => Some(cn.clone()),
                _ => None,
            });
            let Some(name) = name else { continue };
            if let Some(other) = names.insert(name.clone(), file.to_owned()) {
                self.problems.push(format!(
                    "{}: `{name}` is also the name of a certificate in {}; change one `name`",
                    file.display(),
                    other.display()
                ));
            }
        }
    }
}

/// Returns the path without links, by which a file is recognized.
fn identity(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::read_inventory;

    /// Writes files below a folder, and reads the first one.
    fn read(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let folder = format!("{}/", place.path().display());
        let inventory = read_inventory(&place.path().join(files[0].0));
        let inventory = inventory.map_err(|e| e.to_string().replace(&folder, ""))?;
        let hosts = inventory.certificates.iter().flat_map(|e| &e.hostnames);
        Ok(hosts.map(ToString::to_string).collect())
    }

    const ONE: &str = "certificates: [{trust: true, hostnames: one.example, ca_files: ca.pem}]";

    #[test]
    fn files_are_included_in_order_and_relative_to_their_file() {
        let hosts = read(&[
            (
                "a.yml",
                "include: [conf.d/*.yml, conf.d/b.yml]\ncertificates: [{trust: true, hostnames: a.example}]",
            ),
            (
                "conf.d/b.yml",
                "certificates: [{trust: true, hostnames: b.example}]",
            ),
            ("conf.d/c.yml", "include: more/one.yml"),
            ("conf.d/more/one.yml", ONE),
        ]);
        assert_eq!(hosts.unwrap(), ["a.example", "b.example", "one.example"]);
        assert_eq!(read(&[("a.yml", "include: none/*.yml")]).unwrap(), [""; 0]);
    }

    #[test]
    fn problems_name_the_file_and_the_line() {
        for (files, wanted) in [
            (
                vec![("a.yml", "certificates: []\ninclude: [b.yml]")],
                "a.yml:1: certificates: the list is empty; add at least one certificate",
            ),
            (
                vec![("a.yml", "include:\n  - b.yml")],
                "a.yml:2: include: `b.yml` does not exist; create it or remove the item",
            ),
            // A device has no end.
            (
                vec![("a.yml", "include: /dev/zero")],
                "cannot read configuration /dev/zero: larger than 16777216 bytes",
            ),
            (
                vec![
                    ("a.yml", "include: b.yml"),
                    ("b.yml", "certificates:\n  - {trust: true}"),
                ],
                "b.yml:2: certificates[0]: `hostnames` is missing; this source has no host names, so add them",
            ),
            (
                vec![("a.yml", "include: b.yml"), ("b.yml", "defaults: {}")],
                "b.yml:1: defaults: unknown key; known keys: certificates, include",
            ),
            (
                vec![
                    ("a.yml", "include: b.yml"),
                    ("b.yml", "include: [c.yml]"),
                    ("c.yml", "\ninclude: '*.yml'"),
                ],
                "c.yml:2: include: `a.yml` includes this file, directly or through others; remove one `include`\n\
                 c.yml:2: include: `b.yml` includes this file, directly or through others; remove one `include`\n\
                 c.yml:2: include: `c.yml` includes this file, directly or through others; remove one `include`",
            ),
            (
                vec![
                    (
                        "a.yml",
                        "include: b.yml\ncertificates: [{name: x, trust: true, hostnames: a.example}]",
                    ),
                    (
                        "b.yml",
                        "certificates: [{name: x, trust: true, hostnames: b.example}]",
                    ),
                ],
                "b.yml: `x` is also the name of a certificate in a.yml; change one `name`",
            ),
        ] {
            assert_eq!(read(&files).unwrap_err(), wanted);
        }
    }
}
