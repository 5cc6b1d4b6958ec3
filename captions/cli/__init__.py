"""The commands of `captions`."""
