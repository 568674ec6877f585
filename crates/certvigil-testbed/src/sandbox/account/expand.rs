//! Attributes that a request expands.

use std::collections::BTreeMap;

use super::ApiError;

/// Maximum `expand` parameters of one request.
const MAX_EXPAND: usize = 100;

/// Attributes of an instance that can be expanded.
const OF_INSTANCE: [&str; 4] = ["csr", "crt", "chain", "root"];

/// Object of a response, which decides the attributes that can be expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// Certificate object.
    Certificate,
    /// Certificate instance object.
    Instance,
    /// Another object: nothing can be expanded.
    Other,
}

/// Attributes that a request asks for in addition to the default ones, as a tree of their dotted
/// names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expand(BTreeMap<String, Self>);

impl Expand {
    /// Creates the tree of all `expand` parameters of a request.
    pub(super) fn parse<'a>(
        paths: impl Iterator<Item = &'a str>,
        object: Object,
    ) -> Result<Self, ApiError> {
        let mut expand = Self::default();
        for (number, path) in paths.enumerate() {
            if number >= MAX_EXPAND {
                let message = format!("There are more than {MAX_EXPAND} `expand` parameters");
                return Err(ApiError::of("expand", message));
            }
            if !is_expandable(path, object) {
                let message = format!("`{path}` is not an expandable attribute of the response");
                return Err(ApiError::of("expand", message));
            }
            expand.add(path);
        }
        Ok(expand)
    }

    /// Adds one dotted name.
    pub fn add(&mut self, path: &str) {
        path.split('.')
            .fold(self, |at, part| at.0.entry(part.to_owned()).or_default());
    }

    /// Returns the part of the tree below an attribute, if it is expanded.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.0.get(name)
    }

    /// Returns true if an attribute is expanded.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Returns true if a dotted name is an expandable attribute. `dns_approval.status` and
/// `http_approval.status` are no part of the reference; SSLMate's own client expands them.
fn is_expandable(path: &str, object: Object) -> bool {
    match object {
        Object::Certificate => match path.split_once('.') {
            None => ["csr", "current", "pending"].contains(&path),
            Some(("current" | "pending", rest)) => is_expandable(rest, Object::Instance),
            Some(("dns_approval" | "http_approval", "status")) => true,
            Some(_) => false,
        },
        Object::Instance => OF_INSTANCE.contains(&path),
        Object::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expand_parameter_may_be_dotted_and_repeated() {
        let paths = ["current.crt", "current.chain", "csr"];
        let expand = Expand::parse(paths.into_iter(), Object::Certificate).unwrap();
        let current = expand.get("current").unwrap();
        assert!(current.has("crt") && current.has("chain"));
        assert!(!current.has("csr") && expand.has("csr"));
        assert!(!expand.has("pending"));
    }

    #[test]
    fn unknown_attributes_are_refused() {
        for (path, object) in [
            ("tags", Object::Certificate),
            ("crt", Object::Certificate),
            ("current.current", Object::Certificate),
            ("current.crt", Object::Instance),
            ("", Object::Certificate),
            ("csr", Object::Other),
        ] {
            let error = Expand::parse([path].into_iter(), object).unwrap_err();
            assert_eq!(error.param(), Some("expand"), "{path}");
        }
    }
}
