//! Resources for very many endpoints, extrapolated from fewer. The test of `docs/scale.md` uses it
//! too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Number of endpoints in the plan.
const ENDPOINTS: f64 = 10_000_000.0;
/// Probe intervals with their labels, in seconds.
const INTERVALS: [(&str, f64); 3] = [("5m", 300.0), ("1h", 3_600.0), ("12h", 43_200.0)];
/// Scrape interval of `/metrics` in seconds: Prometheus drops a value after five minutes.
const SCRAPE_INTERVAL: f64 = 120.0;
/// Planned share of a core that a process uses: the rest is for restarts, reloads and slow DNS.
const BUSY_SHARE: f64 = 0.5;
/// Planned number of series in one Prometheus.
const SERIES_OF_A_SHARD: f64 = 5_000_000.0;
/// Average number of endpoints that share a certificate's entry. [`REFRESH_INTERVAL`] is that of
/// its source, in seconds.
const ENDPOINTS_OF_A_CERTIFICATE: f64 = 10.0;
const REFRESH_INTERVAL: f64 = 900.0;
/// A replica's own probe interval in seconds, if Prometheus requests the probes.
const OWN_INTERVAL: f64 = 43_200.0;

// Names of the figures that the plan uses, as in the table of measurements.
pub(crate) const MEASURED_ENDPOINTS: &str = "endpoints";
pub(crate) const SCHEDULED_PROBE: &str = "CPU of a scheduled probe";
pub(crate) const MEMORY: &str = "memory of `serve`";
pub(crate) const METRICS: &str = "size of `/metrics`";
pub(crate) const SCRAPE: &str = "CPU of writing `/metrics`";
pub(crate) const SERIES: &str = "series of an endpoint in `/metrics`";
pub(crate) const PROBE: &str = "CPU of a `/probe`";
pub(crate) const SD: &str = "size of `/sd`";
pub(crate) const SAMPLES: &str = "samples of a `/probe` in Prometheus";
pub(crate) const INGESTED: &str = "CPU of Prometheus for a `/probe`";
pub(crate) const SERIES_MEMORY: &str = "memory of Prometheus for a series";

/// Values by figure name, in the units of the table: µs, ms, KiB, MiB.
pub(crate) struct Measured(BTreeMap<String, f64>);

impl Measured {
    /// Reads the table. A row has the figure, its value with a unit, and its explanation.
    pub(crate) fn read(table: &str) -> Self {
        let rows = table.lines().filter_map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            let (name, value) = (cells.next()?, cells.next()?);
            let value = value.split_whitespace().next()?.parse().ok()?;
            Some((name.to_owned(), value))
        });
        Self(rows.collect())
    }

    fn get(&self, name: &str) -> f64 {
        let value = self.0.get(name).copied();
        value.unwrap_or_else(|| panic!("the table of what was measured has no `{name}`"))
    }

    /// The plan as two Markdown tables.
    pub(crate) fn plan(&self) -> String {
        let mut text = String::from("| probed every |");
        for (name, _) in INTERVALS {
            write!(text, " {name} |").unwrap();
        }
        text.push_str("\n| --- | --- | --- | --- |\n");
        let mut row = |name: &str, value: &dyn Fn(f64) -> String| {
            let cells = INTERVALS.map(|(_, interval)| value(interval));
            writeln!(text, "| {name} | {} |", cells.join(" | ")).unwrap();
        };
        row("probes a second", &|every| whole(ENDPOINTS / every));
        row("cores that probe", &|every| {
            cores(self.probing_cores(every))
        });
        row("cores that write `/metrics`", &|_| cores(self.writing()));
        row("processes of `serve`", &|every| {
            whole(self.processes(every))
        });
        row("endpoints of each", &|every| {
            whole(ENDPOINTS / self.processes(every))
        });
        row("memory of all of them", &|_| {
            gibibytes(ENDPOINTS * self.memory())
        });
        row("`/metrics` of all of them, a second", &|_| {
            let bytes = ENDPOINTS * self.get(METRICS) / self.get(MEASURED_ENDPOINTS);
            format!("{} MiB", whole(bytes / SCRAPE_INTERVAL))
        });
        row("series", &|_| millions(self.series()));
        row("samples a second", &|_| {
            millions(self.series() / SCRAPE_INTERVAL)
        });
        row("shards of Prometheus", &|_| {
            whole((self.series() / SERIES_OF_A_SHARD).ceil())
        });
        row("memory of a shard", &|_| {
            gibibytes(SERIES_OF_A_SHARD * self.get(SERIES_MEMORY) / 1024.0)
        });
        row("questions to DNS a second, at most", &|every| {
            whole(2.0 * ENDPOINTS / every)
        });
        row("requests to the API a second", &|_| {
            whole(ENDPOINTS / ENDPOINTS_OF_A_CERTIFICATE / REFRESH_INTERVAL)
        });
        text.push('\n');
        text.push_str(&self.per_replica());
        text
    }

    /// Resources of the shape with `/probe` that every replica needs for all endpoints.
    fn per_replica(&self) -> String {
        let size = ENDPOINTS / self.get(MEASURED_ENDPOINTS);
        let own = ENDPOINTS / OWN_INTERVAL * self.get(SCHEDULED_PROBE) / 1e6;
        let hourly = ENDPOINTS / 3_600.0;
        let probing = hourly * self.get(PROBE) / 1e6;
        let ingesting = hourly * self.get(INGESTED) / 1e6;
        format!(
            "| one inventory for all replicas, `/probe` every 1h | |\n| --- | --- |\n\
             | memory of each replica | {} |\n\
             | size of its `/sd` | {} |\n\
             | cores of each replica for its own round every 12h | {} |\n\
             | cores of all replicas that are asked | {} |\n\
             | cores of all shards of Prometheus that ask | {} |\n\
             | samples a second | {} |\n",
            gibibytes(ENDPOINTS * self.memory()),
            gibibytes(size * self.get(SD)),
            cores(own),
            cores(probing),
            cores(ingesting),
            millions(hourly * self.get(SAMPLES)),
        )
    }

    /// Cores for probing all endpoints once in `every` seconds.
    fn probing_cores(&self, every: f64) -> f64 {
        ENDPOINTS / every * self.get(SCHEDULED_PROBE) / 1e6
    }

    /// Cores for writing `/metrics` of all endpoints at every scrape.
    fn writing(&self) -> f64 {
        let each = self.get(SCRAPE) / 1e3 / self.get(MEASURED_ENDPOINTS);
        ENDPOINTS * each / SCRAPE_INTERVAL
    }

    /// Number of processes: enough for the cores, and none with more endpoints than were measured.
    fn processes(&self, every: f64) -> f64 {
        let busy = (self.probing_cores(every) + self.writing()) / BUSY_SHARE;
        let large = ENDPOINTS / self.get(MEASURED_ENDPOINTS);
        busy.max(large).ceil()
    }

    /// Memory of an endpoint in MiB.
    fn memory(&self) -> f64 {
        self.get(MEMORY) / self.get(MEASURED_ENDPOINTS)
    }

    fn series(&self) -> f64 {
        ENDPOINTS * self.get(SERIES)
    }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn cores(value: f64) -> String {
    format!("{value:.1}")
}

fn millions(value: f64) -> String {
    format!("{:.1} million", value / 1e6)
}

/// Formats MiB as GiB.
fn gibibytes(mebibytes: f64) -> String {
    format!("{:.1} GiB", mebibytes / 1024.0)
}
