//! Time until `check` starts to probe.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Instant;

use crate::measure::{Values, spawn};
use crate::peers::certvigil;
use crate::table::{Row, Target};
use crate::testbed::Testbed;

const STARTS: usize = 10;

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let first_connect = |_| {
        let mut command = certvigil(testbed);
        command.args(["check", &target]).stdout(Stdio::null());
        let start = Instant::now();
        let mut child = spawn(&mut command);
        let connected = listener.accept().unwrap();
        let took = start.elapsed();
        // Closes the connection; nothing else is measured.
        drop(connected);
        child.kill().unwrap();
        child.wait().unwrap();
        took.as_secs_f64() * 1000.0
    };
    let times: Values = (0..rounds * STARTS).map(first_connect).collect();
    vec![Row {
        figure: "from `exec` to the first connection of `check`".into(),
        unit: " ms",
        target: Target::AtMost(15.0),
        values: times,
        detail: "with the system's roots".into(),
    }]
}
