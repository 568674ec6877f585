//! What somebody may have meant who wrote a name that there is not.

/// As alike as two names have to be, by Jaro and Winkler: of 1, which is the same.
const LIKENESS: f64 = 0.8;
/// More near names than these are no help.
const MAX_NEAR: usize = 3;

/// ``did you mean `a` or `b`?``, with the known names that are nearest to what was written; `None` where none is near.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near: Vec<String> = nearest(written, known)
        .into_iter()
        .take(MAX_NEAR)
        .map(|name| format!("`{name}`"))
        .collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// The known names that are near to what was written, the nearest first, each once.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    nearest_within(LIKENESS, written, known)
}

/// The known names whose likeness to what was written is at least `likeness` of 1, the nearest first, each once.
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
    fn what_is_near_is_told_the_nearest_first() {
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
    fn no_more_are_told_than_help_and_each_once() {
        let known = ["host1", "host2", "host3", "host4", "host1"];
        let told = did_you_mean("host", known).unwrap();
        assert_eq!(told, "did you mean `host1` or `host2` or `host3`?");
    }
}
