"""Bytes to frames, words to segments: the stages that know nothing of sockets, threads or clocks."""
