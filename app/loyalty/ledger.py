"""The ledger's arithmetic: which lots are left, and what has lapsed.

An earn opens a lot. Spending takes from the lot that lapses first (then the oldest). Undoing a spend gives back to
the lots that it took from, those that still live first; undoing an earn closes its own lot first and takes what is
missing from the others. An undo may move less than what it undoes, down to nothing: what was spent or has lapsed since
stays so. An expiry closes the rest of one lot. Nothing here reads a clock or a database: entries in, lots out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Unit(StrEnum):
    STAMP = "stamp"
    REWARD = "reward"
    CREDIT = "credit"  # in minor units
    BONUS = "bonus"  # in minor units, or points: as the programme counts
    VISIT = "visit"


class Kind(StrEnum):
    EARN = "earn"  # by a purchase at the till, or a visit
    BONUS = "bonus"  # on top of it: as many stamps again while they count double, points for reaching a threshold
    JOIN = "join"  # given for joining
    BIRTHDAY = "birthday"
    REFERRAL = "referral"  # for a friend who joined, or to the friend
    CONVERT = "convert"  # stamps into a reward: minus on one unit, plus on the other
    GRANT = "grant"  # credit or bonus given, or a reward for which no stamps were taken
    REDEEM = "redeem"  # a reward, credit or bonus used at the till
    EXPIRY = "expiry"  # what was not used in time
    UNDO = "undo"  # the reverse of another entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger, as far as sums care. `amount` is signed; only an undo's may be 0."""

    id: UUID
    amount: int
    expires_at: datetime | None = None
    reverses_id: UUID | None = None
    lot_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Lot:
    """What is left of one earn."""

    entry_id: UUID
    left: int
    expires_at: datetime | None


class LedgerError(Exception):
    """The entries contradict each other: more was spent than earned, or an undo points nowhere."""


def balance(entries: Iterable[Entry]) -> int:
    """The sum of all amounts."""
    return sum(entry.amount for entry in entries)


def lots(entries: Iterable[Entry]) -> list[Lot]:
    """What is left of each earn after all `entries` of one member and unit, given in the order they were written.

    The lots are sorted by when they lapse, those that never do last. Raises LedgerError when the entries take more
    than there was.
    """
    book = _replay(entries)
    return sorted(
        (Lot(lot, amount, book.expires[lot]) for lot, amount in book.left.items() if amount),
        key=lambda lot: _lapse_order(lot.expires_at),
    )


def came_from(entries: Iterable[Entry], spend_id: UUID) -> dict[UUID, int]:
    """The lots that a spend took from, and how much of each; empty when it was undone, or took nothing."""
    return _replay(entries).taken.get(spend_id, {})


@dataclass(slots=True)
class _Book:
    left: dict[UUID, int] = field(default_factory=dict)
    expires: dict[UUID, datetime | None] = field(default_factory=dict)
    taken: dict[UUID, dict[UUID, int]] = field(default_factory=dict)  # spend → lot → how much
    closed: set[UUID] = field(default_factory=set)

    def take(self, entry: Entry) -> None:
        order = sorted(self.left, key=lambda lot: _lapse_order(self.expires[lot]))
        if (first := entry.reverses_id) is not None:
            order = [first, *(lot for lot in order if lot != first)]
        parts, amount = self.taken.setdefault(entry.id, {}), -entry.amount
        for lot in order:
            part = min(self.left[lot], amount)
            if part:
                self.left[lot] -= part
                parts[lot] = parts.get(lot, 0) + part
                amount -= part
        if amount:
            raise LedgerError(f"entry {entry.id} takes {amount} more than there was")

    def give_back(self, entry: Entry, spend_id: UUID) -> None:
        parts, amount = self.taken.pop(spend_id, {}), entry.amount
        for lot in sorted(parts, key=self.closed.__contains__):
            part = min(parts[lot], amount)
            self.left[lot] += part
            amount -= part
        if amount:
            raise LedgerError(f"undo {entry.id} gives back what entry {spend_id} did not take")

    def close(self, entry: Entry, lot: UUID) -> None:
        if self.left.get(lot, 0) != -entry.amount:
            raise LedgerError(f"expiry {entry.id} does not close the rest of lot {lot}")
        self.left[lot] = 0
        self.closed.add(lot)


def _replay(entries: Iterable[Entry]) -> _Book:
    book = _Book()
    for entry in entries:
        if entry.lot_id is not None:
            book.close(entry, entry.lot_id)
        elif entry.reverses_id is not None and entry.amount > 0:
            book.give_back(entry, entry.reverses_id)
        elif entry.amount > 0:
            book.left[entry.id] = entry.amount
            book.expires[entry.id] = entry.expires_at
        elif entry.amount < 0:
            book.take(entry)
    return book


def lapsed(living: Iterable[Lot], at: datetime) -> list[Lot]:
    """The lots whose time is over at `at`. A lot lives while `at < expires_at`."""
    return [lot for lot in living if lot.expires_at is not None and lot.expires_at <= at]


def next_lapse(living: Iterable[Lot]) -> datetime | None:
    """When the first of the lots lapses, or None."""
    return min((lot.expires_at for lot in living if lot.expires_at is not None), default=None)


def _lapse_order(moment: datetime | None) -> tuple[bool, float]:
    return (moment is None, moment.timestamp() if moment else 0.0)
