use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::Protocol;

fn target(number: usize) -> Target {
    Target {
        certificate: "web".into(),
        hostname: format!("h{number}.example").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

fn results(number: usize) -> Arc<TargetResults> {
    Arc::new(TargetResults::new(Arc::new(target(number))))
}

proptest! {
    /// The map has the same content as a sorted map, and a copy that was published does not change.
    #[test]
    fn a_map_of_chunks_is_a_sorted_map(
        steps in proptest::collection::vec((0usize..2000, 0u8..20), 0..1500),
    ) {
        let mut map = ResultMap::default();
        let mut model: BTreeMap<Target, Arc<TargetResults>> = BTreeMap::new();
        let mut published = (map.clone(), model.clone());
        for (number, step) in steps {
            match step {
                0 => {
                    let is_wanted = |t: &Target| t.hostname.to_string().len() % 2 == number % 2;
                    map.retain(is_wanted);
                    model.retain(|target, _| is_wanted(target));
                }
                1 => published = (map.clone(), model.clone()),
                _ => {
                    let results = results(number);
                    map.put(results.clone());
                    model.insert(target(number), results);
                }
            }
            let is_there = map.get(&target(number)).is_some();
            prop_assert_eq!(is_there, model.contains_key(&target(number)));
        }
        for (map, model) in [&published, &(map, model)] {
            let all: Vec<*const TargetResults> = map.iter().map(Arc::as_ptr).collect();
            let wanted: Vec<*const TargetResults> = model.values().map(Arc::as_ptr).collect();
            prop_assert_eq!(all, wanted);
            let mut nodes = map.nodes.iter();
            prop_assert!(nodes.all(|node| !node.is_empty() && node.len() <= MAX_NODE));
            let mut chunks = map.nodes.iter().flat_map(|node| node.iter());
            prop_assert!(chunks.all(|chunk| !chunk.is_empty() && chunk.len() <= MAX_CHUNK));
        }
    }
}

/// Prints the cost of one published result among 100,000: `cargo test --lib publish_cost --
/// --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
fn publish_cost() {
    const TARGETS: usize = 100_000;
    const CHANGES: usize = 10_000;
    let mut map = ResultMap::default();
    (0..TARGETS).for_each(|number| map.put(results(number)));
    let published = arc_swap::ArcSwap::from_pointee(map.clone());
    #[allow(clippy::disallowed_methods)] // a measurement reads the clock
    let start = std::time::Instant::now();
    for change in 0..CHANGES {
        map.put(results(change * 7919 % TARGETS));
        published.store(Arc::new(map.clone()));
    }
    let each = start.elapsed() / u32::try_from(CHANGES).unwrap();
    println!("{each:?} for one of {TARGETS}, {} nodes", map.nodes.len());
}
