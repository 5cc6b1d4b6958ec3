"""The benchmarks of several nodes."""
