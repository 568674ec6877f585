//! Decoding of query strings.

/// Parameters of a request, in order.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part of a URL after the `?`, if there is one. It never fails: invalid UTF-8 is
    /// replaced, and a name without `=` has an empty value.
    pub fn parse(text: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Returns all values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = self.0.iter().filter(move |(key, _)| key == name);
        wanted.map(|(_, value)| value.as_str())
    }

    /// Returns the value of a single-valued parameter. The last one counts, and an empty one is
    /// `None`.
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last().filter(|value| !value.is_empty())
    }
}
