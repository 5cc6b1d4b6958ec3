"""Nodes that serve the same rooms: what each tells the others, and what it knows of them."""
