# `make test` and `make lint` are what CI runs (.ci/run). Everything but the Debian packages of `make test`
# and the installation of cargo-deny needs nothing but cargo and what Cargo.lock names.

CARGO ?= cargo
# Tools that the checks need and that are not on PATH are kept here, so that a CI cache of target/ has them.
TOOLS := $(CURDIR)/target/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DEB_VERSION := 3.8.0
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_FUZZ_VERSION := 0.13.2

# How long each fuzz target runs, and which do.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# What measures holds thousands of connections at both ends, and shells have less room than they may: all that there may be.
DESCRIPTORS := ulimit -n $$(ulimit -Hn)

export PATH := $(PATH):$(TOOLS)/bin:$(TOOLS)/python/bin

# No Debian package has a kubectl of these years.
SKIPPED := $(if $(shell command -v kubectl),,--skip an_overlay_of_kustomize)

.PHONY: run test packages clients lint deny advisories bench bench-packages bench-scale soak fuzz deb cargo-deb linters static sbom

# Everything, offline: wrong servers of every kind, and what certvigil says of each.
run:
	$(CARGO) run --release --locked -- demo

test: packages cargo-deb linters
	$(CARGO) test --locked -- --include-ignored $(SKIPPED)

# The servers that the ignored tests talk to.
packages:
	sh tests/packages.sh

# Serves the corpus of certificate paths to six real clients and writes their answers to tests/clients/data.
# `CLIENTS_CASES=nc make clients` only prints the answers to the cases whose names contain "nc".
clients:
	sh tests/packages.sh tests/packages-clients.txt
	CLIENTS_RECORD=1 $(CARGO) test --locked --test clients clients_answer_as_recorded -- --ignored --nocapture
	CERTVIGIL_REWRITE=1 $(CARGO) test --locked --test clients page

lint: deny
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked
	$(CARGO) deny --locked check bans licenses sources

# The tool is built once, without optimisation: that halves the time, and a check still takes two seconds.
# It is not put into the user's own ~/.cargo.
deny:
	@command -v cargo-deny >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" cargo-deny@$(CARGO_DENY_VERSION)
	@rm -rf "$(TOOLS)/build"

# Needs the network, and may fail though nothing here has changed: not part of `lint`.
advisories: deny
	$(CARGO) deny --locked check advisories

# The Debian package, into target/deb.
deb: cargo-deb
	$(CARGO) build --release --locked
	sh dist/debian/build.sh target/release/certvigil target/deb

# What it packs with (half a minute to build); its compression of its own is left out, dpkg-deb's is used.
cargo-deb:
	@command -v cargo-deb >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --no-default-features \
			--root "$(TOOLS)" cargo-deb@$(CARGO_DEB_VERSION)
	@rm -rf "$(TOOLS)/build"

# What knows the files of dist/ that other programs read: schemas of GitHub, GitLab, Compose and Kubernetes, and a linter of
# recipes of images.
linters: $(TOOLS)/python/made

$(TOOLS)/python/made: tests/linters.txt
	python3 -m venv "$(TOOLS)/python"
	"$(TOOLS)/python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/linters.txt
	@touch "$@"

# One file for any Linux: linked with the C library too. With a target named, build scripts and macros are linked as ever.
HOST = $(shell rustc --print host-tuple)
STATIC_TARGET ?= $(HOST)
static:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --target $(STATIC_TARGET)
	@if ldd target/$(STATIC_TARGET)/release/certvigil 2>/dev/null | grep '=>'; then echo "not static" >&2; exit 1; fi
	@echo target/$(STATIC_TARGET)/release/certvigil

# Which crates are in the program, in the format of CycloneDX: target/certvigil.cdx.json
sbom:
	@command -v cargo-cyclonedx >/dev/null || \
		CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install --debug --locked --root "$(TOOLS)" \
			cargo-cyclonedx@$(CARGO_CYCLONEDX_VERSION)
	@rm -rf "$(TOOLS)/build"
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(CARGO) cyclonedx --format json --spec-version 1.5 --target $(HOST) --no-build-deps --describe binaries
	mv certvigil_bin.cdx.json target/certvigil.cdx.json

# What looking costs, against other programs and against bare loops: some ten minutes. It writes docs/performance.md, but
# where BENCH picks some of it, as in `BENCH=check,dns make bench`, or BENCH_ROUNDS or BENCH_BINARY is set;
# benches/performance/main.rs says more.
bench: bench-packages
	$(DESCRIPTORS) && $(CARGO) bench --locked --bench performance
ifndef BENCH
	$(CARGO) bench --locked --bench judge
endif

bench-packages:
	sh tests/packages.sh benches/packages.txt

# A hundred thousand endpoints, by one monitor and by three replicas behind a real Prometheus: some ten minutes. It writes
# docs/scale.md; `SCALE_ENDPOINTS=2000 SCALE_SECONDS=30 make bench-scale` is a quick try.
bench-scale: bench-packages
	$(DESCRIPTORS) && $(CARGO) bench --locked --bench performance -- scale

# The monitor for an hour (SOAK_SECONDS) over two thousand endpoints that fail in every way: is every verdict right, and does it grow?
# benches/soak/main.rs says what can be set. The lab listens at each address by itself.
soak:
	$(DESCRIPTORS) && $(CARGO) bench --locked --bench soak

# Each fuzz target over its seeds and what earlier runs have found: stops at the first crash. A stable toolchain does,
# since there is no `unsafe` here that a sanitizer could look into. What is fuzzed has the versions that are shipped.
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
