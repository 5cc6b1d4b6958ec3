"""Products with the language model's weights, in float32, in int8 or in 4 bits: how each is stored and computed."""

from __future__ import annotations
