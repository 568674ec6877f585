//! All certificates of an SSLMate account.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Entry;

use super::{Failed, Loaded, SourceError, Sources, failed};

/// Maximum certificates of one account that are fetched concurrently.
const MAX_CONCURRENT: usize = 8;
/// Consecutive API failures after which the API counts as down. The other certificates are not
/// fetched.
const MAX_FAILURES_IN_A_ROW: usize = 4 * MAX_CONCURRENT;

impl Sources {
    /// Fetches the expected instances of all certificates of the account, in the order of its list.
    /// `patience` limits the list and each certificate separately, so that an account may be of any
    /// size.
    pub(super) async fn load_account(
        self: &Arc<Self>,
        entry: &Entry,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let names = match self.list(Instant::now() + patience).await {
            Ok(names) => names,
            Err(error) => return vec![Err(failed("sslmate: *", entry, error))],
        };
        let entry = Arc::new(entry.clone());
        let mut answers = Vec::with_capacity(names.len());
        let mut names = names.into_iter().enumerate();
        let mut under_way = JoinSet::new();
        let mut failures_in_a_row = 0;
        loop {
            while under_way.len() < MAX_CONCURRENT
                && let Some((position, cn)) = names.next()
            {
                if failures_in_a_row >= MAX_FAILURES_IN_A_ROW {
                    let error = SourceError::NotAsked(failures_in_a_row);
                    answers.push((position, Err(failed(&cn, &entry, error))));
                    continue;
                }
                let (sources, entry) = (self.clone(), entry.clone());
                under_way.spawn(async move {
                    let deadline = Instant::now() + patience;
                    let answer = sources.ask_for(&entry, &cn, deadline).await;
                    (position, cn, answer)
                });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok((position, cn, answer))) => {
                    let is_of_the_api = |error: &SourceError| error.is_of_the_api();
                    failures_in_a_row = match answer.as_ref().is_err_and(is_of_the_api) {
                        true => failures_in_a_row + 1,
                        false => 0,
                    };
                    let answer = answer.map_err(|error| failed(&cn, &entry, error));
                    answers.push((position, answer));
                }
                // A panic is reported like that of any other entry.
                Some(Err(_)) => return vec![Err(Failed::by_internal_error(&entry))],
            }
        }
        answers.sort_by_key(|(position, _)| *position);
        answers.into_iter().map(|(_, answers)| answers).collect()
    }
}
