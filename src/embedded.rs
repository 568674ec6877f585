//! Files of the source tree that the program contains, compressed by the build script.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

/// A list of files, in the order of their paths.
pub(crate) struct Embedded(&'static [(&'static str, &'static [u8])]);

/// The dashboards, rules and examples: all files of the directory `dashboards`.
pub(crate) static DASHBOARDS: Embedded =
    Embedded(include!(concat!(env!("OUT_DIR"), "/dashboards.rs")));

/// The pages of the documentation that faults link to, by their paths below `docs`.
#[cfg(feature = "serve")]
pub(crate) static DOCS: Embedded = Embedded(include!(concat!(env!("OUT_DIR"), "/docs.rs")));

impl Embedded {
    /// Returns the paths of all files.
    #[cfg(any(test, feature = "serve"))]
    pub(crate) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(path, _)| *path)
    }

    /// Returns the text of a file; `None` if it is not in the list.
    #[cfg(any(test, feature = "serve"))]
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let index = self.0.binary_search_by_key(&path, |(path, _)| path).ok()?;
        let (_, compressed) = self.0.get(index)?;
        decompressed(compressed)
    }

    /// Returns the path and the text of each file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let files = self.0.iter();
        files.filter_map(|(path, compressed)| Some((*path, decompressed(compressed)?)))
    }
}

/// Returns the text of a file. A test shows that no file is `None`.
fn decompressed(compressed: &[u8]) -> Option<String> {
    let mut text = String::new();
    DeflateDecoder::new(compressed)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_files_are_those_of_the_source_tree() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let lists = [
            (&DASHBOARDS, "dashboards"),
            #[cfg(feature = "serve")]
            (&DOCS, "docs"),
        ];
        for (list, directory) in lists {
            assert!(list.paths().count() > 10, "{directory}");
            for path in list.paths() {
                let text = std::fs::read_to_string(root.join(directory).join(path)).unwrap();
                assert!(list.text(path) == Some(text), "{path}");
            }
        }
        assert_eq!(DASHBOARDS.text("none"), None);
    }
}
