"""How tests, the demo and pretend phones look into the pretend Google Wallet and disturb it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.google_accounts import Accounts
from sandbox.google_api import Reply
from sandbox.google_errors import ApiError
from sandbox.google_faults import Faults, fault_from
from sandbox.google_save import DEFAULT_USER, SavePage
from sandbox.google_signing import CallbackSender
from sandbox.google_state import WalletState

_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Control:
    """Answers requests below /control/."""

    state: WalletState
    accounts: Accounts
    faults: Faults
    save_page: SavePage
    sender: CallbackSender

    def answer(self, method: str, name: str, query: Mapping[str, str], body: Any) -> Reply:
        """GET changes?since=N&timeout=S, objects/ID, callbacks; POST faults, clear, latency, tokens, remove, repeat."""
        given = body if isinstance(body, dict) else {}
        if method == "GET" and name == "changes":
            timeout = min(float(query.get("timeout", 0)), _LONGEST_WAIT)
            last, changes = self.state.changes(int(query.get("since", 0)), timeout)
            return Reply(200, {"last": last, "changes": changes})
        if method == "GET" and name.startswith("objects/"):
            return Reply(200, self.state.shown(name.removeprefix("objects/")))
        if method == "GET" and name == "callbacks":
            return Reply(200, {"callbacks": self.sender.sent})
        if method == "POST":
            return self._post(name, given)
        raise ApiError(404, f"There is no {method} /control/{name}.")

    def _post(self, name: str, given: dict[str, Any]) -> Reply:
        if name == "faults":
            self.faults.add(fault_from(given))
        elif name == "clear":
            self.faults.clear()
        elif name == "latency":
            self.faults.latency = float(given.get("seconds", 0))
        elif name == "tokens":
            self.accounts.revoke_tokens()
        elif name == "remove":
            return self.save_page.remove(str(given.get("objectId")), str(given.get("user", DEFAULT_USER)))
        elif name == "repeat" and self.sender.sent:
            last = self.sender.sent[-1]
            self.sender.post(last["url"], last["body"].encode())
        else:
            raise ApiError(404, f"There is no POST /control/{name}, or nothing to do.")
        return Reply(200, {})
