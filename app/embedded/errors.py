"""What can go wrong with the embedded engines, in plain words."""


class EnginesError(Exception):
    """The engines can't run; the text says what is wrong and what to do."""
