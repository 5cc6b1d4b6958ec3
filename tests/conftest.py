"""Fixtures of more than one test module."""
