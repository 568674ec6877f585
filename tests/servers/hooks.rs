//! Deploy hooks, started by the real ACME clients after a renewal.

use crate::common::nginx::{nginx, server};
use crate::fixture::pki::{HOST, Pki, now};
use crate::fixture::process::{Process, free_port, run, wait_until};
use crate::support::hook;
use crate::support::{Run, isolate};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Pebble, the ACME server for tests, which accepts every name without validation.
struct Acme {
    process: Process,
    management: u16,
    pki: Pki,
}

impl Acme {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&["localhost"]);
        let chain = pki.full_chain(&leaf);
        let management = free_port();
        let process = Process::start(&["127.0.0.1"], |folder, port| {
            let config = serde_json::json!({"pebble": {
                "listenAddress": format!("127.0.0.1:{port}"),
                "managementListenAddress": format!("127.0.0.1:{management}"),
                "certificate": chain,
                "privateKey": leaf.key,
                "httpPort": 5002,
                "tlsPort": 5001,
            }});
            let file = folder.join("pebble.json");
            fs::write(&file, config.to_string()).unwrap();
            let mut command = Command::new("pebble");
            command
                .arg("-config")
                .arg(file)
                .env("PEBBLE_VA_ALWAYS_VALID", "1")
                .env("PEBBLE_VA_NOSLEEP", "1")
                // By default, half of the renewals validate the name again.
                .env("PEBBLE_AUTHZREUSE", "100")
                .env("PEBBLE_WFE_NONCEREJECT", "0");
            command
        });
        Self {
            process,
            management,
            pki,
        }
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.process.port)
    }

    /// Writes the root of the issued certificates to a file.
    fn root(&self, file: &Path) {
        run(Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--cacert"])
            .arg(self.pki.path("root.pem"))
            .arg("--output")
            .arg(file)
            .arg(format!("https://localhost:{}/roots/0", self.management)));
    }
}

/// An ACME client with its directory, and nginx with the certificate that it has issued.
struct Site {
    folder: TempDir,
    acme: Acme,
}

impl Site {
    fn new() -> Self {
        let (folder, acme) = (tempfile::tempdir().unwrap(), Acme::new());
        acme.root(&folder.path().join("root.pem"));
        Self { folder, acme }
    }

    fn client(&self, program: &str, args: &[&str]) -> Run {
        let built = Path::new(env!("CARGO_BIN_EXE_certvigil")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        isolate(&mut command)
            .args(args)
            .env("PATH", format!("{}:{path}", built.display()))
            .env("CERTVIGIL_HOOK_CONF", self.folder.path().join("hook.conf"))
            .env("REQUESTS_CA_BUNDLE", self.acme.pki.path("root.pem"))
            .env("LEGO_CA_CERTIFICATES", self.acme.pki.path("root.pem"))
            .current_dir(self.folder.path());
        command.output().unwrap().into()
    }

    /// Starts nginx with a certificate and writes the settings of the hook.
    fn serve(&self, chain: &Path, key: &Path) -> Process {
        let nginx = nginx(&["127.0.0.1"], &[server("127.0.0.1", chain, key, "")]);
        self.set(&nginx, None);
        nginx
    }

    fn set(&self, nginx: &Process, reload: Option<&str>) {
        let target = format!("{HOST}:{}", nginx.port);
        let (wait, reload) = match reload {
            // A busy machine gets more time.
            Some(reload) => ("1m", reload),
            None => ("1ms", ""),
        };
        let settings = format!(
            "CERTVIGIL_TARGETS={target}\nCERTVIGIL_WAIT={wait}\n\
             CERTVIGIL_ARGS='--every 100ms --no-system-roots --ca-file {} --resolve {target}:127.0.0.1'\n\
             CERTVIGIL_RELOAD='{reload}'\n",
            self.folder.path().join("root.pem").display()
        );
        fs::write(self.folder.path().join("hook.conf"), settings).unwrap();
    }

    /// Renews twice: without a reload the hook reports the previous certificate, and with one the
    /// new certificate.
    fn renew_twice(&self, nginx: &Process, renew: impl Fn() -> Run) {
        // The newer of two certificates is the one with the later start, in seconds.
        let issued = now();
        wait_until("the next second", || (now() > issued).then_some(()));
        let forgotten = renew();
        let told = format!("{}{}", forgotten.stdout, forgotten.stderr);
        assert!(told.contains("previous_instance"), "{forgotten:?}");
        assert!(told.contains("1 critical"), "{forgotten:?}");
        let pid = nginx.path("nginx.pid");
        self.set(nginx, Some(&format!("kill -HUP $(cat {})", pid.display())));
        let reloaded = renew();
        assert_eq!(reloaded.code, 0, "{reloaded:?}");
        let told = format!("{}{}", reloaded.stdout, reloaded.stderr);
        assert!(
            told.contains("1 of 1 addresses serve it, after ") || told.contains("0 critical"),
            "{reloaded:?}"
        );
        assert!(!told.contains("previous_instance"), "{reloaded:?}");
    }
}

#[test]
#[ignore = "needs certbot, pebble, nginx and curl"]
fn certbot_runs_its_hook_after_a_renewal() {
    let site = Site::new();
    let directory = site.acme.directory();
    let hook = hook("certbot");
    let common = [
        "--config-dir",
        "config",
        "--work-dir",
        "work",
        "--logs-dir",
        "logs",
        "--non-interactive",
        "--server",
        &directory,
    ];
    let issue = [
        "certonly",
        "--manual",
        "--manual-auth-hook",
        "true",
        "--agree-tos",
        "--register-unsafely-without-email",
        "--domain",
        HOST,
    ];
    let issued = site.client("certbot", &[&issue[..], &common[..]].concat());
    assert_eq!(issued.code, 0, "{issued:?}");
    let live = site.folder.path().join("config/live").join(HOST);
    let nginx = site.serve(&live.join("fullchain.pem"), &live.join("privkey.pem"));
    let renew = [
        "renew",
        "--force-renewal",
        "--no-random-sleep-on-renew",
        "--deploy-hook",
        hook.to_str().unwrap(),
    ];
    site.renew_twice(&nginx, || {
        site.client("certbot", &[&renew[..], &common[..]].concat())
    });
}

#[test]
#[ignore = "needs lego, pebble, nginx and curl"]
fn lego_runs_its_hook_after_a_renewal() {
    let site = Site::new();
    let directory = site.acme.directory();
    let hook = hook("lego");
    let listen = format!("127.0.0.1:{}", free_port());
    let common = [
        "--server",
        &directory,
        "--accept-tos",
        "--email",
        "hook@example.com",
        "--path",
        "lego",
        "--domains",
        HOST,
        "--http",
        "--http.port",
        &listen,
    ];
    let issued = site.client("lego", &[&common[..], &["run"]].concat());
    assert_eq!(issued.code, 0, "{issued:?}");
    let live = site.folder.path().join("lego/certificates");
    let nginx = site.serve(
        &live.join(format!("{HOST}.crt")),
        &live.join(format!("{HOST}.key")),
    );
    let renew = [
        "renew",
        "--days",
        "9999",
        "--no-random-sleep",
        "--renew-hook",
        hook.to_str().unwrap(),
    ];
    site.renew_twice(&nginx, || {
        site.client("lego", &[&common[..], &renew[..]].concat())
    });
}
