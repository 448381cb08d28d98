"""Ids of classes and objects: `issuer id.suffix`, and nothing but letters, digits, dots, underscores and hyphens."""

import re

from passes.google.errors import PassError

_ISSUER = re.compile(r"[0-9]{1,20}")
_SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")


def identifier(issuer_id: str, suffix: str) -> str:
    """The full id. Raises PassError when Google would refuse it."""
    if not _ISSUER.fullmatch(issuer_id):
        raise PassError(f"“{issuer_id}” is not an issuer id. It is the number shown in the Google Pay & Wallet Console")
    if not _SUFFIX.fullmatch(suffix):
        raise PassError(
            f"“{suffix}” can't be part of a Google Wallet id: use 1 to 100 letters a-z, digits, dots, underscores "
            "and hyphens"
        )
    return f"{issuer_id}.{suffix}"


def check_identifier(full_id: str) -> str:
    """`full_id` itself. Raises PassError when it is not `issuer id.suffix`."""
    issuer_id, _, suffix = full_id.partition(".")
    return identifier(issuer_id, suffix)


def issuer_of(full_id: str) -> str:
    """The issuer's part of an id; the whole text when it has no dot."""
    return full_id.partition(".")[0]
