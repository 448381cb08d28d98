"""Idempotency: the same key with the same request gets the saved answer and does nothing."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import SavedAnswer
from app.db.lookup import Compiled
from app.i18n import N_
from app.services.context import Actor
from app.services.errors import Refused

Answer = dict[str, Any]

LONGEST_KEY = 80  # as long as the column

_OWN = (SavedAnswer.scope == bindparam("scope_asked"), SavedAnswer.key == bindparam("key_asked"))
_CLAIM = Compiled(
    insert(SavedAnswer).on_conflict_do_nothing().returning(SavedAnswer.key),
    ["scope", "key", "fingerprint", "answer", "at"],
)
_FIND = Compiled(select(SavedAnswer.fingerprint, SavedAnswer.answer).where(*_OWN))
_KEEP = Compiled(update(SavedAnswer).where(*_OWN).values(answer=bindparam("answer_given")))


def fingerprint(action: str, request: Mapping[str, object]) -> str:
    """What makes two requests the same: the action and every value in it."""
    text = json.dumps([action, dict(request)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def once(
    session: Session, actor: Actor, key: str | None, request_fingerprint: str, act: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Run `act` unless this key has been answered; return the answer, and whether it is a repeat.

    The key is claimed in the caller's transaction: a second request with the same key waits for the first, then
    finds its answer, or, if the first was rolled back, takes its place. Raises Refused when the key was used for
    another request, or cannot be one.
    """
    if not key:
        return act(), False
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Refused(
            "invalid-idempotency-key",
            N_("An Idempotency-Key has %(most)s characters at most, without control characters."),
            {"most": LONGEST_KEY},
            status=400,
        )
    own = {"scope_asked": actor.scope, "key_asked": key}
    claim = {"scope": actor.scope, "key": key, "fingerprint": request_fingerprint, "answer": "{}", "at": clock.now()}
    if not _CLAIM.within(session, **claim):
        [(asked, answered)] = _FIND.within(session, **own)
        if asked != request_fingerprint:
            raise Refused(
                "idempotency-key-reused",
                N_("This Idempotency-Key was used for another request. Use a new key for a new request."),
                status=409,
            )
        return answered, True
    answer = act()
    _KEEP.within(session, **own, answer_given=json.dumps(answer))
    return answer, False
