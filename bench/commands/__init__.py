"""The harness's subcommands, one module each, thin: they run, compute by bench/measure, and keep a result."""
