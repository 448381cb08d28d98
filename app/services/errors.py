"""How a service says no. The web, the API and the command line show it in the person's own language."""

from collections.abc import Mapping

from app.i18n import Translator


class Refused(Exception):
    """The request cannot be met, and nothing was changed.

    `kind` is a stable word for machines (the last part of the API's problem type). `message` is an English text to
    translate, with %(name)s placeholders for `params`. `field` names the form field that is to be mended.
    `status` is the HTTP status that says the same.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        params: Mapping[str, object] | None = None,
        *,
        field: str = "",
        status: int = 422,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.message = message
        self.field = field
        self.status = status
        self.params = dict(params or {})

    def text(self, translator: Translator) -> str:
        return translator.gettext(self.message, **self.params)

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message


class InvalidForm(Exception):
    """Several fields of one form are wrong: field name → what to do about it."""

    def __init__(self, errors: dict[str, Refused]) -> None:
        super().__init__("\n".join(f"{field}: {error}" for field, error in errors.items()))
        self.errors = errors
