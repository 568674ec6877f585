//! More is asked for than there are hands.

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;

use super::*;
use crate::serve::page;

/// A board of this configuration, which nobody fills.
fn board(text: &str) -> Arc<Board> {
    let setup = setup(text.to_owned());
    let requests = Requests::default();
    let engine = Engine::new(&setup, None, &requests).unwrap();
    Arc::new(Board::new(engine, requests, setup.clock))
}

const SETTINGS: &str =
    "trust: {system: false}\ncertificates: [{name: any, trust: true, hostnames: any.example}]\n";

#[tokio::test]
async fn who_asks_for_a_page_while_too_many_wait_is_asked_to_come_back() {
    let board = board(SETTINGS);
    let queue = Queue::new(1, 1);
    let ask = async |path: &str| {
        let (query, headers) = (Query::parse(None), HeaderMap::new());
        let answer = page::page(&board, &queue, None, path, &query, &headers);
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        answer.map(|answer| (answer.status(), answer.headers().contains_key(RETRY_AFTER)))
    };
    let turn = queue.turn().await;
    let busy = (StatusCode::SERVICE_UNAVAILABLE, true);
    assert_eq!(ask("/").await, Some(busy));
    // What is no page waits for none.
    assert_eq!(ask("/nothing/here").await, None);
    drop(turn);
    assert_eq!(ask("/").await, Some((StatusCode::OK, false)));
}
