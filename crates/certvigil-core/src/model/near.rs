//! Suggestions for a name that does not exist.

/// Minimum Jaro-Winkler similarity of a suggestion; 1 means equal.
const LIKENESS: f64 = 0.8;
/// Maximum suggestions.
const MAX_NEAR: usize = 3;

/// Returns ``did you mean `a` or `b`?`` with the known names most similar to `written`, or `None`
/// if none is similar.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    question(&suggestions(written, known))
}

/// Returns the known names most similar to `written`.
pub(super) fn suggestions<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut near = nearest(written, known);
    near.truncate(MAX_NEAR);
    near
}

/// Returns ``did you mean `a` or `b`?``, or `None` without suggestions.
pub(super) fn question(suggestions: &[&str]) -> Option<String> {
    let quoted: Vec<String> = suggestions.iter().map(|name| format!("`{name}`")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// Returns the distinct known names that are similar to `written`, the most similar first.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    nearest_within(LIKENESS, written, known)
}

/// Returns the distinct known names whose similarity to `written` is at least `likeness` (at most
/// 1), the most similar first.
pub fn nearest_within<'a>(
    likeness: f64,
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let least = likeness;
    let written = written.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= least)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by_key(|(_, name)| *name);
    near.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_list_the_nearest_names_first() {
        let known = ["name", "names", "mail", "imap", "imaps"];
        assert_eq!(
            did_you_mean("nmae", known).as_deref(),
            Some("did you mean `name` or `names`?")
        );
        assert_eq!(nearest("IMAPX", known), ["imap", "imaps"]);
        assert_eq!(did_you_mean("gopher", known), None);
        assert_eq!(did_you_mean("", known), None);
        assert_eq!(did_you_mean("mail", []), None);
    }

    #[test]
    fn suggestions_are_limited_and_distinct() {
        let known = ["host1", "host2", "host3", "host4", "host1"];
        let message = did_you_mean("host", known).unwrap();
        assert_eq!(message, "did you mean `host1` or `host2` or `host3`?");
    }
}
