# The commands of daily work: `just check`, `just test`.

check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test:
    tests/run

deny:
    cargo deny --config .deny.toml check
