"""What counting a segment costs: a million members with ten million purchases.

    python bench/segments.py [--members N] [--purchases N] [--rounds N] [--explain]

A database of its own, filled as for bench/classing.py; every member has a language, a channel, a birthday and a
location, three in ten the card in each wallet, half have answered about offers, and two in ten got a campaign. Each
filter is counted as the page does it, with the sample of five. Prints Markdown; --explain adds PostgreSQL's plans.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID, uuid4

from sqlalchemy import func, select, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock
from app.db.programs import Program
from app.loyalty import segment_leaves as leaf
from app.loyalty.segments import EVERYONE, Group, How, Node
from app.services import classing, customer_classes, programs, segment_sql, segments
from app.services.context import Actor, Context
from bench.classing import BYTES_A_PURCHASE, fill, seconds
from bench.installation import Installation, machine

GOAL_SECONDS = 1.0

_DRESS = (
    """UPDATE members SET last_visit_at = last.at, stamps = floor(random() * 10),
        rewards = CAST(random() < 0.1 AS int), credit_minor = CAST(random() < 0.2 AS int) * 500,
        language = (ARRAY['en', 'fi', 'ru', 'fa'])[1 + floor(random() * 4)],
        via = (ARRAY['', 'poster', 'web', 'sms'])[1 + floor(random() * 4)],
        birth_date = DATE '1950-01-01' + CAST(floor(random() * 20000) AS int),
        joined_at = CAST(:at AS timestamptz) - random() * interval '2 years',
        last_location_id = CASE WHEN last.at IS NULL THEN NULL
            ELSE (CAST(:locations AS uuid[]))[1 + floor(random() * 4)] END
    FROM members AS same LEFT JOIN
        (SELECT member_id, max(at) AS at FROM purchases WHERE undone_at IS NULL GROUP BY member_id) AS last
        ON last.member_id = same.id
    WHERE same.id = members.id""",
    """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), member_id, 'sms_marketing', false, 'sms', '', at + interval '1 day'
    FROM consents WHERE random() < 0.1""",
    """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), id, 'terms', true, 'web', repeat('I have read the terms. ', 8), :at FROM members""",
    """INSERT INTO apple_devices (id, library_identifier, pass_type, push_token, tag, token_at)
    SELECT id, id::text, 'p', id::text, 0, :at FROM cards WHERE random() < 0.3""",
    """INSERT INTO apple_registrations (device_id, card_id, tag, registered_at)
    SELECT id, id, 0, :at FROM apple_devices""",
    """INSERT INTO google_objects (card_id, version, installs, notified_at)
    SELECT id, 1, 1, '[]' FROM cards WHERE random() < 0.3""",
    """INSERT INTO campaigns (id, program_id, name, state, tree, medium, texts, link, b_percent, holdout_percent,
        repeat, offset_days, benefit, benefit_minor, benefit_name, benefit_days, version, created_at, changed_at)
    VALUES (:campaign, :program, 'C', 'done', '{}', 'sms', '{}', '', 0, 0, 'once', 0, 'none', 0, '', 14,
        1, :at, :at)""",
    """INSERT INTO campaign_runs (id, program_id, campaign_id, phase, content, due_at)
    VALUES (:campaign, :program, :campaign, 'done', '{}', :at)""",
    """INSERT INTO campaign_recipients (program_id, campaign_id, run_id, member_id, phone_check, occasion, token,
        variant, medium, state, reason, due_at, handed_at)
    SELECT :program, :campaign, :campaign, id, 0, 'once', substr(md5(id::text), 1, 10), 'a', 'sms', 'handed', '',
        :at, :at
    FROM members WHERE random() < 0.2 ON CONFLICT DO NOTHING""",
    """INSERT INTO link_clicks (recipient_number, kind, at)
    SELECT number, 'person', :at FROM campaign_recipients WHERE random() < 0.1""",
)
_TABLES = (
    "members, cards, consents, apple_registrations, google_objects, campaign_recipients, link_clicks, member_classes"
)


def prepare(context: Context, program: UUID) -> dict[str, Group]:
    """Dress the members up; return the filters by name."""
    owner = Actor(program, may_manage=True)
    places = [programs.save_location(context, owner, {"name": f"Place {number}"}).id for number in range(4)]
    campaign = uuid4()
    values = {"program": program, "at": clock.now(), "locations": places, "campaign": campaign}
    with context.engine.begin() as connection:
        for statement in _DRESS:
            connection.execute(text(statement), values)
    customer_classes.propose(context, owner)
    classing.work(context, program, 0.0)
    with context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (FULL, ANALYZE) {_TABLES}"))
        connection.execute(text(f"VACUUM ANALYZE {_TABLES}"))
    loyal = customer_classes.overview(context, program).classes[1].id
    return filters(places[0], loyal, campaign)


def filters(place: UUID, loyal: UUID, campaign: UUID) -> dict[str, Group]:
    def every(*parts: Node) -> Group:
        return Group(How.ALL, parts)

    offers = leaf.WantsOffers()
    return {
        "everybody": EVERYONE,
        "wants offers": every(offers),
        "wants offers, last visit 30 to 90 days ago": every(offers, leaf.LastVisit(least=30, most=90)),
        "wants offers, a class": every(offers, leaf.InClass(loyal)),
        "wants offers, birthday within 7 days": every(offers, leaf.BirthdayWithin(7)),
        "wants offers, last at a location, in Finnish": every(offers, leaf.LastAt(place), leaf.Speaks("fi")),
        "3 visits or more in 30 days": every(leaf.Visits(days=30, least=3)),
        "€50 or more in 90 days, wants offers": every(leaf.Spending(days=90, least=5000), offers),
        "1 stamp left, or a reward": Group(How.ANY, (leaf.StampsLeft(most=1), leaf.HoldsReward())),
        "card in no wallet": every(leaf.InWallet("none")),
        "got a campaign, silent, wants offers": every(leaf.Campaigned(campaign, "silent"), offers),
        "none of: visit in 60 days, credit, reward": Group(
            How.NONE, (leaf.LastVisit(most=60), leaf.HoldsCredit(), leaf.HoldsReward())
        ),
        "mixed, three deep": every(
            offers,
            Group(How.ANY, (leaf.InWallet("any"), leaf.Visits(days=30, least=2), leaf.InClass(loyal))),
            Group(How.NONE, (leaf.Speaks("ru"), Group(How.ALL, (leaf.HoldsCredit(), leaf.LastVisit(most=7))))),
        ),
        "50 visits or more in a year": every(leaf.Visits(days=365, least=50)),
    }


def measure(act: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The median and the 95th percentile, in seconds, after one turn to warm up."""
    act()
    times = [seconds(act) for _ in range(rounds)]
    return median(times), quantiles(times, n=20, method="inclusive")[-1]


def explain(context: Context, program_id: UUID, tree: Group) -> str:
    with context.sessions() as session:
        for setting in segment_sql.SETTINGS:
            session.execute(text(setting))
        chosen = segment_sql.compiled(tree, session.get_one(Program, program_id), clock.now())
        counted = select(func.count()).select_from(chosen.subquery())
        words = counted.compile(dialect=session.get_bind().dialect, compile_kwargs={"render_postcompile": True})
        driver = session.connection().connection.driver_connection
        if driver is None:
            raise LookupError("no connection")
        rows = driver.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {words}", words.params)
        return "\n".join(line[:110] for (line,) in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--explain", action="store_true", help="print PostgreSQL's plans, too")
    chosen = parser.parse_args()
    with Installation() as here:
        if shutil.disk_usage(here.folder).free < chosen.purchases * BYTES_A_PURCHASE:
            sys.exit(f"Not enough room in {here.folder}: set TMPDIR to a folder on a larger disk.")
        print(f"{machine()}\n", flush=True)
        begun = time.perf_counter()
        fill(here.context.engine, here.program.id, chosen.members, chosen.purchases)
        found = prepare(here.context, here.program.id)
        print(f"Filled in {time.perf_counter() - begun:.0f} s.\n", flush=True)
        print(f"| {chosen.members:,} members, {chosen.purchases:,} purchases | members | p50 | p95 | under 1 s |")
        print("|---|---:|---:|---:|---|", flush=True)
        owner = Actor(here.program.id, may_manage=True)
        for name, tree in found.items():
            members = segments.look(here.context, owner, tree).members
            middle, slow = measure(partial(segments.look, here.context, owner, tree), chosen.rounds)
            within = "yes" if slow < GOAL_SECONDS else "no"
            print(f"| {name} | {members:,} | {middle * 1000:,.0f} ms | {slow * 1000:,.0f} ms | {within} |", flush=True)
        if chosen.explain:
            for name, tree in found.items():
                print(f"\n{name}:\n\n```\n{explain(here.context, here.program.id, tree)}\n```")


if __name__ == "__main__":
    main()
