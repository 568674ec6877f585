//! The plan for very many endpoints matches the figures beside it.

#[path = "../../benches/performance/scale/plan.rs"]
mod plan;

use plan::Measured;

use crate::markdown::document;

/// The text of the page as long as there was no run of the full size.
const NOT_MEASURED: &str = "A hundred thousand endpoints have not been measured with this version yet: \
    `make bench-scale` writes the figures and the plan here.";

#[test]
fn scale_plan_is_derived_from_a_measurement_of_100000_endpoints() {
    let page = document("docs/scale.md").text;
    let (_, written) = page
        .split_once("<!-- written by `make bench-scale` -->")
        .unwrap();
    let (written, _) = written.split_once("<!-- end of what").unwrap();
    let Some((table, plan)) = written.split_once("## The plan for ten million\n") else {
        assert_eq!(written.trim(), NOT_MEASURED);
        return;
    };
    let whole = format!("\n| {} | 100000 |", plan::MEASURED_ENDPOINTS);
    assert!(
        table.contains(&whole),
        "a run of another size is none: {table}"
    );
    assert_eq!(plan.trim(), Measured::read(table).plan().trim());
}

/// Figures that are easy to calculate with.
#[test]
fn scale_plan_is_computed_from_the_figures() {
    let figures = [
        (plan::MEASURED_ENDPOINTS, "100000"),
        (plan::SCHEDULED_PROBE, "300 µs"),
        (plan::MEMORY, "1024 MiB"),
        (plan::METRICS, "240 MiB"),
        (plan::SCRAPE, "1200 ms"),
        (plan::SERIES, "15.0"),
        (plan::PROBE, "360 µs"),
        (plan::SD, "10.24 MiB"),
        (plan::SAMPLES, "36.0"),
        (plan::INGESTED, "720 µs"),
        (plan::SERIES_MEMORY, "2.00 KiB"),
    ];
    let rows = figures.map(|(name, value)| format!("| {name} | {value} | measured |\n"));
    insta::assert_snapshot!(Measured::read(&rows.concat()).plan(), @r"
    | probed every | 5m | 1h | 12h |
    | --- | --- | --- | --- |
    | probes a second | 33333 | 2778 | 231 |
    | cores that probe | 10.0 | 0.8 | 0.1 |
    | cores that write `/metrics` | 1.0 | 1.0 | 1.0 |
    | processes of `serve` | 100 | 100 | 100 |
    | endpoints of each | 100000 | 100000 | 100000 |
    | memory of all of them | 100.0 GiB | 100.0 GiB | 100.0 GiB |
    | `/metrics` of all of them, a second | 200 MiB | 200 MiB | 200 MiB |
    | series | 150.0 million | 150.0 million | 150.0 million |
    | samples a second | 1.2 million | 1.2 million | 1.2 million |
    | shards of Prometheus | 30 | 30 | 30 |
    | memory of a shard | 9.5 GiB | 9.5 GiB | 9.5 GiB |
    | questions to DNS a second, at most | 66667 | 5556 | 463 |
    | requests to the API a second | 1111 | 1111 | 1111 |

    | one inventory for all replicas, `/probe` every 1h | |
    | --- | --- |
    | memory of each replica | 100.0 GiB |
    | size of its `/sd` | 1.0 GiB |
    | cores of each replica for its own round every 12h | 0.1 |
    | cores of all replicas that are asked | 1.0 |
    | cores of all shards of Prometheus that ask | 2.0 |
    | samples a second | 0.1 million |
    ");
}
