//! Lists in sentences.

use std::fmt::Display;

/// Returns a list with commas, and the number of omitted items out of `total`: "a, b and 3 more".
pub fn and_more<T: Display>(shown: impl IntoIterator<Item = T>, total: usize) -> String {
    let shown: Vec<String> = shown.into_iter().map(|item| item.to_string()).collect();
    match total.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_counts_the_omitted_items() {
        let all = ["a", "b", "c"];
        assert_eq!(and_more(all, 3), "a, b, c");
        assert_eq!(and_more(all.iter().take(2), 3), "a, b and 1 more");
        assert_eq!(and_more(all, 2), "a, b, c");
        assert_eq!(and_more::<&str>([], 0), "");
    }
}
