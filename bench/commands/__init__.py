"""The harness's subcommands, one module each, thin: they run, compute by metrics.py, and keep a result."""
