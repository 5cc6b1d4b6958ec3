"""The protocol of Kyutai's Rust server: one track a connection."""
