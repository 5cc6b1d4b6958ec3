"""Attacks on a server beside people who talk: what each one does, who talks, and what must not happen to them."""
