# CI runs `make lint` and `make test` (.ci/run). Except for the Debian packages of `make test` and the installation of
# cargo-deny, all targets need only cargo and the crates in Cargo.lock.

CARGO ?= cargo
# Directory of tools that the checks need and that are not on PATH. A CI cache of target/ includes it.
TOOLS := $(CURDIR)/target/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DEB_VERSION := 3.8.0
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_FUZZ_VERSION := 0.13.2
CARGO_SEMVER_CHECKS_VERSION := 0.51.0

# Duration of each fuzz target in seconds, and the targets to run.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# Benchmarks hold thousands of connections at both ends. This raises the descriptor limit to its maximum.
DESCRIPTORS := ulimit -n $$(ulimit -Hn)

# Where cargo writes what it builds.
BUILT := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

export PATH := $(PATH):$(TOOLS)/bin:$(TOOLS)/python/bin

# Most tests wait for servers, so three times as many as processors take less time.
export RUST_TEST_THREADS ?= $(shell expr 3 '*' $$(nproc))

# Measurements cannot fail. No Debian package has a current kubectl.
SKIPPED := --skip capacity_cost --skip page_cost --skip publish_cost $(if $(shell command -v kubectl),,--skip kustomize_overlay)

.PHONY: run test packages clients lint words deny advisories semver features bench bench-packages bench-scale soak fuzz deb release cargo-cyclonedx cargo-deb linters static sbom

# The demo, offline: faulty servers of every kind, and the result of each.
run:
	$(CARGO) run --release --locked -- demo

test: packages cargo-deb linters
	$(CARGO) test --workspace --locked -- --include-ignored $(SKIPPED)

# The servers for the ignored tests.
packages:
	sh tests/packages.sh

# Serves the corpus of certificate paths to six real clients and records their results in tests/servers/clients/data.
# `CLIENTS_CASES=nc make clients` only prints the results of the cases whose names contain "nc".
clients:
	sh tests/packages.sh tests/packages-clients.txt
	CLIENTS_RECORD=1 $(CARGO) test --locked --test servers clients_answer_as_recorded -- --ignored --nocapture
	CERTVIGIL_REWRITE=1 $(CARGO) test --locked --test servers clients::page

lint: deny words features
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	$(CARGO) deny --locked check bans licenses sources

# The program without the parts that a package may leave out: docs/installing.md lists the features.
features:
	$(CARGO) clippy --package certvigil --locked --no-default-features -- -D warnings
	$(CARGO) clippy --package certvigil --locked --no-default-features --features h3 -- -D warnings
	$(CARGO) clippy --package certvigil --locked --no-default-features --features serve -- -D warnings

# Words that documentation and comments do not use: tests/words.txt.
words:
	sh tests/words.sh

# The tool is built once, without optimisation: that halves the time, and a check still takes two seconds.
# It is not installed into ~/.cargo.
deny:
	@command -v cargo-deny >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" cargo-deny@$(CARGO_DENY_VERSION)
	@rm -rf "$(TOOLS)/build"

# Needs the network, and may fail without a change in the repository: not part of `lint`.
advisories: deny
	$(CARGO) deny --locked check advisories

# Breaking changes of the library certvigil-core since the last tag, or since SEMVER_BASELINE.
semver:
	@command -v cargo-semver-checks >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" \
			cargo-semver-checks@$(CARGO_SEMVER_CHECKS_VERSION)
	@rm -rf "$(TOOLS)/build"
	$(CARGO) semver-checks --package certvigil-core \
		--baseline-rev $(or $(SEMVER_BASELINE),$(shell git describe --tags --abbrev=0))

# The Debian package, into target/deb, or into deb below CARGO_TARGET_DIR.
deb: cargo-deb
	$(CARGO) build --profile dist --locked --package certvigil --package xtask
	$(BUILT)/dist/xtask man $(BUILT)/man
	sh dist/debian/build.sh $(BUILT)/dist/certvigil $(BUILT)/man $(BUILT)/deb

# The packaging tool (half a minute to build), without its own compression: dpkg-deb compresses.
cargo-deb:
	@command -v cargo-deb >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --no-default-features \
			--root "$(TOOLS)" cargo-deb@$(CARGO_DEB_VERSION)
	@rm -rf "$(TOOLS)/build"

# Checkers of the files in dist/: schemas of GitHub, GitLab, Compose and Kubernetes, and a Dockerfile linter.
linters: $(TOOLS)/python/made

$(TOOLS)/python/made: tests/linters.txt
	python3 -m venv "$(TOOLS)/python"
	"$(TOOLS)/python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/linters.txt
	@touch "$@"

# A static executable for any Linux. With an explicit target, build scripts and macros are linked dynamically.
HOST = $(shell rustc --print host-tuple)
STATIC_TARGET ?= $(HOST)
static:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --profile dist --locked --target $(STATIC_TARGET)
	@if ldd $(BUILT)/$(STATIC_TARGET)/dist/certvigil 2>/dev/null | grep '=>'; then echo "not static" >&2; exit 1; fi
	@echo $(BUILT)/$(STATIC_TARGET)/dist/certvigil

# The files of a release, reproducibly, into target/release-VERSION (RELEASING.md).
release: cargo-deb cargo-cyclonedx
	sh dist/release.sh $(BUILT)/release-$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

cargo-cyclonedx:
	@command -v cargo-cyclonedx >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" \
			cargo-cyclonedx@$(CARGO_CYCLONEDX_VERSION)
	@rm -rf "$(TOOLS)/build"

# The software bill of materials in CycloneDX format: target/certvigil.cdx.json
sbom: cargo-cyclonedx
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(CARGO) cyclonedx --format json --spec-version 1.5 --target $(HOST) --no-build-deps --describe binaries
	mv certvigil_bin.cdx.json target/certvigil.cdx.json

# The cost of probes, against other programs and minimal loops: about ten minutes. Writes docs/performance.md, except if BENCH
# selects a part, as in `BENCH=check,dns make bench`, or BENCH_ROUNDS or BENCH_BINARY is set; see benches/performance/main.rs.
bench: bench-packages
	$(DESCRIPTORS) && $(CARGO) bench --profile dist --locked --bench performance
ifndef BENCH
	$(CARGO) bench --profile dist --locked --bench judge
endif

bench-packages:
	sh tests/packages.sh benches/packages.txt

# A hundred thousand endpoints, with one monitor and with three replicas behind a real Prometheus: about ten minutes. Writes
# docs/scale.md; `SCALE_ENDPOINTS=2000 SCALE_SECONDS=30 make bench-scale` is a short run, and
# `SCALE_ENDPOINTS=1000000 make bench-scale` measures one monitor only.
bench-scale: bench-packages
	$(DESCRIPTORS) && $(CARGO) bench --profile dist --locked --bench performance -- scale

# The monitor for an hour (SOAK_SECONDS) with two thousand endpoints that fail in every way: checks every result and the memory use.
# See benches/soak/main.rs for the settings.
soak:
	$(DESCRIPTORS) && $(CARGO) bench --profile dist --locked --bench soak

# Each fuzz target with its seeds and the corpus of earlier runs; stops at the first crash. A stable toolchain suffices, because
# there is no `unsafe` code for a sanitizer. The dependencies have the released versions.
fuzz:
	@command -v cargo-fuzz >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@rm -rf "$(TOOLS)/build"
	cp Cargo.lock fuzz/Cargo.lock
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) fuzz run --sanitizer none --codegen-units 16 $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-dict=fuzz/dictionaries/$$target.dict -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1; \
	done
