//! Files for deployment: the image, the Compose file, the Kustomize base, and the job of each CI.
//! The tests do not run them on the services that they are for. They check them with schemas and
//! linters, and run the scripts in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr::{LoadableYamlNode as _, Yaml};
use tempfile::TempDir;

use crate::common::example::example;
use crate::dist::assert_is_a_command;
use crate::fixture::pki::HOST;
use crate::fixture::process::run;
use crate::fixture::tls::Server;
use crate::markdown::document;
use crate::release;
use crate::support::{Run, certvigil, shell};
use crate::support::{root, text};

/// A folder with certificates, and a server with `old.pem` of them.
struct Bench {
    folder: TempDir,
    server: Server,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = example(folder.path());
        Self { folder, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn target(&self) -> String {
        format!("{HOST}:{}", self.server.port())
    }

    /// The flags that resolve the name to this server and trust its root.
    fn flags(&self) -> String {
        let target = self.target();
        format!("--no-system-roots --ca-file root.pem --resolve {target}:127.0.0.1")
    }

    /// Runs the check step of the action with these inputs, which are environment variables there.
    fn action(&self, inputs: &[(&str, &str)]) -> Run {
        let mut shell = shell();
        shell
            .arg(root().join("dist/action/check.sh"))
            .env("CERTVIGIL_ARGS", self.flags())
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary"))
            .current_dir(self.folder.path());
        shell.envs(inputs.iter().copied());
        shell.output().unwrap().into()
    }
}

#[test]
fn action_runs_check_with_its_inputs() {
    let bench = Bench::new();
    let target = bench.target();
    let targets = ("CERTVIGIL_TARGETS", &*target);
    let right = bench.action(&[targets, ("CERTVIGIL_CERT", "old.pem")]);
    assert_eq!(right.code, 0, "{right:?}");

    let wrong = bench.action(&[
        targets,
        ("CERTVIGIL_CERT", "fullchain.pem"),
        ("CERTVIGIL_JSON", "result.json"),
    ]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stdout.contains("::error"), "{wrong:?}");
    assert!(wrong.stdout.contains("previous_instance"), "{wrong:?}");
    let outputs = fs::read_to_string(bench.path("output")).unwrap();
    assert_eq!(outputs, "exit-code=0\nexit-code=2\n");
    let summary = fs::read_to_string(bench.path("summary")).unwrap();
    let parts = [
        "### Certificates: 1 endpoint: 1 ok\n",
        "### Certificates: 1 endpoint: 1 critical\n",
        "`previous_instance`: ",
    ];
    for part in parts {
        assert_eq!(summary.matches(part).count(), 1, "{part}: {summary}");
    }
    let result = fs::read(bench.path("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["result"][0]["correct"], false);

    let never = bench.action(&[
        targets,
        ("CERTVIGIL_CERT", "fullchain.pem"),
        ("CERTVIGIL_FAIL_ON", "never"),
        ("CERTVIGIL_WAIT", "1ms"),
    ]);
    assert_eq!(never.code, 0, "{never:?}");
}

/// Inputs may come from a pull request: they are arguments of the program and never shell code.
#[test]
fn action_never_executes_its_inputs() {
    let bench = Bench::new();
    for hostile in [
        "$(touch ran)",
        "`touch ran`",
        "; touch ran",
        "*",
        "--output ran",
    ] {
        let run = bench.action(&[
            ("CERTVIGIL_TARGETS", hostile),
            ("CERTVIGIL_CERT", "old.pem"),
        ]);
        assert_eq!(run.code, 3, "{hostile}: {run:?}");
        assert!(!bench.path("ran").exists(), "{hostile}: {run:?}");
        // The error names the first word unchanged.
        let word = hostile.split(' ').next().unwrap();
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains(word), "{hostile}: {run:?}");
    }
}

/// The text of an optional key.
fn value<'a>(yaml: &'a Yaml<'_>, key: &str) -> Option<&'a str> {
    yaml.as_mapping_get(key).and_then(Yaml::as_str)
}

/// A home directory of a runner that has a program in the cache, and a `cargo` that only logs its
/// arguments.
struct Runner {
    home: TempDir,
}

impl Runner {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join(".cache/certvigil/bin");
        fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_certvigil"), bin.join("certvigil")).unwrap();
        let cargo = home.path().join("cargo");
        fs::write(&cargo, "#!/bin/sh\necho \"$@\" >>\"$HOME/built\"\n").unwrap();
        run(Command::new("chmod").arg("+x").arg(&cargo));
        Self { home }
    }

    /// Runs the build step. Returns its output and the arguments of each build.
    fn build(&self) -> (String, Vec<String>) {
        let _ = fs::remove_file(self.home.path().join("built"));
        let path = std::env::var("PATH").unwrap();
        let told = run(shell()
            .arg(root().join("dist/action/build.sh"))
            .env("HOME", self.home.path())
            .env("PATH", format!("{}:{path}", self.home.path().display()))
            .env("GITHUB_OUTPUT", self.home.path().join("output"))
            .env("GITHUB_PATH", self.home.path().join("path")));
        let built = fs::read_to_string(self.home.path().join("built")).unwrap_or_default();
        (told, built.lines().map(str::to_owned).collect())
    }
}

/// A cached program of the same source is not built again, and is on the PATH of the job's next
/// steps. A program of another source is built again.
#[test]
fn action_uses_only_the_cached_program_of_its_own_source() {
    let runner = Runner::new();
    let (told, built) = runner.build();
    assert_eq!(built.len(), 1, "{built:?}");
    assert!(
        built[0].starts_with("install --locked --root "),
        "{built:?}"
    );
    assert!(told.starts_with("certvigil "), "{told}");
    let (told, built) = runner.build();
    assert!(built.is_empty(), "{built:?}");
    assert!(told.starts_with("certvigil "), "{told}");
    let cache = runner.home.path().join(".cache/certvigil");
    fs::write(cache.join("source"), "sha256=of another revision\n").unwrap();
    assert_eq!(runner.build().1.len(), 1);
    let added = fs::read_to_string(runner.home.path().join("path")).unwrap();
    assert_eq!(Path::new(added.lines().next().unwrap()), cache.join("bin"));
}

/// A tag can be moved to another commit, so every action is named by the digest of a commit.
#[test]
fn actions_are_pinned_by_digest() {
    let mut files = vec!["dist/action/action.yml".to_owned(), "docs/ci.md".into()];
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.push(format!(".github/workflows/{name}"));
    }
    let mut pinned = 0;
    for file in files {
        for line in text(&file).lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            // This repository's own action: its user writes the digest.
            if action.starts_with("OWNER/") {
                continue;
            }
            let (_, version) = action.split_once('@').unwrap();
            let digest = version.split(' ').next().unwrap();
            let is_digest = digest.len() == 40 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_digest && version.contains(" # v"), "{file}: {line}");
            pinned += 1;
        }
    }
    assert!(pinned > 5, "{pinned}");
}

/// Each input is an environment variable of the check step, and the files that the step runs exist.
#[test]
fn action_passes_its_inputs_to_its_scripts() {
    let text = text("dist/action/action.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let action = &documents[0];
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    let check = steps.iter().find(|step| value(step, "id") == Some("check"));
    let env = check.unwrap()["env"].as_mapping().unwrap();
    let mut given: Vec<(String, String)> = env
        .iter()
        .map(|(name, value)| {
            let text = |yaml: &Yaml<'_>| yaml.as_str().unwrap().to_owned();
            (text(name), text(value))
        })
        .collect();
    let inputs = action["inputs"].as_mapping().unwrap();
    let mut wanted: Vec<(String, String)> = inputs
        .keys()
        .map(|name| {
            let name = name.as_str().unwrap();
            let variable = name.to_uppercase().replace('-', "_");
            (
                format!("CERTVIGIL_{variable}"),
                format!("${{{{ inputs.{name} }}}}"),
            )
        })
        .collect();
    given.sort();
    wanted.sort();
    assert_eq!(given, wanted);
    for step in steps {
        let Some(line) = value(step, "run") else {
            continue;
        };
        assert!(!line.contains("${{"), "{line}: what is in it would be run");
        let script = line
            .strip_prefix("sh \"$GITHUB_ACTION_PATH/")
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or_else(|| panic!("{line}"));
        assert!(root().join("dist/action").join(script).exists(), "{line}");
    }
}

/// The cache key of the action changes with each file that the compiler reads, and with no other
/// file.
#[test]
fn action_cache_key_depends_on_the_source_files() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path();
    let mut read = vec![
        "Cargo.toml".to_owned(),
        "Cargo.lock".into(),
        "build.rs".into(),
        ".cargo/config.toml".into(),
        "src/lib.rs".into(),
        "src/inner/a.rs".into(),
        "crates/inner/src/lib.rs".into(),
    ];
    read.extend(
        release::folders_compiled_in()
            .iter()
            .map(|name| format!("{name}/inner/a")),
    );
    for file in read
        .iter()
        .map(String::as_str)
        .chain(["README.md", "tests/a.rs"])
    {
        let file = copy.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "before").unwrap();
    }
    let script = "dist/action/source.sh";
    fs::create_dir_all(copy.join("dist/action")).unwrap();
    fs::copy(root().join(script), copy.join(script)).unwrap();
    let sum = || {
        let output = copy.join("output");
        let _ = fs::remove_file(&output);
        run(shell().arg(copy.join(script)).env("GITHUB_OUTPUT", &output));
        let text = fs::read_to_string(output).unwrap();
        let sum = text.strip_prefix("sha256=").unwrap().trim().to_owned();
        assert_eq!(sum.len(), 64, "{text}");
        sum
    };
    let first = sum();
    for other in ["README.md", "tests/a.rs"] {
        fs::write(copy.join(other), "after").unwrap();
        assert_eq!(sum(), first, "{other}");
    }
    let mut seen = BTreeSet::from([first]);
    for file in &read {
        fs::write(copy.join(file), "after").unwrap();
        assert!(seen.insert(sum()), "{file}");
    }
    fs::rename(copy.join("src/inner/a.rs"), copy.join("src/inner/b.rs")).unwrap();
    assert!(seen.insert(sum()), "another name");
}

/// The lines of the job of `dist/gitlab-ci.yml`, as one script.
fn script_of_gitlab() -> String {
    let text = text("dist/gitlab-ci.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let lines = documents[0][".certvigil"]["script"].as_sequence().unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n") + "\n"
}

/// GitLab creates no pipeline whose only jobs are in the stages `.pre` and `.post`
/// (<https://docs.gitlab.com/ci/yaml/#stage-post>).
#[test]
fn gitlab_job_alone_creates_a_pipeline() {
    let text = text("dist/gitlab-ci.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let stage = value(&documents[0][".certvigil"], "stage");
    assert_eq!(stage, Some("test"), "a stage that exists without `stages`");
}

#[test]
fn gitlab_job_checks_and_writes_its_report() {
    let bench = Bench::new();
    for (cert, code) in [("old.pem", 0), ("fullchain.pem", 2)] {
        let args = format!("{} --cert {cert} {}", bench.flags(), bench.target());
        let output = shell()
            .args(["-e", "-c", &script_of_gitlab()])
            .env("CERTVIGIL_ARGS", args)
            .env("CERTVIGIL_FAIL_ON", "critical")
            .current_dir(bench.folder.path())
            .output();
        let run = Run::from(output.unwrap());
        assert_eq!(run.code, code, "{run:?}");
        let report = fs::read_to_string(bench.path("certificates.xml")).unwrap();
        assert_eq!(report.contains("<failure"), code != 0, "{report}");
    }
}

/// Without the program and without a URL to download it from, the job reports what to set.
#[test]
fn gitlab_job_names_a_missing_setting() {
    let folder = tempfile::tempdir().unwrap();
    // GitLab runs the lines with the shell of the image, usually one of these.
    for shell in ["/bin/sh", "/bin/bash"] {
        let output = Command::new(shell)
            .args(["-e", "-c", &script_of_gitlab()])
            .env_clear()
            .env("PATH", folder.path())
            .env("CERTVIGIL_REPOSITORY", "")
            .env("CERTVIGIL_REVISION", "v1")
            .current_dir(folder.path())
            .output();
        let run = Run::from(output.unwrap());
        assert_ne!(run.code, 0, "{run:?}");
        let told = "CERTVIGIL_REPOSITORY: set it to a certvigil repository that cargo can clone";
        assert!(run.stderr.contains(told), "{shell}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{shell}: {run:?}");
    }
}

/// The arguments of an instruction of the Dockerfile that are written as JSON.
fn words_of_image(instruction: &str) -> Vec<String> {
    let text = text("dist/Dockerfile");
    let prefix = format!("{instruction} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    serde_json::from_str(line.unwrap()).unwrap()
}

#[test]
fn image_command_is_a_certvigil_command() {
    assert_eq!(words_of_image("ENTRYPOINT"), ["/usr/bin/certvigil"]);
    let words = words_of_image("CMD");
    assert_is_a_command(words.iter().map(String::as_str));
    // Files that the ignore file lets through exist, and are all that Cargo.toml needs.
    let ignore = text("dist/Dockerfile.dockerignore");
    let let_through: Vec<&str> = ignore.lines().filter_map(|l| l.strip_prefix('!')).collect();
    for name in &let_through {
        assert!(root().join(name).exists(), "{name}");
    }
    let compiled_in = release::folders_compiled_in();
    let named = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        ".cargo",
        "src",
        "crates",
        "benches",
        "tests",
    ];
    for name in named
        .into_iter()
        .chain(compiled_in.iter().map(String::as_str))
    {
        assert!(let_through.contains(&name), "{name}");
    }
}

/// Path of the Prometheus rules in the Compose file.
const RULES_OF_THE_COMPOSITION: &str = "/etc/certvigil/rules.yml";

#[test]
fn compose_file_refers_to_existing_files() {
    let text_of = |name: &str| text(&format!("dist/compose/{name}"));
    let text = text_of("compose.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let folder = root().join("dist/compose");
    let mut mounted = 0;
    for (_, service) in documents[0]["services"].as_mapping().unwrap() {
        for volume in service["volumes"].as_sequence().unwrap() {
            let (from, _) = volume.as_str().unwrap().split_once(':').unwrap();
            if from.starts_with('.') {
                // A file that is mounted alone remains the old one after an editor replaces it, so
                // a directory is mounted.
                assert!(folder.join(from).is_dir(), "{from}");
                mounted += 1;
            }
        }
    }
    assert!(mounted >= 5, "{mounted}");
    // Paths in the configuration of the services are mounted.
    for (service, from, to) in [
        ("certvigil", "./certvigil", "/etc/certvigil"),
        ("prometheus", "./prometheus", "/etc/prometheus"),
        (
            "prometheus",
            "../../dashboards/prometheus",
            "/etc/certvigil",
        ),
    ] {
        let volumes = documents[0]["services"][service]["volumes"].as_sequence();
        let wanted = format!("{from}:{to}:ro");
        let found = volumes.unwrap().iter().any(|v| v.as_str() == Some(&wanted));
        assert!(found, "{service}: {wanted}");
    }
    let build = &documents[0]["services"]["certvigil"]["build"];
    let context = folder.join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).exists());

    let file = folder.join("certvigil/certvigil.yml");
    let checked = certvigil(["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    // Both equal those of the dashboards, except for the addresses of other services and the path
    // of the rules.
    for (name, of, differs) in [
        (
            "datasources/prometheus.yml",
            "grafana/provisioning/datasources/prometheus.yml",
            &[("http://prometheus:9090", "http://localhost:9090")][..],
        ),
        (
            "prometheus/prometheus.yml",
            "prometheus/prometheus.yml",
            &[
                ("certvigil:10843", "localhost:10843"),
                (RULES_OF_THE_COMPOSITION, "rules.yml"),
            ],
        ),
    ] {
        let keys = |text: &str| {
            let lines = text.lines().filter(|l| !l.starts_with('#'));
            lines.collect::<Vec<_>>().join("\n")
        };
        let mut ours = text_of(name);
        for (here, there) in differs {
            assert!(ours.contains(here), "{name}: {here}");
            ours = ours.replace(here, there);
        }
        let theirs = crate::support::text(&format!("dashboards/{of}"));
        assert_eq!(keys(&ours), keys(&theirs), "{name}");
    }
}

#[test]
#[ignore = "needs prometheus"]
fn promtool_accepts_the_compose_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let rules = root().join("dashboards/prometheus/rules.yml");
    let config = text("dist/compose/prometheus/prometheus.yml");
    let config = config.replace(RULES_OF_THE_COMPOSITION, rules.to_str().unwrap());
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    run(Command::new("promtool").args(["check", "config"]).arg(file));
}

/// The YAML blocks of `docs/ci.md` that are complete CI files.
fn examples_of_ci(has: &str) -> Vec<String> {
    let page = document("docs/ci.md");
    let blocks = page.blocks().into_iter().filter(|b| b.info == "yaml");
    let texts = blocks.map(|block| block.lines.join("\n") + "\n");
    let found: Vec<String> = texts.filter(|text| text.contains(has)).collect();
    assert!(!found.is_empty(), "{has}");
    found
}

#[test]
#[ignore = "needs check-jsonschema"]
fn ci_and_compose_files_match_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = vec![
        ("github-actions", root().join("dist/action/action.yml")),
        ("gitlab-ci", root().join("dist/gitlab-ci.yml")),
        ("compose-spec", root().join("dist/compose/compose.yml")),
        ("github-workflows", root().join(".github/workflows/ci.yml")),
        (
            "github-workflows",
            root().join(".github/workflows/advisories.yml"),
        ),
        ("gitlab-ci", root().join(".gitlab-ci.yml")),
    ];
    for (schema, has) in [
        ("github-workflows", "runs-on:"),
        ("gitlab-ci", "CERTVIGIL_ARGS"),
    ] {
        for (number, example) in examples_of_ci(has).iter().enumerate() {
            let file = folder.path().join(format!("{schema}-{number}.yml"));
            fs::write(&file, example).unwrap();
            held.push((schema, file));
        }
    }
    for (schema, file) in held {
        run(Command::new("check-jsonschema")
            .args(["--builtin-schema", &format!("vendor.{schema}")])
            .arg(file));
    }
}

/// The command of an MSRV job that reads the version, as in `.github/workflows/ci.yml` and
/// `.gitlab-ci.yml`.
#[test]
fn msrv_jobs_read_the_version_of_the_manifest() {
    const READS: &str = r#"version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)"#;
    for file in [".github/workflows/ci.yml", ".gitlab-ci.yml"] {
        assert!(text(file).contains(READS), "{file}");
    }
    let output = shell()
        .args(["-c", &format!("{READS}; printf %s \"$version\"")])
        .current_dir(root())
        .output()
        .unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(version, env!("CARGO_PKG_RUST_VERSION"));
}

/// The oldest and the newest minor version of Kubernetes 1 whose schemas `make linters` downloads.
const KUBERNETES: (u32, u32) = (25, 37);

#[test]
#[ignore = "needs kubernetes-validate"]
fn kubernetes_validate_accepts_the_manifest() {
    for minor in KUBERNETES.0..=KUBERNETES.1 {
        run(Command::new("kubernetes-validate")
            .args(["--strict", "--kubernetes-version", &format!("1.{minor}")])
            .arg(root().join("dist/kubernetes.yaml")));
    }
}

#[test]
fn documented_kubernetes_versions_are_the_tested_ones() {
    let page = document("docs/installing.md").text;
    let promise = format!("Kubernetes 1.{} to 1.{}", KUBERNETES.0, KUBERNETES.1);
    assert!(page.contains(&promise), "{promise}");
}

#[test]
fn kustomize_base_is_the_manifest() {
    let text = text("dist/kustomization.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let resources = documents[0]["resources"].as_sequence().unwrap();
    let resources: Vec<_> = resources.iter().map(|r| r.as_str().unwrap()).collect();
    assert_eq!(resources, ["kubernetes.yaml"]);
    assert!(root().join("dist/kubernetes.yaml").exists());
}

/// A folder with the overlay of `docs/installing.md` on the shipped base.
fn overlay() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("certvigil/dist");
    fs::create_dir_all(&base).unwrap();
    for name in ["kubernetes.yaml", "kustomization.yaml"] {
        fs::copy(root().join("dist").join(name), base.join(name)).unwrap();
    }
    let page = document("docs/installing.md");
    let blocks = page.blocks();
    for name in ["kustomization.yaml", "certvigil.yml"] {
        let info = format!("yaml {name}");
        let block = blocks.iter().find(|b| b.info == info).expect(name);
        fs::create_dir_all(folder.path().join("overlay")).unwrap();
        let file = folder.path().join("overlay").join(name);
        fs::write(file, block.lines.join("\n") + "\n").unwrap();
    }
    folder
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn kustomize_overlay_applies_its_changes() {
    let folder = overlay();
    let built = run(Command::new("kubectl")
        .arg("kustomize")
        .arg(folder.path().join("overlay")));
    let documents = Yaml::load_from_str(&built).unwrap();
    assert_eq!(documents.len(), 3, "{built}");
    for document in &documents {
        assert_eq!(
            document["metadata"]["namespace"].as_str(),
            Some("monitoring")
        );
    }
    for part in [
        concat!(
            "image: registry.example.com/certvigil:",
            env!("CARGO_PKG_VERSION")
        ),
        "name: SSLMATE_API_KEY",
        "sslmate: \"*\"",
    ] {
        assert!(built.contains(part), "{part}: {built}");
    }
    assert!(!built.contains("www.example.com"), "{built}");
    let file = folder.path().join("built.yaml");
    fs::write(&file, built).unwrap();
    run(Command::new("kubernetes-validate")
        .arg("--strict")
        .arg(file));
}

#[test]
#[ignore = "needs hadolint"]
fn hadolint_accepts_the_dockerfile() {
    run(Command::new("hadolint").arg(root().join("dist/Dockerfile")));
}

#[test]
#[ignore = "needs shellcheck"]
fn shellcheck_accepts_the_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let gitlab = folder.path().join("gitlab.sh");
    // The flags are split on purpose, but a comment for the linter is not possible in a file that
    // GitLab includes.
    let script = script_of_gitlab().replace(" $CERTVIGIL_ARGS", "");
    fs::write(&gitlab, format!("#!/bin/sh\n{script}")).unwrap();
    let mut scripts = vec![
        gitlab,
        root().join(".ci/run"),
        root().join("dist/debian/postrm"),
    ];
    for place in ["tests", "dist/action", "dist/debian", "dist/hooks"] {
        for entry in fs::read_dir(root().join(place)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "sh") {
                scripts.push(path);
            }
        }
    }
    assert!(scripts.len() > 7, "{scripts:?}");
    run(Command::new("shellcheck").args(scripts));
}
