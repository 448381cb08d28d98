"""The service account: who we are to Google. Its file comes from Google Cloud (see docs/google-wallet.md)."""

import json
from pathlib import Path
from typing import Any

from google.oauth2 import service_account

from passes.google.errors import AccountError

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
_NEEDED = ("client_email", "private_key", "token_uri")


class Account(service_account.Credentials):
    """Credentials that sign and fetch access tokens, and do nothing else behind our back."""

    def _is_regional_access_boundary_lookup_required(self) -> bool:
        # google-auth (2.62) would start a thread that asks iamcredentials.googleapis.com for regional limits with our
        # access token. Wallet has no regional hosts, and the sandbox's tokens must never leave this machine.
        return False

    @property
    def email(self) -> str:
        """The account's address, which is also the issuer of save links. `signer` signs them."""
        return str(self.service_account_email)


def load(path: Path) -> Account:
    """The account in this JSON file. Raises AccountError in plain words when it can't be used."""
    try:
        info = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise AccountError(f"The service account's file {path} can't be read: {error.strerror}") from None
    except ValueError:
        raise AccountError(f"{path} is not JSON. Download the service account's key as JSON anew") from None
    return from_info(info, str(path))


def from_info(info: Any, name: str = "The service account's file") -> Account:
    """The account with these values, as the JSON file has them. Raises AccountError."""
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise AccountError(
            f"{name} is not a service account's key. In Google Cloud: IAM → Service accounts → Keys → Add key → JSON"
        )
    missing = [field for field in _NEEDED if not isinstance(info.get(field), str) or not info[field]]
    if missing:
        raise AccountError(f"{name} lacks {', '.join(missing)}. Download the key as JSON anew, and don't edit it")
    try:
        account: Account = Account.from_service_account_info(info, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except ValueError:
        raise AccountError(f"The private key in {name} is damaged. Download the key as JSON anew") from None
    return account
