"""The pretend walletobjects v1: who may ask, what is asked, alone or in a batch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.google_accounts import Accounts
from sandbox.google_errors import ApiError
from sandbox.google_faults import Fault, Faults
from sandbox.google_state import WalletState

LARGEST_BATCH = 1000
_PATH = re.compile(r"/walletobjects/v1/(loyaltyClass|loyaltyObject|offerClass|offerObject)(?:/([^/]+)(/addMessage)?)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered. `body` is JSON, or text as it is with another content type."""

    status: int
    body: Any = None
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] | None = None

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()


def reply_to(error: ApiError) -> Reply:
    """Google's answer for an error."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return Reply(error.status, error.json(), headers=headers)


@dataclass(slots=True)
class WalletApi:
    """Answers requests below /walletobjects/v1 and /batch."""

    state: WalletState
    accounts: Accounts
    faults: Faults

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> tuple[Reply, Fault | None]:
        """The answer, and the fault that it should meet on its way. Raises ApiError and Drop."""
        parts = urlsplit(target)
        late_fault = self.faults.before(parts.path)
        email = self.accounts.holder(authorization)
        if email is None:
            raise ApiError(401, "Request had invalid authentication credentials.")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return Reply(200, self._carry_out(email, method, parts.path, query, _json(body))), late_fault

    def batch(self, content_type: str, authorization: str, body: bytes) -> Reply:
        """A batch: each part is answered as if it had come alone. Raises ApiError and Drop for the whole."""
        self.faults.before("/batch")
        if self.accounts.holder(authorization) is None:
            raise ApiError(401, "Request had invalid authentication credentials.")
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
        whole = BytesParser(policy=HTTP).parsebytes(head + body)
        parts = list(whole.iter_parts()) if whole.is_multipart() else []
        if not 0 < len(parts) <= LARGEST_BATCH:
            raise ApiError(400, f"A batch must have 1 to {LARGEST_BATCH} parts.")
        boundary = "batch_of_answers"
        answers = []
        for part in parts:
            payload = part.get_payload(decode=True)
            reply = self._part(payload if isinstance(payload, bytes) else b"", authorization)
            name = str(part.get("Content-ID", "")).strip().strip("<>")
            answers.append(_encoded_part(boundary, name, reply))
        content = b"".join(answers).decode("utf-8") + f"--{boundary}--\r\n"
        return Reply(200, content, f"multipart/mixed; boundary={boundary}")

    def _part(self, payload: bytes, authorization: str) -> Reply:
        line, _, rest = payload.lstrip(b"\r\n").partition(b"\r\n")
        words = line.decode("latin-1").split()
        inner = BytesParser(policy=HTTP).parsebytes(rest)
        content = inner.get_payload(decode=True)
        try:
            if len(words) < 2:
                raise ApiError(400, "A part of the batch has no request line.")
            body = content.rstrip(b"\r\n") if isinstance(content, bytes) else b""
            return self.answer(words[0], words[1], str(inner.get("Authorization", authorization)), body)[0]
        except ApiError as error:
            return reply_to(error)

    def _carry_out(self, email: str, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        match = _PATH.fullmatch(path)
        if match is None:
            raise ApiError(404, f"{path} was not found.")
        resource, resource_id, add_message = match.groups()
        owned = resource_id or query.get("issuerId") or query.get("classId") or _id_in(body)
        self._let_in(email, owned)
        if method == "GET" and resource_id is None:
            return {"resources": self.state.listed(resource, owned, int(query.get("maxResults", 100)))}
        if method == "GET":
            return self.state.get(resource, resource_id)
        if method == "POST" and resource_id is None:
            return self.state.insert(resource, body)
        if method == "POST" and add_message:
            return self.state.add_message(resource, resource_id, body)
        if method in ("PATCH", "PUT") and resource_id is not None and not add_message:
            return self.state.change(resource, resource_id, body, whole=method == "PUT")
        raise ApiError(404, f"{method} {path} was not found.")

    def _let_in(self, email: str, owned_id: str) -> None:
        issuer_id = owned_id.partition(".")[0]
        if not self.accounts.may_act_for(email, issuer_id):
            raise ApiError(403, "Permission Denied")
        self.state.count_request(issuer_id)


def _json(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise ApiError(400, "Invalid JSON payload received.") from None


def _id_in(body: Any) -> str:
    value = body.get("id") if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise ApiError(400, "Invalid resource ID: None.", "invalidResource")
    return value


def _encoded_part(boundary: str, name: str, reply: Reply) -> bytes:
    extra = "".join(f"{header}: {value}\r\n" for header, value in (reply.headers or {}).items())
    head = (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{name}>\r\n\r\n"
        f"HTTP/1.1 {reply.status} -\r\nContent-Type: {reply.content_type}\r\n{extra}\r\n"
    )
    return head.encode() + reply.content + b"\r\n"
