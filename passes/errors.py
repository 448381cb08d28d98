"""What a person typed or uploaded and we cannot use."""

from collections.abc import Mapping


class InputError(ValueError):
    """A plain sentence for whoever gave the input.

    `message` is the English sentence, which is also the key of its translations, with %(name)s placeholders for
    `params`. str(error) is the filled English sentence.
    """

    def __init__(self, message: str, params: Mapping[str, object] | None = None) -> None:
        self.message = message
        self.params = dict(params or {})
        super().__init__(message % self.params if self.params else message)
