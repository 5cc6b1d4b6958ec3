"""Kyutai's model run by onnxruntime on a CPU, from graphs that are built from the checkpoint's own files."""
