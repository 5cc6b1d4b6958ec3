"""What goes wrong in a command in a way its user can mend."""

__all__ = ["CommandError"]


class CommandError(Exception):
    """The message is one line that says what to do."""
