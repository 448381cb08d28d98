"""The ledger's arithmetic: which lots are left, and what has lapsed.

An earn opens a lot. Spending takes from the lot that lapses first (then the oldest). Undoing a spend gives back to
the lots that it took from; undoing an earn closes its own lot first and takes what is missing from the others. An
expiry closes the rest of one lot. Nothing here reads a clock or a database: entries in, lots out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Unit(StrEnum):
    STAMP = "stamp"
    REWARD = "reward"
    CREDIT = "credit"  # in minor units


class Kind(StrEnum):
    EARN = "earn"  # a stamp at the till
    BONUS = "bonus"  # as many stamps again, because a campaign promised double stamps
    JOIN = "join"  # stamps given for joining
    CONVERT = "convert"  # stamps into a reward: minus on one unit, plus on the other
    GRANT = "grant"  # credit given, or a reward for which no stamps were taken
    REDEEM = "redeem"  # a reward or credit used at the till
    EXPIRY = "expiry"  # what was not used in time
    UNDO = "undo"  # the reverse of another entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger, as far as sums care. `amount` is signed and never 0."""

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
    left: dict[UUID, int] = {}
    expires: dict[UUID, datetime | None] = {}
    taken: dict[UUID, dict[UUID, int]] = {}

    def take(entry: Entry, amount: int, first: UUID | None = None) -> None:
        order = sorted(left, key=lambda lot: _lapse_order(expires[lot]))
        if first is not None:
            order = [first, *(lot for lot in order if lot != first)]
        parts = taken.setdefault(entry.id, {})
        for lot in order:
            part = min(left[lot], amount)
            if part:
                left[lot] -= part
                parts[lot] = parts.get(lot, 0) + part
                amount -= part
        if amount:
            raise LedgerError(f"entry {entry.id} takes {amount} more than there was")

    for entry in entries:
        if entry.lot_id is not None:
            if left.get(entry.lot_id, 0) != -entry.amount:
                raise LedgerError(f"expiry {entry.id} does not close the rest of lot {entry.lot_id}")
            left[entry.lot_id] = 0
        elif entry.reverses_id is not None and entry.amount > 0:
            if entry.reverses_id not in taken:
                raise LedgerError(f"undo {entry.id} gives back what entry {entry.reverses_id} did not take")
            for lot, part in taken.pop(entry.reverses_id).items():
                left[lot] += part
        elif entry.amount > 0:
            left[entry.id] = entry.amount
            expires[entry.id] = entry.expires_at
        else:
            take(entry, -entry.amount, first=entry.reverses_id)
    return sorted(
        (Lot(lot, amount, expires[lot]) for lot, amount in left.items() if amount),
        key=lambda lot: _lapse_order(lot.expires_at),
    )


def lapsed(living: Iterable[Lot], at: datetime) -> list[Lot]:
    """The lots whose time is over at `at`. A lot lives while `at < expires_at`."""
    return [lot for lot in living if lot.expires_at is not None and lot.expires_at <= at]


def next_lapse(living: Iterable[Lot]) -> datetime | None:
    """When the first of the lots lapses, or None."""
    return min((lot.expires_at for lot in living if lot.expires_at is not None), default=None)


def _lapse_order(moment: datetime | None) -> tuple[bool, float]:
    return (moment is None, moment.timestamp() if moment else 0.0)
