//! Limits of concurrent work.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

#[test]
fn one_host_has_half_of_the_judging_threads() {
    let permits = Permits::with_threads(8, Arc::new(Addresses::new(1)), false, 4);
    let [slow, other] = ["slow.example", "other.example"].map(|name| name.parse().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    let mut granted = |host| match pin!(permits.judging(host)).poll(&mut cx) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    };
    let of_slow = [granted(&slow), granted(&slow)];
    assert!(of_slow.iter().all(Option::is_some));
    assert!(granted(&slow).is_none());
    assert!(granted(&other).is_some());
    drop(of_slow);
    assert!(granted(&slow).is_some());
    drop(granted(&other));
    // Hosts without permits are forgotten.
    assert_eq!(lock(&permits.judging_hosts).len(), 1);
}

#[test]
fn hosts_of_one_entry_leave_half_of_the_slots_to_others() {
    let permits = Permits::new(8, 4);
    let mut cx = Context::from_waker(Waker::noop());
    let (hostile, other): (Arc<str>, Arc<str>) = ("hostile".into(), "other".into());
    let mut granted = |key| match pin!(permits.entry(key)).poll(&mut cx) {
        Poll::Ready(permit) => permit,
        Poll::Pending => None,
    };
    let held = [(); 4].map(|()| granted(&hostile));
    assert!(held.iter().all(Option::is_some));
    assert!(granted(&hostile).is_none());
    assert!(granted(&other).is_some());
    drop(held);
    assert!(granted(&hostile).is_some());
    // Entries without permits are forgotten.
    drop(granted(&other));
    assert_eq!(lock(&permits.entries).len(), 1);
}

#[test]
fn longest_wait_is_that_of_the_probe_that_was_due_first() {
    let (permits, _) = Permits::of_monitor(2, 1);
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    assert_eq!(permits.longest_wait(now), Duration::ZERO);
    let old = permits.wait(Some(now));
    let _young = [(); 2].map(|()| permits.wait(Some(now + second)));
    assert_eq!(permits.longest_wait(now + 5 * second), 5 * second);
    drop(old);
    assert_eq!(permits.longest_wait(now + 5 * second), 4 * second);
}

const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 443);

#[derive(Clone, Debug)]
enum Step {
    Start,
    /// Ends the probe with this number among those that run or wait, if there are any.
    End(usize),
    Set(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Start),
        3 => (0..20_usize).prop_map(Step::End),
        1 => (0..6_usize).prop_map(Step::Set),
    ]
}

enum Probe<'a> {
    Runs { _permit: ProbePermit<'a> },
    Waits(Pin<Box<dyn Future<Output = ProbePermit<'a>> + 'a>>),
}

fn running(probes: &[Probe<'_>]) -> usize {
    let runs = |probe: &&Probe<'_>| matches!(probe, Probe::Runs { .. });
    probes.iter().filter(runs).count()
}

fn poll(probes: &mut [Probe<'_>]) {
    let mut cx = Context::from_waker(Waker::noop());
    for probe in probes {
        if let Probe::Waits(wait) = probe
            && let Poll::Ready(permit) = wait.as_mut().poll(&mut cx)
        {
            *probe = Probe::Runs { _permit: permit };
        }
    }
}

fn waiting(permits: &Permits, address: SocketAddr) -> Probe<'_> {
    Probe::Waits(Box::pin(permits.probe(address)))
}

proptest! {
    /// When the limit changes while probes run, no probe starts beyond it, and none waits
    /// within it.
    #[test]
    fn changed_per_address_limit_applies_to_running_probes(steps in proptest::collection::vec(step(), 1..60)) {
        let permits = Permits::new(1000, 2);
        let (mut limit, mut probes) = (2, Vec::<Probe<'_>>::new());
        for step in steps {
            match step {
                Step::Start => probes.push(waiting(&permits, ADDRESS)),
                Step::End(number) if !probes.is_empty() => drop(probes.remove(number % probes.len())),
                Step::End(_) => {}
                Step::Set(count) => {
                    permits.set_per_address(count);
                    limit = count.max(1);
                }
            }
            let before = running(&probes);
            poll(&mut probes);
            let after = running(&probes);
            prop_assert!(after <= limit || after == before, "{after} of {limit}");
            prop_assert!(after >= limit || after == probes.len(), "{after} of {limit}, {} in all", probes.len());
            prop_assert_eq!(permits.in_use(), after);
        }
        drop(probes);
        prop_assert!(lock(&permits.addresses.all.0).limits.is_empty());
    }

    /// The limit of an address covers both groups. The monitor's probe waits behind the share
    /// of on-demand probes at most.
    #[test]
    fn on_demand_probes_have_a_share_of_an_address(per_address in 1..8_usize, flood in 1..40_usize) {
        let (monitor, on_demand) = Permits::of_monitor(1000, per_address);
        let mut flooding = Vec::from_iter((0..flood).map(|_| waiting(&on_demand, ADDRESS)));
        poll(&mut flooding);
        let share = (per_address / ON_DEMAND_ADDRESS_SHARE).max(1);
        prop_assert_eq!(running(&flooding), flood.min(share));
        let mut own = Vec::from_iter((0..per_address).map(|_| waiting(&monitor, ADDRESS)));
        poll(&mut own);
        prop_assert_eq!(running(&own) + running(&flooding), per_address.min(per_address + flood));
        // After the running probes end, at most the share is ahead of the monitor's probe.
        for _ in 0..share {
            flooding.retain(|probe| matches!(probe, Probe::Waits(_)));
            poll(&mut own);
            poll(&mut flooding);
        }
        prop_assert!(running(&own) >= per_address.saturating_sub(share).max(1));
        drop((own, flooding));
        for limits in [&monitor.addresses.all, &monitor.addresses.on_demand] {
            prop_assert!(lock(&limits.0).limits.is_empty());
        }
    }
}

#[test]
fn on_demand_probes_leave_the_monitor_its_slots() {
    for concurrency in [1, 2, 3, 4, 256] {
        let (monitor, on_demand) = Permits::of_monitor(concurrency, 4);
        let at = |host: u8| SocketAddr::from(([127, 0, 0, host], 443));
        let mut flood = Vec::from_iter((0..255).map(|host| waiting(&on_demand, at(host))));
        poll(&mut flood);
        assert_eq!(running(&flood), (concurrency / ON_DEMAND_SHARE).max(1));
        // The monitor has a slot even at an address for which on-demand probes wait.
        let mut own = vec![waiting(&monitor, at(254))];
        poll(&mut own);
        assert_eq!(running(&own), 1);
        assert!(monitor.slots() + on_demand.slots() <= concurrency.max(2));
    }
}

#[test]
fn each_vantage_has_permits_of_its_own() {
    let permits = Permits::new(1000, 4);
    let mut cx = Context::from_waker(Waker::noop());
    let (a, b) = (Vantage::named("a"), Vantage::named("b"));
    let mut held = Vec::new();
    for _ in 0..MAX_REMOTE_TESTS {
        let Poll::Ready(permit) = pin!(permits.remote_test(&a)).poll(&mut cx) else {
            panic!("there is a permit")
        };
        held.push(permit);
    }
    assert!(pin!(permits.remote_test(&a)).poll(&mut cx).is_pending());
    assert!(pin!(permits.remote_test(&b)).poll(&mut cx).is_ready());
    drop(held);
    assert!(pin!(permits.remote_test(&a)).poll(&mut cx).is_ready());
    assert!(lock(&permits.remote_tests).len() <= 2);
}
