"""Kyutai's model run by PyTorch and the moshi package, on CUDA or a CPU."""
