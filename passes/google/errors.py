"""What goes wrong with Google Wallet before anything is sent, and with what Google sends us."""


class PassError(Exception):
    """A class, object or link can't be made of these values. The text says which value, and what would do."""


class CallbackError(Exception):
    """A callback is not Google's, not ours or too old. `code` is a short stable word for logs and counters."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class KeysUnavailable(Exception):
    """Google's root keys could not be fetched. Try again later: callbacks are sent again."""


class AccountError(Exception):
    """The service account's file can't be used. The text says what it should be."""
