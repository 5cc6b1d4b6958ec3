"""Kyutai's model against moshi's own loop and other implementations: exactness and cost."""
