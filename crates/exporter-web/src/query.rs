//! A query string, decoded.

/// The parameters of a request, in order.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?` of an address, where there is one. Nothing is refused: what is no UTF-8 is
    /// replaced, and what has no `=` is a name with an empty value.
    pub fn parse(text: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = self.0.iter().filter(move |(key, _)| key == name);
        wanted.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has one: the last counts, and an empty one is none.
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last().filter(|value| !value.is_empty())
    }
}
