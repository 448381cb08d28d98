"""How many personal links two gunicorn workers lead on a second, while all openings are counted.

    python bench/redirect.py [--seconds N] [--rounds N] [--links N]

Gunicorn, PostgreSQL, Valkey and the load generator share the machine. Links to the card and links to an address take
turns. What counting costs is in the CPU time of web and database, which is read from /proc: this runs on Linux only.
Prints Markdown.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_load import Generator
from bench.installation import Installation, cpu_of, machine

CONNECTIONS = 8
WORKERS = 2
ADDRESS = "https://kulma.example/menu"
BROWSER = (
    "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1\r\nAccept: text/html\r\nAccept-Language: fi-FI\r\n"
)
_FILL = """
WITH campaign AS (
  INSERT INTO campaigns (id, program_id, name, state, tree, medium, texts, link, b_percent, holdout_percent, repeat,
    offset_days, benefit, benefit_minor, benefit_name, benefit_days, version, created_at, changed_at)
  SELECT gen_random_uuid(), :program, :link, 'running', '{}', 'sms', '{}', :link, 0, 0, 'once', 0, 'none', 0, '', 14, 1,
    now(), now()
  RETURNING id
), run AS (
  INSERT INTO campaign_runs (id, program_id, campaign_id, phase, content, due_at)
  SELECT gen_random_uuid(), :program, id, 'sending', jsonb_build_object('link', CAST(:link AS text)), now()
  FROM campaign RETURNING id, campaign_id
)
INSERT INTO campaign_recipients (program_id, campaign_id, run_id, member_id, phone_check, occasion, token, variant,
  medium, state, reason, due_at)
SELECT :program, run.campaign_id, run.id, members.id, 0, 'once',
  substr(encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 1, 10), 'a', 'sms', 'handed', '', now()
FROM members CROSS JOIN run WHERE members.program_id = :program
RETURNING token
"""


@dataclass
class Kind:
    """One kind of link, and what its turns brought."""

    name: str
    requests: list[bytes]
    rates: list[float] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    """CPU seconds an answer took, in each turn: of the web processes, the database, the generator."""


def fill(here: Installation, link: str) -> list[bytes]:
    """A campaign to all members; return a request for each one's link."""
    with here.context.engine.begin() as connection:
        tokens = connection.execute(text(_FILL), {"program": here.program.id, "link": link}).scalars().all()
    return [f"GET /l/{token} HTTP/1.1\r\nHost: 127.0.0.1\r\n{BROWSER}\r\n".encode() for token in tokens]


def turns(here: Installation, kinds: list[Kind], seconds: float, rounds: int) -> int:
    """Let all take turns, after one round that warms up. Returns how many links were opened."""
    opened = 0
    generator = Generator(here.port, CONNECTIONS)
    for number in range(rounds + 1):
        for kind in kinds:
            before = cpu_of(here)
            loaded = generator.run(kind.requests, seconds)
            if set(loaded.statuses) != {302}:
                raise SystemExit(f"{kind.name}: {dict(loaded.statuses)}")
            opened += loaded.statuses.total()
            if not number:
                continue
            kind.rates.append(loaded.rate)
            used = {name: value - before[name] for name, value in cpu_of(here).items()} | {"generator": loaded.cpu}
            for name, value in used.items():
                kind.cpu.setdefault(name, []).append(value / loaded.statuses.total())
    generator.close()
    return opened


def counted(here: Installation, opened: int) -> tuple[int, float]:
    """How many clicks are in the table when no more come, and how long after the last opening that was, in seconds."""
    begun, last, changed = time.perf_counter(), -1, 0.0
    while time.perf_counter() - begun < changed + 3:
        with here.context.engine.connect() as connection:
            found: int = connection.execute(text("SELECT count(*) FROM link_clicks")).scalar_one()
        if found != last:
            last, changed = found, time.perf_counter() - begun
        if found >= opened:
            break
        time.sleep(0.1)
    return last, changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--links", type=int, default=100_000, help="recipients of each campaign")
    chosen = parser.parse_args()
    with Installation(web_workers=WORKERS) as here:
        print(f"{machine()}\n", flush=True)
        here.fill(chosen.links)
        kinds = [Kind("to the card", fill(here, "card")), Kind("to an address", fill(here, ADDRESS))]
        with here.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        here.start_web()
        opened = turns(here, kinds, chosen.seconds, chosen.rounds)
        print("| links | redirects/s | CPU µs: web | database | load generator |")
        print("|---|---:|---:|---:|---:|")
        for kind in kinds:
            spent = " | ".join(f"{1e6 * median(kind.cpu[name]):.0f}" for name in ("web", "database", "generator"))
            print(f"| {kind.name} | {median(kind.rates):,.0f} | {spent} |")
        found, seconds = counted(here, opened)
        print(f"\n{opened:,} openings, {found:,} of them counted {seconds:.1f} s after the last one.")


if __name__ == "__main__":
    main()
