//! Metrics of the process, as Prometheus' client libraries write them.

use crate::report::prometheus::Exposition;

/// Writes the metrics of the process, as far as the operating system provides them.
#[cfg(target_os = "linux")]
pub(super) fn write(out: &mut Exposition) {
    use crate::report::prometheus::Metric;
    use procfs::process::{LimitValue, Process};
    use procfs::{CurrentSI as _, WithCurrentSystemInfo as _};

    let Ok(process) = Process::myself() else {
        return;
    };
    if let Ok(stat) = process.stat() {
        let ticks = procfs::ticks_per_second() as f64;
        out.value(Metric::ProcessCpu, (stat.utime + stat.stime) as f64 / ticks);
        let resident = stat.rss_bytes().get();
        out.value(Metric::ProcessResidentMemory, resident);
        out.value(Metric::ProcessVirtualMemory, stat.vsize);
        out.value(Metric::ProcessThreads, stat.num_threads);
        if let Ok(kernel) = procfs::KernelStats::current() {
            let after_boot = stat.starttime as f64 / ticks;
            out.value(Metric::ProcessStartTime, kernel.btime as f64 + after_boot);
        }
    }
    if let Ok(count) = process.fd_count() {
        out.value(Metric::ProcessOpenFds, count);
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        out.value(Metric::ProcessMaxFds, most);
    }
}

/// Only Linux provides the values in files.
#[cfg(not(target_os = "linux"))]
pub(super) fn write(_: &mut Exposition) {}
