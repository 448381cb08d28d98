"""Nothing that is killed loses a stamp or leaves a phone behind: `python -m tests.soak.delivery` (`make soak`).

Two tills give stamps over HTTP while web, workers, relay, Valkey and PostgreSQL are killed with kill -9. In the end
every phone must show what the database says, which must be what the tills were answered; nothing may be left in the
outbox, nothing may have been pushed to cards whose stamps were refused, and no process may be left.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.db.delivery import OutboxRow
from app.db.people import Member
from app.services import api_keys, doctoring
from app.services.context import Context
from app.wiring import Wired
from tests.factories import Shop, open_shop
from tests.soak.commands import new_folder, plan_of, tell
from tests.soak.installation import TARGETS, Installation
from tests.soak.phones import Phone, Phones
from tests.soak.tills import Stamps, Till

QUIET_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """How much is done. The seed decides who is stamped and what is killed; when exactly, the machine does."""

    stamps: int = 1000
    cards: int = 200
    kills: int = 25
    seed: int = 1


@dataclass
class Report:
    """What happened. `faults` is empty when all promises were kept."""

    faults: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    quiet_after: float = 0.0
    till_retries: int = 0
    phone_retries: int = 0
    pushes: int = 0
    passes: int = 0

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {number}×" for name, number in sorted(self.kills.items()))
        return "\n".join(
            [
                f"stamped in {self.seconds:.1f} s, all phones right {self.quiet_after:.1f} s after the last stamp",
                f"killed: {killed}",
                f"requests tried again: tills {self.till_retries}, phones {self.phone_retries}",
                f"pushes {self.pushes}, passes fetched {self.passes}",
                *(f"FAULT: {fault}" for fault in self.faults),
                "not all promises were kept" if self.faults else "every promise was kept",
            ]
        )


def run(plan: Plan, folder: Path) -> Report:
    """Carry the plan out in an empty folder."""
    report = Report()
    with Installation(folder) as installation:
        wired = Wired(installation.settings)
        try:
            with Phones(installation.url, installation.apns.rules) as phones:
                _soak(plan, installation, wired.context, phones, report)
        finally:
            wired.close()
    report.faults += [f"still running: {process.command}" for process in installation.left_over()]
    if installation.is_running():
        report.faults.append("the engines still run")
    return report


def _soak(plan: Plan, installation: Installation, ctx: Context, phones: Phones, report: Report) -> None:
    shop = open_shop(ctx)
    refused = max(1, plan.cards // 20)
    held = _cards(ctx, shop, phones, plan.cards + refused)
    nothing = Stamps([], 0, random.Random())
    # Quiet in the outbox too: what opening the shop announced must not be taken for pushes of refused stamps.
    if not _wait(lambda: _is_right(ctx, held, nothing) and not phones.busy, 60):
        report.faults.append("not every phone got its card before the first stamp")
    codes = list(held)
    stamped, untouched = codes[: plan.cards], codes[plan.cards :]
    pushed_before = Counter(push.token for push in phones.rules.log)
    chance = random.Random(plan.seed)
    stamps = Stamps(stamped, plan.stamps, chance)
    tills = [Till(installation.url, _key(ctx, shop, name), stamps, untouched) for name in ("Till A", "Till B")]
    begun = time.monotonic()
    for till in tills:
        till.start()
    try:
        _kill(plan, installation, stamps, chance, report)
        _wait(lambda: not any(till.is_alive() for till in tills), QUIET_SECONDS)
    finally:
        for till in tills:
            till.ended.set()
        for till in tills:
            till.join()
    last = time.monotonic()
    _wait(lambda: not phones.busy and _is_right(ctx, held, stamps), QUIET_SECONDS)
    report.seconds, report.quiet_after = last - begun, time.monotonic() - last
    report.till_retries, report.phone_retries = stamps.retries, phones.retries
    report.pushes = len(phones.rules.log) - sum(pushed_before.values())
    report.passes = sum(len(phone.shown) for phone in held.values())
    _check(plan, ctx, phones, held, stamps, report)
    pushed = Counter(push.token for push in phones.rules.log)
    for code in untouched:
        if more := pushed[held[code].token] - pushed_before[held[code].token]:
            report.faults.append(f"a phone whose stamps were refused got {more} pushes")


def _cards(ctx: Context, shop: Shop, phones: Phones, number: int) -> dict[str, Phone]:
    """New members with their cards on phones, by card code."""
    held = {}
    for place in range(number):
        member = shop.member(place)
        held[member.card_code] = phones.add(member.card_id, ctx.derived_token("apple-pass", member.card_id))
    return held


def _key(ctx: Context, shop: Shop, name: str) -> str:
    return api_keys.create(ctx, shop.owner, {"name": name})[1]


def _kill(plan: Plan, installation: Installation, stamps: Stamps, chance: random.Random, report: Report) -> None:
    """Kill something each time that so many stamps were answered, everything in turn."""
    order: list[str] = []
    while len(order) < plan.kills:
        order += chance.sample(TARGETS, len(TARGETS))
    moments = sorted(chance.uniform(0.05, 0.95) * plan.stamps for _ in range(plan.kills))
    for target, moment in zip(order, moments, strict=False):
        _wait(lambda moment=moment: stamps.answered >= moment, QUIET_SECONDS)
        time.sleep(chance.uniform(0.0, 0.05))
        if _wait(lambda target=target: installation.kill(target, chance), 40):
            report.kills[target] += 1
        else:
            report.faults.append(f"{target} did not run again within 40 s")


def _check(plan: Plan, ctx: Context, phones: Phones, held: dict[str, Phone], stamps: Stamps, report: Report) -> None:
    faults = report.faults
    faults += stamps.faults
    if stamps.answered != plan.stamps:
        faults.append(f"only {stamps.answered} of {plan.stamps} stamps were answered")
    faults += _wrong(ctx, held, stamps)
    faults += [f"left in the outbox: {row}" for row in _outbox(ctx)]
    faults += [f"cached balances differ from the ledger: {found}" for found in doctoring.differences(ctx)]
    for phone in held.values():
        if phone.shown and phone.shown[-1] != phones.newest(phone):
            faults.append(f"{phone.device} shows another pass than the web service gives")
        totals = [_total(shown) for shown in phone.shown]
        if totals != sorted(totals):
            faults.append(f"{phone.device} was shown an older state after a newer one: {totals}")


def _total(shown: dict[str, object]) -> int:
    """All stamps that a pass shows: those on the card, and ten for each reward."""
    card = shown["storeCard"]
    assert isinstance(card, dict)
    fields = {item["key"]: str(item["value"]) for part in card.values() if isinstance(part, list) for item in part}
    have, _, needed = fields["stamps"].partition(" of ")
    rewards = fields.get("rewards", "0").split()[0]  # '2 × Free coffee'
    return int(have) + int(needed) * int(rewards)


def _wrong(ctx: Context, held: dict[str, Phone], stamps: Stamps) -> list[str]:
    """Phones that do not show what the tills gave, and members who do not have it."""
    with ctx.sessions() as session:
        have = {member.card.code: (member.stamps, member.rewards) for member in session.scalars(select(Member))}
    faults = []
    for code, phone in held.items():
        rewards, left = divmod(stamps.given[code], 10)
        if have[code] != (left, rewards):
            faults.append(f"{code} has {have[code]} stamps and rewards, was given {stamps.given[code]} stamps")
        if phone.stamps != f"{left} of 10":
            faults.append(f"{phone.device} shows {phone.stamps or 'nothing'}, not {left} of 10")
    return faults


def _is_right(ctx: Context, held: dict[str, Phone], stamps: Stamps) -> bool:
    try:
        return not _wrong(ctx, held, stamps) and not _outbox(ctx)
    except OperationalError:  # the database is on its way back
        return False


def _outbox(ctx: Context) -> list[str]:
    with ctx.sessions() as session:
        return [f"{row.channel} {row.state} {row.error}" for row in session.scalars(select(OutboxRow))]


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def main() -> None:
    plan = plan_of("delivery", __doc__, Plan)
    with new_folder() as folder:
        tell(run(plan, folder), folder / "serve.log")


if __name__ == "__main__":
    main()
