//! Order of the rows of a table. It is a parameter of the query, so that the heads of the columns
//! are plain links.

use std::cmp::Ordering;

use crate::model::Timestamp;

use super::html::Address;

/// Column by which rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    State,
    Certificate,
    Host,
    Problem,
    Addresses,
    Since,
    Expires,
    Probed,
}

impl By {
    pub(super) const ALL: [Self; 8] = [
        Self::State,
        Self::Certificate,
        Self::Host,
        Self::Problem,
        Self::Addresses,
        Self::Since,
        Self::Expires,
        Self::Probed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Certificate => "certificate",
            Self::Host => "host",
            Self::Problem => "problem",
            Self::Addresses => "addresses",
            Self::Since => "since",
            Self::Expires => "expires",
            Self::Probed => "probed",
        }
    }
}

/// Sign before the name of a column for the descending order.
const DESCENDING: char = '-';

/// Order of a table. The default is by state, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) by: By,
    pub(super) is_descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            by: By::State,
            is_descending: true,
        }
    }
}

impl Sort {
    /// Parses the value of a parameter; an invalid one is the default.
    pub(super) fn read(text: &str) -> Self {
        let name = text.strip_prefix(DESCENDING).unwrap_or(text);
        let by = By::ALL.into_iter().find(|by| by.name() == name);
        by.map_or_else(Self::default, |by| Self {
            by,
            is_descending: text.starts_with(DESCENDING),
        })
    }

    /// Returns the value of the parameter; empty for the default.
    pub(super) fn value(self) -> String {
        match self {
            sort if sort == Self::default() => String::new(),
            Self {
                by,
                is_descending: true,
            } => format!("{DESCENDING}{}", by.name()),
            Self { by, .. } => by.name().to_owned(),
        }
    }

    /// Returns the order if a table has it, and its default otherwise.
    pub(super) fn among(self, columns: &[By]) -> Self {
        match columns.contains(&self.by) {
            true => self,
            false => Self::default(),
        }
    }

    /// Returns the order that a click on the head of a column selects.
    fn after_click(self, by: By) -> Self {
        match self.by == by {
            true => Self {
                by,
                is_descending: !self.is_descending,
            },
            false => Self {
                by,
                is_descending: by == By::State,
            },
        }
    }

    /// Returns the head of a column, with a link to the page with another order.
    pub(super) fn column<'a>(
        self,
        name: &'a str,
        by: By,
        address: impl Fn(Self) -> Address,
    ) -> Column<'a> {
        Column {
            name,
            link: Some(address(self.after_click(by))),
            direction: (self.by == by).then_some(match self.is_descending {
                true => "descending",
                false => "ascending",
            }),
        }
    }

    /// Returns the order of two times. Unknown ones come last.
    pub(super) fn times(self, a: Option<Timestamp>, b: Option<Timestamp>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => self.directed(a.cmp(&b)),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }
    }

    /// Returns the order in the direction of the table.
    pub(super) fn directed(self, ascending: Ordering) -> Ordering {
        match self.is_descending {
            true => ascending.reverse(),
            false => ascending,
        }
    }
}

/// Head of a column.
#[derive(Clone, Debug)]
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    /// Page with the rows in the order of this column.
    pub(super) link: Option<Address>,
    /// Value of `aria-sort`, if the rows are sorted by this column.
    pub(super) direction: Option<&'static str>,
}

impl<'a> From<&'a str> for Column<'a> {
    fn from(name: &'a str) -> Self {
        Self {
            name,
            link: None,
            direction: None,
        }
    }
}

/// Returns a part of the sorted items. Equal items keep their order. Only the items up to the end
/// of the part are sorted.
pub(super) fn part<'t, T>(
    items: &'t [T],
    skipped: usize,
    shown: usize,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Vec<&'t T> {
    let mut all: Vec<(usize, &T)> = items.iter().enumerate().collect();
    let compare = |a: &(usize, &'t T), b: &(usize, &'t T)| compare(a.1, b.1).then(a.0.cmp(&b.0));
    let end = skipped.saturating_add(shown);
    if (1..all.len()).contains(&end) {
        all.select_nth_unstable_by(end - 1, compare);
    }
    all.truncate(end);
    all.sort_unstable_by(compare);
    all.into_iter()
        .skip(skipped)
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sort_parameter_selects_a_column_and_its_direction() {
        let read = |text: &str| Sort::read(text).value();
        assert_eq!(read("expires"), "expires");
        assert_eq!(read("-expires"), "-expires");
        assert_eq!(read("state"), "state");
        for default in ["", "-state", "size", "--host", "-"] {
            assert_eq!(read(default), "", "{default}");
        }
        assert_eq!(Sort::read("since").among(&[By::Host]).value(), "");
    }

    #[test]
    fn click_sorts_by_a_column_and_a_second_click_reverses_it() {
        let click = |text: &str, by| Sort::read(text).after_click(by).value();
        assert_eq!(click("", By::Expires), "expires");
        assert_eq!(click("expires", By::Expires), "-expires");
        assert_eq!(click("-expires", By::Expires), "expires");
        assert_eq!(click("-expires", By::State), "");
        assert_eq!(click("", By::State), "state");
    }

    #[test]
    fn unknown_times_come_last_in_both_directions() {
        let [early, late] = [1, 2].map(|at| Some(Timestamp(at)));
        for (text, first, second) in [("since", early, late), ("-since", late, early)] {
            let mut times = [None, late, early];
            times.sort_by(|a, b| Sort::read(text).times(*a, *b));
            assert_eq!(times, [first, second, None], "{text}");
        }
    }

    proptest! {
        #[test]
        fn part_is_the_same_as_of_all_items_sorted(
            items in prop::collection::vec(0_u8..9, 0..60), skipped in 0_usize..70, shown in 0_usize..70,
        ) {
            let items: Vec<(u8, usize)> = items.into_iter().zip(0..).collect();
            let found = part(&items, skipped, shown, |a, b| b.0.cmp(&a.0));
            let mut sorted: Vec<&(u8, usize)> = items.iter().collect();
            sorted.sort_by_key(|item| std::cmp::Reverse(item.0));
            let wanted: Vec<_> = sorted.into_iter().skip(skipped).take(shown).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
