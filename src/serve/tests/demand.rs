//! Tests with more requests than permits.

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;

use super::*;
use crate::instance::Expected;
use crate::serve::expectations::Watch;
use crate::serve::plan::{Plan, plan_all};
use crate::serve::snapshot::Snapshot;
use crate::serve::{page, probe, test_api};
use crate::source::Loaded;

/// Returns a first snapshot of this configuration.
fn current(text: &str) -> Arc<Current> {
    let setup = setup(text.to_owned());
    let requests = Requests::default();
    let runtime = Runtime::new(&setup, None, &requests).unwrap();
    Arc::new(Current::new(runtime, requests, setup.clock))
}

const SETTINGS: &str =
    "trust: {system: false}\ncertificates: [{name: any, trust: true, hostnames: any.example}]\n";

#[tokio::test]
async fn page_request_gets_503_if_too_many_wait() {
    let current = current(SETTINGS);
    let limiter = Limiter::new(1, 1);
    let ask = async |path: &str| {
        let (query, headers) = (Query::parse(None), HeaderMap::new());
        let answer = page::page(
            &current,
            &limiter,
            None,
            Arc::from(""),
            path,
            &query,
            &headers,
        );
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        answer.map(|answer| (answer.status(), answer.headers().contains_key(RETRY_AFTER)))
    };
    let permit = limiter.acquire().await;
    let busy = (StatusCode::SERVICE_UNAVAILABLE, true);
    assert_eq!(ask("/").await, Some(busy));
    // A path without a page needs no permit.
    assert_eq!(ask("/nothing/here").await, None);
    drop(permit);
    assert_eq!(ask("/").await, Some((StatusCode::OK, false)));
}

/// Returns a listener that never responds, and a configuration in which probes of it run one at a
/// time for up to an hour.
fn silent() -> (std::net::TcpListener, Arc<Current>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let current = current(&format!(
        "defaults: {{timeout: 1h, per_address: 1, port: {port}}}
trust: {{system: false}}
probe: {{allow: [127.0.0.0/8]}}
certificates: [{{name: any, trust: true, hostnames: [a.example, b.example], addresses: 127.0.0.1}}]
"
    ));
    (listener, current)
}

/// The clock advances only while all tasks wait; no probe ends by itself.
#[tokio::test]
async fn on_demand_probe_and_test_end_at_the_deadline_while_queued() {
    const PROBES: usize = 3;
    tokio::time::pause();
    let (listener, current) = silent();
    let port = listener.local_addr().unwrap().port();
    let on_demand = Arc::new(Semaphore::new(PROBES));
    let query = Query::parse(Some(&format!("target=127.0.0.1:{port}")));
    let mut patient = HeaderMap::new();
    let header = "x-prometheus-scrape-timeout-seconds";
    patient.insert(header, "100000".parse().unwrap());
    let none = HeaderMap::new();
    let start = tokio::time::Instant::now();
    let ask = |headers| probe::probe(&current, &on_demand, headers, &query);
    let (a, b, c) = tokio::join!(ask(&none), ask(&none), ask(&patient));
    for answer in [a, b, c] {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(
        start.elapsed().as_secs(),
        probe::MAX_ON_DEMAND_TIME.as_secs()
    );

    publish_plan(&current);
    let start = tokio::time::Instant::now();
    let answer = test_api::test(&current, &on_demand, "any", &Query::parse(None)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    assert_eq!(
        start.elapsed().as_secs(),
        probe::MAX_ON_DEMAND_TIME.as_secs()
    );

    // All permits are released.
    assert_eq!(on_demand.available_permits(), PROBES);
    for _ in 0..PROBES * 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(current.snapshot().runtime.probes_in_flight(), 0);
}

/// Publishes a plan as the monitor does once each source has returned a result.
fn publish_plan(current: &Current) {
    let mut snapshot = Snapshot::clone(&current.snapshot());
    let entry = snapshot.runtime.entries[0].clone();
    let key: Arc<str> = "any".into();
    let mut watch = Watch::new(entry.clone());
    let loaded = Loaded {
        name: "any".into(),
        common_name: None,
        expected: Arc::new(Expected::trust_only()),
        hostnames: entry.hostnames.clone(),
        found: Vec::new(),
        awaited: None,
    };
    watch.absorb(vec![Ok(loaded)], current.now());
    let plan = plan_all(
        &[(key.clone(), Arc::new(watch))].into(),
        &[key],
        &Plan::default(),
    )
    .plan;
    snapshot.plan = Arc::new(plan);
    current.publish(snapshot);
}

#[tokio::test]
async fn only_hosts_that_dns_gives_share_the_slots_of_their_entry() {
    for (found, shared_by) in [("", None), (", mx: example.com", Some("any"))] {
        let current = current(&format!(
            "trust: {{system: false}}
certificates: [{{name: any, trust: true, hostnames: any.example{found}}}]
"
        ));
        publish_plan(&current);
        let snapshot = current.snapshot();
        let plan = &snapshot.plan;
        let target = plan.targets.keys().next().unwrap();
        let job = plan.job(target, &snapshot.runtime, current.now()).unwrap();
        assert_eq!(job.shared_by.as_deref(), shared_by);
    }
}
