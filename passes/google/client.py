"""Keeps classes and objects at Google Wallet (walletobjects v1) as we want them.

Every call says what became of it (see passes.google.outcome) and never raises for what the network or Google does.
Nothing is retried here but what Google's answer itself asks for: the caller owns retries.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.auth.transport.requests import Request as TokenRequest
from requests import Session
from requests.exceptions import RequestException

from passes.google import batch
from passes.google.account import Account
from passes.google.calls import ROOT, Call, Resource, follow_up
from passes.google.outcome import KEY_REFUSED, NO_ANSWER, TOKEN_UNAVAILABLE, Answer, Outcome, outcome
from passes.google.texts import Json

BASE_URL = "https://walletobjects.googleapis.com"
LARGEST_BATCH = 20
"""Calls in one batch: as many as an issuer may make in one second."""
_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class ObjectPut:
    """An object that Google should have. With `notify`, phones tell of the change (at most three times in 24 hours)."""

    body: Json
    notify: bool = False
    new: bool = False
    """Google does not have it yet, as far as we know: saves one call."""
    resource: Resource = "loyaltyObject"


@dataclass(frozen=True, slots=True)
class MessagePut:
    """A message (see passes.google.objects.message) that an object's card should have."""

    object_id: str
    message: Json
    notify: bool = False


def _no_pace(calls: int) -> None:
    """For callers that make few calls."""


class GoogleWallet:
    """One connection to Google. Use one per thread; close it when done.

    `pace` is called with the number of calls before they are made, and may sleep: an issuer has 20 a second.
    `ca_bundle` is the file of the authority that a sandbox's certificate is from. `timeout` is in seconds and holds for
    each of connecting, and waiting for the answer's next bytes.
    """

    def __init__(
        self,
        account: Account,
        *,
        pace: Callable[[int], None] = _no_pace,
        base_url: str = BASE_URL,
        ca_bundle: str | None = None,
        timeout: float = _TIMEOUT,
    ) -> None:
        self.account = account
        self._pace, self._base_url, self._timeout = pace, base_url.rstrip("/"), timeout
        self._token_session = Session()
        self._session = AuthorizedSession(account, auth_request=_TokenRequest(self._token_session))
        if ca_bundle is not None:
            for session in (self._session, self._token_session):
                # REQUESTS_CA_BUNDLE in the environment would otherwise win over the session's own bundle.
                session.trust_env, session.verify = False, ca_bundle

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        self._token_session.close()

    def put_class(self, body: Json, new: bool = False, resource: Resource = "loyaltyClass") -> Outcome:
        """Make or change the class (see passes.google.objects.loyalty_class and passes.google.offers.offer_class)."""
        return self._carry_out(Call("insert" if new else "patch", resource, body["id"], body))

    def put_object(
        self, body: Json, notify: bool = False, new: bool = False, resource: Resource = "loyaltyObject"
    ) -> Outcome:
        """Make or change the object. The code `class_missing` says that its class must be put first."""
        return self._carry_out(_object_call(ObjectPut(body, notify, new, resource)))

    def put_objects(self, puts: Sequence[ObjectPut]) -> list[Outcome]:
        """Make or change many objects, in batches; the outcomes are in the order of `puts`.

        Two puts of the same object in one call may be carried out in either order: merge them before.
        """
        results: list[Outcome] = []
        for start in range(0, len(puts), LARGEST_BATCH):
            results += self._carry_out_together([_object_call(put) for put in puts[start : start + LARGEST_BATCH]])
        return results

    def add_message(self, object_id: str, message: Json, notify: bool = False) -> Outcome:
        """Add a message to the object's card. With `notify`, phones tell of it, while the quota lasts."""
        return self._carry_out(Call("addMessage", "loyaltyObject", object_id, message, notify))

    def add_messages(self, messages: Sequence[MessagePut]) -> list[Outcome]:
        """Add a message to each of many cards, in batches; the outcomes are in the order of `messages`."""
        calls = [Call("addMessage", "loyaltyObject", one.object_id, one.message, one.notify) for one in messages]
        results: list[Outcome] = []
        for start in range(0, len(calls), LARGEST_BATCH):
            results += self._carry_out_together(calls[start : start + LARGEST_BATCH])
        return results

    def get(self, resource: Resource, resource_id: str) -> tuple[Outcome, Json]:
        """The class or object as Google has it; empty unless the outcome is DONE."""
        answer = self._ask("GET", f"{ROOT}{resource}/{resource_id}", None)
        return self._read(answer)

    def check(self, issuer_id: str) -> Outcome:
        """Whether the account may act for the issuer: asks for one class. For `leima doctor`."""
        answer = self._ask("GET", f"{ROOT}loyaltyClass?issuerId={issuer_id}&maxResults=1", None)
        return self._read(answer)[0]

    def _read(self, answer: Answer | Outcome) -> tuple[Outcome, Json]:
        if isinstance(answer, Outcome):
            return answer, {}
        result = outcome(answer)
        return result, answer.body if result.delivered and isinstance(answer.body, dict) else {}

    def _carry_out(self, call: Call) -> Outcome:
        while True:
            answer = self._ask(call.method, call.path, call.json)
            step = answer if isinstance(answer, Outcome) else follow_up(call, answer)
            if isinstance(step, Outcome):
                return step
            call = step

    def _carry_out_together(self, calls: Sequence[Call]) -> list[Outcome]:
        if len(calls) == 1:
            return [self._carry_out(calls[0])]
        results: list[Outcome] = [NO_ANSWER] * len(calls)
        open_calls = dict(enumerate(calls))
        while open_calls:
            answers = self._ask_together(list(open_calls.values()))
            steps = {}
            for (number, call), answer in zip(list(open_calls.items()), answers, strict=True):
                step = answer if isinstance(answer, Outcome) else follow_up(call, answer)
                if isinstance(step, Outcome):
                    results[number] = step
                else:
                    steps[number] = step
            open_calls = steps
        return results

    def _ask(self, method: str, path: str, body: Json | None) -> Answer | Outcome:
        self._pace(1)
        return self._request(method, path, json=body)

    def _ask_together(self, calls: list[Call]) -> Sequence[Answer | Outcome]:
        self._pace(len(calls))
        boundary = f"batch_{secrets.token_hex(16)}"
        answer = self._request(
            "POST",
            "/batch",
            data=batch.encode(calls, boundary),
            headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
        )
        if isinstance(answer, Outcome):
            return [answer] * len(calls)
        if answer.status != 200:
            return [outcome(answer)] * len(calls)
        if not isinstance(answer.body, tuple):
            return [NO_ANSWER] * len(calls)
        content_type, content = answer.body
        return [part or NO_ANSWER for part in batch.decode(content_type, content, len(calls))]

    def _request(self, method: str, path: str, **content: Any) -> Answer | Outcome:
        try:
            response = self._session.request(
                method, self._base_url + path, timeout=self._timeout, allow_redirects=False, **content
            )
        except RefreshError as error:
            return TOKEN_UNAVAILABLE if error.retryable else KEY_REFUSED
        except TransportError:
            return TOKEN_UNAVAILABLE
        except (RequestException, GoogleAuthError):
            return NO_ANSWER
        content_type = response.headers.get("Content-Type", "")
        multipart = content_type.startswith("multipart/")
        body = (content_type, response.content) if multipart else batch.json_or_none(response.content)
        return Answer(response.status_code, body, batch.seconds(response.headers.get("Retry-After")))


def _object_call(put: ObjectPut) -> Call:
    return Call("insert" if put.new else "patch", put.resource, put.body["id"], put.body, put.notify)


class _TokenRequest(TokenRequest):
    """Asks for access tokens, once. google-auth itself would sleep and try three times, with a worker waiting."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        response = super().__call__(*args, **kwargs)  # type: ignore[no-untyped-call]
        if response.status == 429 or response.status >= 500:
            raise TransportError(f"The token endpoint answered {response.status}")
        return response
