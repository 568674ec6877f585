//! Names of certificate files in results.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::path_text;

/// Returns the name of a file in results. Tools such as certbot give every file the same name, so
/// the directory supplies the name of the certificate.
pub(in crate::source) fn name_of(file: &Path) -> String {
    let text = |part: Option<&OsStr>| part.map(|p| path_text(Path::new(p)).into_owned());
    let stem = text(file.file_stem()).unwrap_or_default();
    let folder = text(file.parent().and_then(Path::file_name));
    match (stem.as_str(), folder) {
        ("fullchain" | "cert" | "tls" | "chain", Some(folder)) => folder,
        _ => stem,
    }
}

/// Returns the name of each file of a pattern. Names that [`name_of`] repeats are extended by as
/// many trailing path components as make them distinct.
pub(in crate::source) fn names_of(files: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
    for parts in 2.. {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for name in &names {
            *counts.entry(name.clone()).or_default() += 1;
        }
        let mut has_grown = false;
        for (name, file) in names.iter_mut().zip(files) {
            let surplus = file.components().count().checked_sub(parts);
            if counts.get(name).is_some_and(|count| *count > 1)
                && let Some(surplus) = surplus
            {
                let end: PathBuf = file.components().skip(surplus).collect();
                *name = path_text(&end).into_owned();
                has_grown = true;
            }
        }
        if !has_grown {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_with_the_same_name_are_distinguished_by_path() {
        let names = |files: &[&str]| names_of(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(
            names(&["/tls/a/site.pem", "/tls/b/site.pem", "/tls/c/mail.pem"]),
            ["a/site.pem", "b/site.pem", "mail"]
        );
        assert_eq!(
            names(&["/x/a/site.pem", "/y/a/site.pem", "/y/b/site.pem"]),
            ["x/a/site.pem", "y/a/site.pem", "b/site.pem"]
        );
        // The directory would be the name, but it contains two of the files.
        assert_eq!(
            names(&["a/fullchain.pem", "a/cert.pem", "b/fullchain.pem"]),
            ["a/fullchain.pem", "a/cert.pem", "b"]
        );
        assert_eq!(names(&["site.pem", "a/site.pem"]), ["site", "a/site.pem"]);
    }

    proptest! {
        #[test]
        fn names_of_matched_files_are_unique(
            files in proptest::collection::btree_set("/([ab]/){0,3}(site|fullchain)\\.(pem|crt)", 0..12),
        ) {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let names: std::collections::HashSet<String> = names_of(&files).into_iter().collect();
            prop_assert_eq!(names.len(), files.len());
        }
    }

    #[test]
    fn pem_file_is_named_after_its_stem_or_directory() {
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
