//! Every certificate of an SSLMate account.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Entry;

use super::{Failed, Loaded, SourceError, Sources, failed};

/// Certificates of one account that are asked for at a time.
const MAX_AT_A_TIME: usize = 8;
/// After so many certificates in a row at which the API itself failed, it is away: the rest is not asked for.
const MAX_FAILURES_IN_A_ROW: usize = 4 * MAX_AT_A_TIME;

impl Sources {
    /// What is expected by each certificate of the account, in the order of its list. The list may take so long, and then
    /// each certificate, so that an account may be of any size.
    pub(super) async fn load_account(
        self: &Arc<Self>,
        entry: &Entry,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let names = match self.list(Instant::now() + patience).await {
            Ok(names) => names,
            Err(error) => return vec![Err(failed("sslmate: *", entry, &error))],
        };
        let entry = Arc::new(entry.clone());
        let mut said = Vec::with_capacity(names.len());
        let mut names = names.into_iter().enumerate();
        let mut under_way = JoinSet::new();
        let mut failures_in_a_row = 0;
        loop {
            while under_way.len() < MAX_AT_A_TIME
                && let Some((position, cn)) = names.next()
            {
                if failures_in_a_row >= MAX_FAILURES_IN_A_ROW {
                    let error = SourceError::NotAsked(failures_in_a_row);
                    said.push((position, Err(failed(&cn, &entry, &error))));
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
                    let answer = answer.map_err(|error| failed(&cn, &entry, &error));
                    said.push((position, answer));
                }
                // As of any other entry in whose asking certvigil breaks down.
                Some(Err(_)) => return vec![Err(Failed::by_own_fault(&entry))],
            }
        }
        said.sort_by_key(|(position, _)| *position);
        said.into_iter().map(|(_, said)| said).collect()
    }
}
