"""The real clients of the doors, from PyPI: a clip through each in real time, to a log of what was sent and seen."""
