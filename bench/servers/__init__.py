"""Servers to measure: ours in a process of its own, scripted ones, and a sink."""
