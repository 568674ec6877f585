//! Rows of a `/test` response. Only a bounded number is in memory, however many there are.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// Maximum rows that are kept of one hostname. Each row is one address.
pub(crate) const MAX_ROWS: usize = 100;
/// Maximum hostnames whose rows are kept: twice as many as one test requests.
const MAX_HOSTNAMES: usize = 100;

/// Response of `/test`.
#[derive(Debug, Deserialize)]
pub(crate) struct TestResponse {
    pub(crate) result: TestRows,
}

/// Rows of a response.
#[derive(Debug, Default)]
pub(crate) struct TestRows {
    /// Rows that are kept, in the order of the response.
    pub(crate) kept: Vec<TestRow>,
    /// Number of the other rows of each hostname that has kept rows.
    pub(crate) more: HashMap<String, usize>,
    /// Number of the rows of other hostnames.
    pub(crate) others: usize,
}

/// Row of a `/test` response. The keys from `error_kind` on are extensions of certvigil. Those of
/// another type than certvigil's are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct TestRow {
    pub(crate) hostname: String,
    #[serde(default)]
    pub(crate) ip_address: Option<String>,
    #[serde(default)]
    pub(crate) port: Option<u16>,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) correct: Option<bool>,
    #[serde(default)]
    pub(crate) chained: Option<bool>,
    #[serde(default)]
    pub(crate) dummy: Option<bool>,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) error_kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) key_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) severity: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) findings: Option<Vec<FindingRow>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) trusted: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) hostname_match: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) expired: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) not_yet_valid: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) revoked: Option<bool>,
}

/// Finding of a row.
#[derive(Debug, Deserialize)]
pub(crate) struct FindingRow {
    pub(crate) code: String,
    pub(crate) severity: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) hint: String,
}

/// Reads a value; one of another type is `None`.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

impl<'de> Deserialize<'de> for TestRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = TestRows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<TestRows, A::Error> {
        let mut read = TestRows::default();
        let mut counts: HashMap<String, usize> = HashMap::new();
        while let Some(row) = rows.next_element::<TestRow>()? {
            let is_known = counts.contains_key(&row.hostname);
            if !is_known && counts.len() >= MAX_HOSTNAMES {
                read.others += 1;
                continue;
            }
            let count = counts.entry(row.hostname.clone()).or_default();
            *count += 1;
            if *count <= MAX_ROWS {
                read.kept.push(row);
            }
        }
        let more = counts.into_iter();
        let more =
            more.filter_map(|(hostname, count)| Some((hostname, count.checked_sub(MAX_ROWS)?)));
        read.more = more.filter(|(_, count)| *count > 0).collect();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: impl Iterator<Item = String>) -> TestRows {
        let rows: Vec<String> = rows
            .map(|hostname| format!(r#"{{"hostname":"{hostname}","status":"connect_error"}}"#))
            .collect();
        let body = format!(r#"{{"result":[{}]}}"#, rows.join(","));
        let response: TestResponse = serde_json::from_str(&body).unwrap();
        response.result
    }

    #[test]
    fn few_rows_of_a_hostname_are_kept_and_the_rest_is_counted() {
        let flood = std::iter::repeat_n("a.example".to_owned(), 46_000);
        let rows = read(flood.chain(["b.example".to_owned()]));
        assert_eq!(rows.kept.len(), MAX_ROWS + 1);
        assert_eq!(rows.kept.last().unwrap().hostname, "b.example");
        let more = HashMap::from([("a.example".to_owned(), 46_000 - MAX_ROWS)]);
        assert_eq!((rows.more, rows.others), (more, 0));
        let few = read(std::iter::repeat_n("a.example".to_owned(), MAX_ROWS));
        assert_eq!((few.kept.len(), few.more.len()), (MAX_ROWS, 0));
    }

    #[test]
    fn rows_of_many_hostnames_are_counted_too() {
        let rows = read((0..46_000).map(|number| format!("h{number}.example")));
        assert_eq!(rows.kept.len(), MAX_HOSTNAMES);
        assert_eq!(rows.others, 46_000 - MAX_HOSTNAMES);
        // A flood of every hostname.
        let rows = read((0..46_000).map(|number| format!("h{}.example", number % MAX_HOSTNAMES)));
        assert_eq!(rows.kept.len(), MAX_HOSTNAMES * MAX_ROWS);
    }
}
