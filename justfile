# Short names for daily work. `just` lists them; none is needed, each is one command.

_default:
    @just --list --unsorted

# Every check, against real servers
test *args:
    scripts/test {{ args }}

# The same without chaos tests and documentation
fast *args:
    scripts/test fast {{ args }}

# Private PostgreSQL, Redis and RabbitMQ: up, down, env, status
services action="up":
    scripts/services {{ action }}

# The demo, as the README starts it
demo *args:
    cargo run --release -- demo {{ args }}

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    shellcheck -x scripts/services scripts/test scripts/lib/*.sh benches/load/run benches/peers/run benches/peers/lib.sh crates/windlass/benches/run .ci/run

# Benchmarks, against the private servers
bench *args:
    scripts/services up
    eval "$(scripts/services env)" && cargo bench --workspace --all-features --locked {{ args }}

# The engine beside its peers: --quick, --only NAME,NAME
peers *args:
    benches/peers/run {{ args }}

# Load on the API, which asserts its budgets
load *args:
    benches/load/run {{ args }}

# Advisories, licences and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check
