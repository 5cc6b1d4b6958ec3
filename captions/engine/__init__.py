"""Listener and runner, the two threads that turn packets into words, behind one door for the event loop."""
