//! Files for running the monitor: a systemd unit and a Kubernetes manifest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use saphyr::{LoadableYamlNode as _, Yaml};

use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::run;
use crate::fixture::tls::{Server, config};
use crate::support::certvigil;

fn dist(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The unit with the path of the tested program, which exists.
fn unit(folder: &Path) -> std::path::PathBuf {
    const INSTALLED: &str = "/usr/local/bin/certvigil";
    let text = dist("certvigil.service");
    assert!(text.contains(INSTALLED));
    let file = folder.join("certvigil.service");
    let text = text.replace(INSTALLED, env!("CARGO_BIN_EXE_certvigil"));
    fs::write(&file, text).unwrap();
    file
}

#[test]
#[ignore = "needs systemd"]
fn systemd_accepts_the_unit_with_a_low_exposure_score() {
    /// In tenths. systemd rates up to 2.0 as "OK", and a unit without any restriction as 9.6.
    const MOST_EXPOSED: &str = "--threshold=15";
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    let analyze = || Command::new("systemd-analyze");
    let output = analyze().args(["verify", "--man=no"]).arg(&unit).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    // systemd succeeds with a warning about a setting that it ignores.
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("certvigil.service"), "{told}");
    run(analyze()
        .args(["security", "--offline=true", "--no-pager", MOST_EXPOSED])
        .arg(&unit));
}

/// The command line of the unit.
fn unit_command() -> Vec<String> {
    let text = dist("certvigil.service");
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("ExecStart="));
    line.unwrap().split(' ').map(str::to_owned).collect()
}

#[test]
fn systemd_unit_command_is_a_certvigil_command() {
    let command = unit_command();
    assert_is_a_command(command.iter().skip(1).map(String::as_str));
}

#[test]
#[ignore = "needs bubblewrap"]
fn unit_command_runs_unprivileged_in_a_read_only_file_system() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("state")).unwrap();
    let text = format!(
        "trust: {{system: false, ca_files: [{}]}}\ncertificates: [{{name: web, pem: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {}}}]\n",
        pki.path("root.pem").display(),
        pki.full_chain(&leaf).display(),
        server.port()
    );
    fs::write(path("certvigil.yml"), text).unwrap();
    let command = unit_command();
    let mut sandbox = Command::new("bwrap");
    sandbox
        .args([
            "--unshare-user",
            "--uid",
            "65534",
            "--gid",
            "65534",
            "--cap-drop",
            "ALL",
        ])
        .args([
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--die-with-parent",
        ])
        .args([
            "--tmpfs",
            "/usr/local",
            "--tmpfs",
            "/etc",
            "--tmpfs",
            "/var",
        ])
        .args(["--ro-bind", env!("CARGO_BIN_EXE_certvigil"), &command[0]])
        .args([
            "--ro-bind",
            &path("certvigil.yml"),
            "/etc/certvigil/certvigil.yml",
        ])
        .args(["--bind", &path("state"), "/var/lib/certvigil"])
        .args([
            "--remount-ro",
            "/usr/local",
            "--remount-ro",
            "/etc",
            "--remount-ro",
            "/var",
            "--",
        ])
        .args(&command);
    let state = path("state");
    let mut exporter = Exporter::start_by(folder, &mut sandbox);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_eq!(metrics.sample("certvigil_endpoint_correct", &[]), Some(1.0));
    assert!(Path::new(&state).join("certvigil.db").is_file());
    // bwrap waits for its child and exits with it.
    let pid = exporter.pid();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child = fs::read_to_string(children).unwrap();
    run(Command::new("kill").args(["-TERM", child.trim()]));
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    assert!(!exporter.log().contains("ERROR"), "{}", exporter.log());
}

/// Asserts that the program accepts these arguments.
pub(crate) fn assert_is_a_command<'a>(words: impl Iterator<Item = &'a str>) {
    let words: Vec<&str> = ["certvigil"].into_iter().chain(words).collect();
    let read = certvigil::cli::Cli::command().try_get_matches_from(&words);
    assert!(read.is_ok(), "{words:?}: {read:?}");
}

#[test]
fn kubernetes_manifest_is_unprivileged_and_consistent() {
    let text = dist("kubernetes.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let of_kind = |kind: &str| {
        let found = documents.iter().find(|d| d["kind"].as_str() == Some(kind));
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    assert_eq!(documents.len(), 3);
    let (map, service, set) = (
        of_kind("ConfigMap"),
        of_kind("Service"),
        of_kind("StatefulSet"),
    );
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];

    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"].as_bool(), Some(true));
    assert!(security["runAsUser"].as_integer() > Some(0));
    assert_eq!(
        security["seccompProfile"]["type"].as_str(),
        Some("RuntimeDefault")
    );
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(security["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(security["capabilities"]["drop"][0].as_str(), Some("ALL"));
    for amount in ["requests", "limits"] {
        let memory = container["resources"][amount]["memory"].as_str();
        assert!(memory.is_some(), "{amount}");
    }
    assert_eq!(
        container["livenessProbe"]["httpGet"]["path"].as_str(),
        Some("/-/healthy")
    );
    assert_eq!(
        container["readinessProbe"]["httpGet"]["path"].as_str(),
        Some("/-/ready")
    );
    assert_eq!(
        container["ports"][0]["containerPort"].as_integer(),
        Some(10843)
    );

    // The selector matches the labels.
    let label = Some("certvigil");
    let name = |yaml: &Yaml<'_>| yaml["app.kubernetes.io/name"].as_str().map(str::to_owned);
    for labels in [
        &service["spec"]["selector"],
        &set["spec"]["selector"]["matchLabels"],
        &set["spec"]["template"]["metadata"]["labels"],
    ] {
        assert_eq!(name(labels).as_deref(), label);
    }
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    let port = &container["ports"][0]["name"];
    assert_eq!(&service["spec"]["ports"][0]["targetPort"], port);
    let volumes = [
        &pod["volumes"][0]["name"],
        &set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"],
    ];
    let mounts = container["volumeMounts"].as_sequence().unwrap();
    let mounted: Vec<_> = mounts.iter().map(|mount| &mount["name"]).collect();
    assert_eq!(mounted, volumes);
    assert_eq!(
        pod["volumes"][0]["configMap"]["name"],
        map["metadata"]["name"]
    );

    let args = container["args"].as_sequence().unwrap();
    assert_is_a_command(args.iter().map(|word| word.as_str().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certvigil.yml");
    fs::write(&file, map["data"]["certvigil.yml"].as_str().unwrap()).unwrap();
    let checked = certvigil(["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

/// The keys of a mapping and of all mappings below it, except keys with names that users choose.
fn keys<'a>(yaml: &'a Yaml<'a>, into: &mut BTreeSet<&'a str>) {
    for (key, value) in yaml.as_mapping().into_iter().flatten() {
        let key = key.as_str().unwrap();
        into.insert(key);
        if !["data", "labels", "selector"].contains(&key) {
            keys(value, into);
        }
    }
    for item in yaml.as_sequence().into_iter().flatten() {
        keys(item, into);
    }
}

/// Kubernetes refuses an unknown key, or ignores it and its effect is missing. These are the keys
/// of the API of version 1.30 (core/v1 and apps/v1).
#[test]
fn kubernetes_manifest_uses_only_known_keys() {
    const KNOWN: &str = "apiVersion kind metadata name labels spec data \
        clusterIP selector ports port targetPort \
        serviceName replicas template volumeClaimTemplates accessModes \
        automountServiceAccountToken terminationGracePeriodSeconds securityContext containers volumes \
        runAsNonRoot runAsUser runAsGroup fsGroup seccompProfile type \
        image args containerPort livenessProbe readinessProbe httpGet path periodSeconds timeoutSeconds \
        resources requests limits cpu memory storage \
        allowPrivilegeEscalation readOnlyRootFilesystem capabilities drop \
        volumeMounts mountPath readOnly configMap";
    let text = dist("kubernetes.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let mut used = BTreeSet::new();
    documents
        .iter()
        .for_each(|document| keys(document, &mut used));
    let known: BTreeSet<&str> = KNOWN.split_whitespace().collect();
    assert_eq!(used, known);
}
