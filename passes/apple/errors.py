"""What goes wrong when a pass is built."""


class PassError(Exception):
    """A pass can't be made of these values. The text says in plain words which value, and what would do."""
