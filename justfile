# Thin recipes for `just`. Nothing requires them: each is the command that the documents name.

default:
    @just --list

# Formatting and lints, as CI has them.
check:
    cargo fmt --all --check && cargo clippy --workspace --all-targets --all-features -- -D warnings

# All tests that need no further tools; with arguments only some: `just test --test it log::`.
test *ARGS:
    cargo test {{ARGS}}

# Everything that CI runs.
ci:
    .ci/run

# The whole system on this machine.
dev *ARGS:
    cargo run -- dev {{ARGS}}

# The binary for production: target/release/chatting-server.
release:
    cargo build --release --package chatting-server

# The binary, packages, an SBOM and checksums: target/dist.
dist *ARGS:
    deploy/release {{ARGS}}

# The documentation of the code: target/doc.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
