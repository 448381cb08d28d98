"""The page behind 'Add to Google Wallet': checks the link as Google does, and puts the card on a pretend phone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any

from passes.google.save_link import MOST_CHARACTERS
from sandbox.google_accounts import Accounts
from sandbox.google_api import Reply
from sandbox.google_errors import ApiError
from sandbox.google_jwt import BadToken, read
from sandbox.google_signing import CallbackSender, CallbackSigner
from sandbox.google_state import WalletState

GOOGLES_PAGE = "https://pay.google.com/gp/v/save/"
DEFAULT_USER = "phone-1"
"""Whose phone it is when nobody says so."""
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(slots=True)
class SavePage:
    """Saves and removes cards for pretend users, and tells the issuer."""

    state: WalletState
    accounts: Accounts
    signer: CallbackSigner
    sender: CallbackSender

    def show(self, token: str) -> Reply:
        """The page with the button. Raises ApiError for a link that Google would refuse."""
        shown = [self.state.shown(object_id) for object_id in self.check(token)]
        names = ", ".join(f"{_name(one['class'])} – {one['class']['issuerName']}" for one in shown)
        phone = f"<label>Phone <input name='user' value='{DEFAULT_USER}'></label>"
        return _page(
            f"<h1>{escape(names)}</h1><form method='post'>{phone} <button>Add to Google Wallet</button></form>"
        )

    def save(self, token: str, user: str, as_page: bool = False) -> Reply:
        """Put the card on the user's phone and call the issuer back. Raises ApiError. `as_page` is for browsers."""
        object_ids = self.check(token)
        for object_id in object_ids:
            self.state.save(object_id, user)
            self._tell_issuer("save", object_id)
        if as_page:
            return _page(f"<h1>The card is on {escape(user)}</h1>")
        return Reply(200, {"saved": object_ids, "user": user})

    def remove(self, object_id: str, user: str) -> Reply:
        """Take the card from the user's phone and call the issuer back. Raises ApiError."""
        self.state.remove(object_id, user)
        self._tell_issuer("del", object_id)
        return Reply(200, {"removed": object_id, "user": user})

    def check(self, token: str) -> list[str]:
        """The ids of the objects in a link. Raises ApiError 400, 403 or 404 for what Google would refuse."""
        if len(GOOGLES_PAGE) + len(token) > MOST_CHARACTERS:
            raise ApiError(400, f"The link has more than {MOST_CHARACTERS} characters.")
        try:
            claims = read(token, lambda claims: self.accounts.verifier(str(claims.get("iss"))))
        except BadToken as error:
            raise ApiError(400, str(error)) from None
        if claims.get("aud") != "google" or claims.get("typ") != "savetowallet":
            raise ApiError(400, "The JWT's aud must be google and its typ savetowallet.")
        issued = claims.get("iat")
        latest = (self.state.now() + _CLOCK_SKEW).timestamp()
        if isinstance(issued, bool) or not isinstance(issued, int) or issued > latest:
            raise ApiError(400, "The JWT's iat must be a whole number of seconds, and not in the future.")
        if not isinstance(claims.get("origins"), list):
            raise ApiError(400, "The JWT's origins must be a list.")
        return [
            self._known(resource, entry, claims["iss"])
            for resource, entries in _objects(claims.get("payload")).items()
            for entry in entries
        ]

    def _known(self, resource: str, entry: Any, email: str) -> str:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise ApiError(400, "An object in the JWT has no id.")
        if not self.accounts.may_act_for(email, entry["id"].partition(".")[0]):
            raise ApiError(403, "Permission Denied")
        found = self.state.get(resource, entry["id"])
        if entry.get("classId", found["classId"]) != found["classId"]:
            raise ApiError(400, "The JWT names another class than the object has.")
        return str(entry["id"])

    def _tell_issuer(self, event: str, object_id: str) -> None:
        shown = self.state.shown(object_id)
        url = (shown["class"].get("callbackOptions") or {}).get("url")
        if url:
            self.sender.post(url, self.signer.event(event, shown["class"]["id"], object_id))


def _page(content: str) -> Reply:
    return Reply(
        200,
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Google Wallet (sandbox)</title>{content}"
        "<p>A pretend Google Wallet. Nothing leaves this machine.</p></html>",
        "text/html; charset=UTF-8",
    )


def _objects(payload: Any) -> dict[str, list[Any]]:
    """Resource → what the link has of it."""
    given = payload if isinstance(payload, dict) else {}
    found = {resource: given.get(f"{resource}s") or [] for resource in ("loyaltyObject", "offerObject")}
    if not all(isinstance(entries, list) for entries in found.values()) or not any(found.values()):
        raise ApiError(400, "The JWT's payload has neither loyaltyObjects nor offerObjects.")
    return found


def _name(shown: Mapping[str, Any]) -> str:
    return str(shown.get("programName") or shown.get("title"))
