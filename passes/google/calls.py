"""Calls to walletobjects v1, and which call follows on an answer: 404 on PATCH → insert, 409 on insert → PATCH, and
a used-up quota of notifications → the same, silently."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from passes.google.outcome import DONE, QUOTA, Answer, Outcome, outcome
from passes.google.texts import Json, without_nulls

Resource: TypeAlias = Literal["loyaltyClass", "loyaltyObject", "offerClass", "offerObject"]
Verb: TypeAlias = Literal["insert", "patch", "addMessage"]

ROOT = "/walletobjects/v1/"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, not yet made. `body` is the class, the object or the message."""

    verb: Verb
    resource: Resource
    resource_id: str
    body: Json
    notify: bool = False
    made_silent: bool = False
    tried: frozenset[Verb] = field(default=frozenset())

    @property
    def method(self) -> str:
        return "PATCH" if self.verb == "patch" else "POST"

    @property
    def path(self) -> str:
        base = ROOT + self.resource
        if self.verb == "insert":
            return base
        return f"{base}/{self.resource_id}" + ("/addMessage" if self.verb == "addMessage" else "")

    @property
    def json(self) -> Json:
        """What is sent. The preference holds for one call only, so it is part of each call that should notify."""
        if self.verb == "addMessage":
            kind = "TEXT_AND_NOTIFY" if self.notify else "TEXT"
            return {"message": self.body | {"messageType": kind}}
        if self.verb == "insert":
            inserted: Json = without_nulls(self.body)
            return inserted
        return self.body | {"notifyPreference": "NOTIFY_ON_UPDATE"} if self.notify else self.body


def follow_up(call: Call, answer: Answer) -> Call | Outcome:
    """What comes after this answer: another call, or the end."""
    tried = call.tried | {call.verb}
    if call.notify and answer.notification_quota_used_up:
        return replace(call, notify=False, made_silent=True)
    if answer.status == 404 and call.verb == "patch" and "insert" not in tried:
        return replace(call, verb="insert", tried=tried)
    if answer.status == 409 and call.verb == "insert" and "patch" not in tried:
        return replace(call, verb="patch", tried=tried)
    result = outcome(answer)
    if result is DONE and call.made_silent:
        return QUOTA
    if result.code == "missing" and call.verb == "insert":
        return replace(
            result, code="class_missing", reason="Google does not know the programme. Send the programme first"
        )
    return result
