"""What classing, its preview and giving credit to a class cost: a million members with ten million purchases.

    python bench/classing.py [--members N] [--purchases N] [--granted N] [--explain]

A database of its own, filled in SQL: half of the members buy often, as in any shop, and every tenth bought nothing.
The first classing writes every member's row; the second, a night later, what the day changed. Giving credit is the
worker's own slices, with ledger, cards, and an SMS to queue for every other member. Prints Markdown.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock
from app.db.credit import RfmMethod
from app.services import classing, classing_sql, credit_granting, credit_policies, customer_classes
from app.services.classing import Scoring
from app.services.context import Actor, Context
from bench.installation import Installation, machine

BYTES_A_PURCHASE = 600  # with indexes, the log, and what sorting spills
GOAL_SECONDS = 60.0

_FILL = (
    """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps, rewards)
    SELECT uuidv7(), :program, '+358' || lpad(n::text, 9, '0'), '', '', '', 'en', '', 'active', :at, 0, 0
    FROM generate_series(1, CAST(:members AS int)) AS n""",
    """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, lpad(substr(phone, 5), 16, '0'), 1, encode(sha256(phone::bytea), 'hex'), 1,
           date_trunc('second', CAST(:at AS timestamptz)), '' FROM members""",
    """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), id, 'sms_marketing', true, 'web', '', :at FROM members WHERE phone ~ '[13579]$'""",
    # In the order of time, as purchases come. The cube has half of all purchases fall on an eighth of the members.
    """INSERT INTO purchases (id, program_id, member_id, phone, at, recorded_at, amount_minor, receipt_no)
    SELECT uuidv7(), :program, buyer.id, '', moment, moment, 200 + floor(random() * 4000), ''
    FROM (SELECT 1 + floor(power(random(), 3) * (:members * 0.9)) AS place,
                 CAST(:at AS timestamptz) - interval '1 year' + n * (interval '1 year' / :purchases) AS moment
          FROM generate_series(1, CAST(:purchases AS int)) AS n) AS bought
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM members) AS buyer USING (place)""",
)
_A_DAY = """INSERT INTO purchases (id, program_id, member_id, phone, at, recorded_at, amount_minor, receipt_no)
    SELECT uuidv7(), :program, id, '', :at, :at, 1000, '' FROM members TABLESAMPLE SYSTEM (3)"""
_VACUUM = "VACUUM ANALYZE members, cards, consents, purchases, member_classes"


def fill(engine: Engine, program: UUID, members: int, purchases: int) -> None:
    values = {"program": program, "members": members, "purchases": purchases, "at": clock.now()}
    with engine.begin() as connection:
        for statement in _FILL:
            connection.execute(text(statement), values)
    vacuum(engine)


def vacuum(engine: Engine) -> None:
    """What autovacuum does, now, so that it does not run in the middle of a measurement."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(_VACUUM))


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def another_day(context: Context, program: UUID) -> None:
    with context.engine.begin() as connection:
        connection.execute(text(_A_DAY), {"program": program, "at": clock.now()})
    vacuum(context.engine)


def measure(context: Context, program: UUID, granted: int) -> dict[str, str]:
    owner = Actor(program, may_manage=True)
    customer_classes.propose(context, owner)
    with context.sessions() as session:
        rules = [classing.rules_of(row) for row in classing.own_classes(session, program)]
    thresholds = Scoring(
        RfmMethod.THRESHOLDS, 5, 365, (14, 30, 90, 180), (40, 15, 6, 2), (80_000, 30_000, 10_000, 3_000)
    )
    found: dict[str, float] = {}
    found["preview from purchases, by quantiles"] = seconds(
        lambda: classing.preview(context, program, Scoring(), rules)
    )
    found["first classing, by quantiles"] = seconds(lambda: classing.work(context, program, 0.0))
    another_day(context, program)
    found["classing of the next night"] = seconds(lambda: classing.work(context, program, 0.0))
    found["preview from the kept figures, by quantiles"] = seconds(
        lambda: classing.preview(context, program, Scoring(), rules)
    )
    found["preview from the kept figures, by thresholds"] = seconds(
        lambda: classing.preview(context, program, thresholds, rules)
    )
    shown = {name: f"{value:.1f} s" for name, value in found.items()}
    shown["classing within the goal"] = "yes" if found["first classing, by quantiles"] < GOAL_SECONDS else "no"
    return shown | give(context, owner, granted)


def give(context: Context, owner: Actor, granted: int) -> dict[str, str]:
    """Give a share of the last three months to the loyal, until so many have it."""
    loyal = customer_classes.overview(context, owner.program_id).classes[1]
    form = customer_classes.class_form(context, owner, loyal.id)
    form |= {"policy": "share", "share": "5", "spending_days": "90", "valid_days": "30"}
    customer_classes.save(context, owner, form, loyal.id)
    begun = time.perf_counter()
    seen = credit_policies.preview(context, owner, loyal.id)
    preview = time.perf_counter() - begun
    run_id = credit_policies.start_now(context, owner, loyal.id, seen.at)
    begun, members = time.perf_counter(), 0
    while members < min(granted, seen.receivers):
        credit_granting.work(context, run_id, time.monotonic() + 0.5)
        members = credit_policies.recent(context, owner.program_id)[0].members
    rate = members / (time.perf_counter() - begun)
    return {
        f"preview of a giving to {seen.members:,}": f"{preview:.1f} s",
        "credit given": f"{rate:,.0f} members/s",
    }


def explain(context: Context, program: UUID) -> None:
    """Print PostgreSQL's plan of a classing."""
    with context.sessions() as session:
        classes = classing.own_classes(session, program)
        values = classing.statement_values(program, Scoring(), [classing.rules_of(row) for row in classes], clock.now())
        values["class_ids"] = [row.id for row in classes]
        session.execute(text(classing_sql.MEMORY))
        plan = session.execute(text(f"EXPLAIN (ANALYZE, COSTS OFF) {classing_sql.write(RfmMethod.QUANTILES)}"), values)
        print("\n```\n" + "\n".join(line for (line,) in plan) + "\n```")
        session.rollback()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--granted", type=int, default=10_000, help="members who are given credit")
    parser.add_argument("--explain", action="store_true", help="print PostgreSQL's plan, too")
    chosen = parser.parse_args()
    with Installation() as here:
        if shutil.disk_usage(here.folder).free < chosen.purchases * BYTES_A_PURCHASE:
            sys.exit(f"Not enough room in {here.folder}: set TMPDIR to a folder on a larger disk.")
        print(f"{machine()}\n", flush=True)
        context, program = here.context, here.program.id
        filling = seconds(lambda: fill(context.engine, program, chosen.members, chosen.purchases))
        print(f"Filled in {filling:.0f} s.\n", flush=True)
        print(f"| {chosen.members:,} members, {chosen.purchases:,} purchases | |\n|---|---:|")
        for name, value in measure(context, program, chosen.granted).items():
            print(f"| {name} | {value} |", flush=True)
        if chosen.explain:
            explain(context, program)


if __name__ == "__main__":
    main()
