"""What the pretend Google Wallet keeps: classes, objects, who saved them, and what phones were told. In memory only."""

import copy
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Condition
from typing import Any

from sandbox.google_errors import ApiError
from sandbox.google_news import news
from sandbox.google_schema import MOST, Invalid, check_class, check_fields, check_id, check_message, check_object

REQUESTS_PER_SECOND = 20
NOTIFICATIONS = 3
NOTIFICATION_PERIOD = timedelta(hours=24)
_TYPES = {
    "loyaltyClass": "LoyaltyClass",
    "loyaltyObject": "LoyaltyObject",
    "offerClass": "OfferClass",
    "offerObject": "OfferObject",
}
_CLASS_OF = {"loyaltyObject": "loyaltyClass", "offerObject": "offerClass"}
_KEPT_CHANGES = 10_000


@dataclass(slots=True)
class WalletState:
    """`now` is the clock of quotas that last a day, `monotonic` (seconds) that of the rate limit."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    requests_per_second: int = REQUESTS_PER_SECOND
    resources: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {resource: {} for resource in _TYPES}
    )
    users: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    notifications: list[dict[str, Any]] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)  # over an RLock
    _changes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT_CHANGES))
    _last_change: int = 0
    _notified: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    _requests: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def clear(self) -> None:
        """Forget everything but the number of the last change."""
        with self.changed:
            for resources in self.resources.values():
                resources.clear()
            self.users.clear()
            self.notifications.clear()
            self._notified.clear()
            self._requests.clear()

    def count_request(self, issuer_id: str) -> None:
        """Raises ApiError 429 when the issuer makes too many requests a second."""
        with self.changed:
            recent, moment = self._requests[issuer_id], self.monotonic()
            while recent and recent[0] <= moment - 1:
                recent.popleft()
            if len(recent) >= self.requests_per_second:
                raise ApiError(429, "Rate limit exceeded: too many requests a second for this issuer.", retry_after=1)
            recent.append(moment)

    def get(self, resource: str, resource_id: str) -> dict[str, Any]:
        """The class, or the object with its class. Raises ApiError."""
        with self.changed:
            found = copy.deepcopy(self._find(resource, resource_id))
            if resource in _CLASS_OF:
                found["classReference"] = copy.deepcopy(self.resources[_CLASS_OF[resource]][found["classId"]])
            return found

    def listed(self, resource: str, owner_id: str, most: int) -> list[dict[str, Any]]:
        """The classes of an issuer, or the objects of a class."""
        with self.changed:
            name = "classId" if resource in _CLASS_OF else "id"
            found = [
                value
                for value in self.resources[resource].values()
                if value[name] == owner_id or value[name].startswith(owner_id + ".")
            ]
            return copy.deepcopy(found[:most])

    def insert(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a new class or object. Raises ApiError."""
        with self.changed:
            _refuse_wrong_fields(resource, body)
            resource_id = _valid_id(body.get("id"))
            if resource_id in self.resources[resource]:
                raise ApiError(409, f"{_TYPES[resource]} {resource_id} already exists.", "existingResource")
            made = {name: value for name, value in body.items() if value is not None and name != "notifyPreference"}
            self._keep(resource, made, None)
            self._tell("object" if resource in _CLASS_OF else "class", resource_id)
            return copy.deepcopy(made)

    def change(self, resource: str, resource_id: str, body: dict[str, Any], whole: bool = False) -> dict[str, Any]:
        """PATCH, or PUT when `whole`. Raises ApiError, and then nothing has changed."""
        with self.changed:
            _refuse_wrong_fields(resource, body)
            old = self._find(resource, resource_id)
            if body.get("id", resource_id) != resource_id:
                raise ApiError(400, "The id in the body is not that of the address.")
            given = {name: value for name, value in body.items() if name != "notifyPreference"}
            made = {"id": resource_id} if whole else copy.deepcopy(old)
            _merge(made, given)
            notify = body.get("notifyPreference") == "NOTIFY_ON_UPDATE" and resource in _CLASS_OF
            self._check(resource, made, old, given)
            if notify:
                self._use_quota(resource_id)
            self._keep(resource, made, old)
            self._tell("object" if resource in _CLASS_OF else "class", resource_id)
            if notify:
                issuer = self.resources[_CLASS_OF[resource]][made["classId"]]["issuerName"]
                self._notify(resource_id, *news(issuer, old, made))
            return copy.deepcopy(made)

    def add_message(self, resource: str, resource_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Add a message to a class or object. Raises ApiError."""
        with self.changed:
            try:
                check_fields(body, "AddMessageRequest")
                message = body.get("message") or {}
                check_message(message)
            except Invalid as error:
                raise ApiError(400, str(error)) from None
            found = self._find(resource, resource_id)
            if len(found.get("messages") or []) >= MOST["messages"]:
                raise ApiError(400, "messages: at most 10 are allowed.")
            if message.get("messageType") == "TEXT_AND_NOTIFY":
                self._use_quota(resource_id)
                self._notify(resource_id, message.get("header", ""), message.get("body", ""))
            found.setdefault("messages", []).append(copy.deepcopy(message))
            self._tell("object" if resource in _CLASS_OF else "class", resource_id)
            return {"resource": copy.deepcopy(found)}

    def save(self, object_id: str, user: str) -> None:
        """The user adds the card. Raises ApiError 404 when there is none."""
        with self.changed:
            self._object(object_id)["hasUsers"] = True
            self.users[object_id].add(user)
            self._tell("saved", object_id)

    def remove(self, object_id: str, user: str) -> None:
        """The user removes the card. Raises ApiError 404 when this user has none."""
        with self.changed:
            if user not in self.users[object_id]:
                raise ApiError(404, f"{user} does not have {object_id}.")
            self.users[object_id].remove(user)
            self._object(object_id)["hasUsers"] = bool(self.users[object_id])
            self._tell("removed", object_id)

    def shown(self, object_id: str) -> dict[str, Any]:
        """The card as a phone shows it: object, class, users, and the notifications it got. Raises ApiError 404."""
        with self.changed:
            found = self.get(self.resource_of(object_id), object_id)
            told = [entry for entry in self.notifications if entry["objectId"] == object_id]
            return {
                "class": found.pop("classReference"),
                "object": found,
                "users": sorted(self.users[object_id]),
                "notifications": copy.deepcopy(told),
            }

    def changes(self, since: int, timeout: float) -> tuple[int, list[dict[str, Any]]]:
        """The number of the last change, and the changes after `since`; waits up to `timeout` seconds for the first."""
        with self.changed:
            self.changed.wait_for(lambda: self._last_change > since, timeout)
            return self._last_change, [entry for entry in self._changes if entry["n"] > since]

    def resource_of(self, object_id: str) -> str:
        """Which kind of object has this id; a loyalty object when there is none."""
        return next((resource for resource in _CLASS_OF if object_id in self.resources[resource]), "loyaltyObject")

    def _object(self, object_id: str) -> dict[str, Any]:
        return self._find(self.resource_of(object_id), object_id)

    def _find(self, resource: str, resource_id: str) -> dict[str, Any]:
        found = self.resources[resource].get(_valid_id(resource_id))
        if found is None:
            reason = "resourceNotFound" if resource in _CLASS_OF else "classNotFound"
            raise ApiError(404, f"{_TYPES[resource]} {resource_id} not found.", reason)
        return found

    def _check(self, resource: str, made: dict[str, Any], old: dict[str, Any] | None, given: dict[str, Any]) -> None:
        try:
            if resource in _CLASS_OF:
                check_object(made)
            else:
                _check_review(given.get("reviewStatus"), old)
                check_class(made, resource)
        except Invalid as error:
            raise ApiError(400, str(error)) from None
        if resource in _CLASS_OF:
            if made["id"].partition(".")[0] != made["classId"].partition(".")[0]:
                raise ApiError(400, "The object and its class belong to different issuers.")
            if self._find(_CLASS_OF[resource], made["classId"])["reviewStatus"] != "APPROVED":
                raise ApiError(400, f"The class {made['classId']} is a draft and can't have objects.")

    def _keep(self, resource: str, made: dict[str, Any], old: dict[str, Any] | None) -> None:
        if old is None:
            self._check(resource, made, None, made)
        if resource not in _CLASS_OF and made.get("reviewStatus") == "UNDER_REVIEW":
            made["reviewStatus"] = "APPROVED"
        if resource in _CLASS_OF:
            made["hasUsers"] = bool(self.users[made["id"]])
        made["kind"] = f"walletobjects#{resource}"
        self.resources[resource][made["id"]] = made

    def _use_quota(self, object_id: str) -> None:
        told, moment = self._notified[object_id], self.now()
        while told and told[0] <= moment - NOTIFICATION_PERIOD:
            told.popleft()
        if len(told) >= NOTIFICATIONS:
            raise ApiError(403, "QuotaExceededException: this pass had 3 notifications in 24 hours.", "quotaExceeded")
        told.append(moment)

    def _notify(self, resource_id: str, header: str, body: str) -> None:
        if self.users[resource_id]:
            told = {"objectId": resource_id, "header": header, "body": body, "at": self.now().isoformat()}
            self.notifications.append(told)
            self._tell("notification", resource_id)

    def _tell(self, kind: str, resource_id: str) -> None:
        self._last_change += 1
        self._changes.append({"n": self._last_change, "kind": kind, "id": resource_id})
        self.changed.notify_all()


def _refuse_wrong_fields(resource: str, body: Any) -> None:
    try:
        check_fields(body, _TYPES[resource])
    except Invalid as error:
        raise ApiError(400, str(error)) from None


def _valid_id(value: Any) -> str:
    try:
        return check_id(value)
    except Invalid as error:
        raise ApiError(400, str(error), "invalidResource") from None


def _check_review(given: str | None, old: dict[str, Any] | None) -> None:
    if given is None and old is not None:
        return
    if given not in ("UNDER_REVIEW", "DRAFT"):
        raise Invalid(f"reviewStatus must be UNDER_REVIEW or DRAFT, not {given}.")
    if given == "DRAFT" and old is not None and old["reviewStatus"] != "DRAFT":
        raise Invalid("reviewStatus may not go back to DRAFT.")


def _merge(old: dict[str, Any], given: dict[str, Any]) -> None:
    """JSON merge: objects field by field, arrays and plain values whole, null removes."""
    for name, value in given.items():
        if value is None:
            old.pop(name, None)
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            _merge(old[name], value)
        else:
            old[name] = copy.deepcopy(value)
