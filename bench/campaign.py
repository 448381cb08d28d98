"""How fast a campaign is handed to the provider, and what the till feels of it.

    python bench/campaign.py [--recipients N] [--chosen N] [--jobs N]

A campaign goes to a stand-in that answers each message after 50 ms, while a till gives stamps over the API at an even
pace; then the same members are written to by a plain RQ job for each. `--chosen`: also how long it takes to write down
so many recipients. Durable database; everything shares the machine. Prints Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import time as dt_time
from pathlib import Path
from uuid import uuid4

import requests
from redis import Redis
from rq import Queue
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.db.messages import SmsRules
from app.services import campaign_control, campaigns, programs
from app.services.campaigns import CampaignValues
from app.services.context import Actor
from bench import one_job_each
from bench.codes import paced
from bench.installation import Installation, machine, share

LATENCY = 0.05
STAMPS_A_SECOND = 20
JOB_WORKERS = 2
LONGEST_SECONDS = 900.0


class Provider:
    """The stand-in, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        script = str(Path(__file__).with_name("quick_twilio.py"))
        self._process = subprocess.Popen([sys.executable, script, str(folder), "--latency", str(LATENCY)])
        while not (folder / "quick_twilio.json").exists():
            time.sleep(0.05)
        address = json.loads((folder / "quick_twilio.json").read_text())
        self.url, self.ca_file = address["url"], address["ca_file"]

    def counted(self) -> dict[str, float]:
        counted: dict[str, float] = requests.get(f"{self.url}/count", verify=self.ca_file, timeout=10).json()
        return counted

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Handed:
    """`rate` is messages a second from the first to the last that the provider took."""

    messages: int
    rate: float
    most: int  # to one number


def fill(here: Installation, members: int) -> None:
    """Members who want offers, with cards."""
    with here.context.sessions.begin() as session:
        for statement in _FILL:
            session.execute(text(statement), {"program": here.program.id, "members": members})
        session.add(
            SmsRules(
                program_id=here.program.id, part_price_micro=1000, country_prices_micro={}, number_daily_cap=100,
                countries=[], quiet_from=_MIDNIGHT, quiet_until=_MIDNIGHT,
            )
        )  # fmt: skip
    with here.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE members, cards, consents"))


def start(here: Installation, name: str) -> None:
    """Start a campaign to everybody."""
    actor = Actor(here.program.id)
    values = CampaignValues(name, {"kind": "all", "of": []}, texts={"a": {"en": "Hi {first_name|friend}, buns today!"}})
    made = campaigns.create(here.context, actor, values)
    campaign_control.start_now(here.context, actor, made.id, made.version)


def hand_over(here: Installation, provider: Provider, before: dict[str, float]) -> Handed:
    """Wait until the campaign is done."""
    until = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < until:
        with here.context.sessions() as session:
            if not session.scalar(text("SELECT count(*) FROM campaigns WHERE state = 'running'")):
                break
        time.sleep(0.2)
    now = provider.counted()
    messages = int(now["messages"] - before["messages"])
    return Handed(messages, messages / (now["seconds"] or 1), int(now["most"]))


def stamps(here: Installation, seconds: float) -> list[float]:
    """A till that gives stamps: how long each took, from when it was due."""
    key, phones = here.api_key(), _phones(here)
    bodies = [_stamp(key, phones[number % len(phones)]) for number in range(int(seconds * STAMPS_A_SECOND))]
    return paced(here.port, bodies, STAMPS_A_SECOND)


def one_job(here: Installation, provider: Provider, jobs: int) -> float:
    """Messages a second by a job for each."""
    url = here._wired._redis_url
    database = here.context.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    queue = Queue(one_job_each.QUEUE, connection=Redis.from_url(url))
    with here.context.sessions() as session:
        ids = session.scalars(text("SELECT CAST(id AS text) FROM members LIMIT :jobs"), {"jobs": jobs}).all()
    queue.enqueue_many([Queue.prepare_data(one_job_each.send, [member]) for member in ids])
    before = provider.counted()["messages"]
    given = {"ONE_JOB_DATABASE": database, "ONE_JOB_URL": provider.url, "ONE_JOB_CA": provider.ca_file}
    folder = str(Path(__file__).resolve().parent.parent)
    script = str(Path(__file__).with_name("one_job_each.py"))
    workers = [
        subprocess.Popen([sys.executable, script, url], env=os.environ | given | {"PYTHONPATH": folder})
        for _ in range(JOB_WORKERS)
    ]
    try:
        while provider.counted()["messages"] == before:
            time.sleep(0.05)
        begun, first = time.monotonic(), provider.counted()["messages"]
        while (taken := provider.counted()["messages"] - before) < jobs and time.monotonic() - begun < LONGEST_SECONDS:
            time.sleep(0.05)
        return (taken - (first - before)) / (time.monotonic() - begun)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def choose(here: Installation, members: int) -> float:
    """Seconds to write down so many recipients more."""
    fill_more = [statement.replace("generate_series(1,", "generate_series(2000000,") for statement in _FILL[:1]]
    with here.context.sessions.begin() as session:
        for statement in [*fill_more, *_FILL[1:]]:
            session.execute(text(statement), {"program": here.program.id, "members": 1_999_999 + members})
    start(here, "Many")
    query = text("SELECT phase, started_at FROM campaign_runs ORDER BY due_at DESC LIMIT 1")
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST_SECONDS:
        with here.context.sessions() as session:
            if session.execute(query).one().phase == "sending":
                break
        time.sleep(0.1)
    return time.monotonic() - begun


def _stamp(key: str, phone: str) -> bytes:
    body = json.dumps({"phone": phone})
    head = f"POST /api/v1/stamps HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    once = f"Idempotency-Key: {uuid4()}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{once}{body}".encode()


def _phones(here: Installation) -> list[str]:
    with here.context.sessions() as session:
        return list(session.scalars(text("SELECT phone FROM members ORDER BY id LIMIT 2000")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=50_000)
    parser.add_argument("--chosen", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=500)
    given = parser.parse_args()
    where = machine()
    with Installation(web_workers=2) as here:
        provider = Provider(here.folder / "provider")
        try:
            here.set(
                ca_file=provider.ca_file, sms_provider="twilio", sms_sender="+358457399999",
                sms_parts_per_second="10000", twilio_account_sid="AC1", twilio_auth_token="token",
                twilio_api_url=provider.url, public_url=here.url,
            )  # fmt: skip
            fill(here, given.recipients)
            programs.save_location(here.context, Actor(here.program.id), {"name": "Bench", "address": ""})
            here.start_web()
            here.start_worker()
            stamps(here, 3)  # to warm up
            alone = stamps(here, 10)
            meanwhile: list[float] = []
            seconds = max(5.0, given.recipients / 1500)
            till = threading.Thread(target=lambda: meanwhile.extend(stamps(here, seconds)))
            before = provider.counted()
            start(here, "Buns")
            till.start()
            handed = hand_over(here, provider, before)
            till.join()
            plain = one_job(here, provider, given.jobs) if given.jobs else 0.0
            chosen = choose(here, given.chosen) if given.chosen else 0.0
        finally:
            provider.stop()
    print(where, "\n")
    print("| | messages/s | till: p50 | till: p99 |\n|---|---:|---:|---:|")
    print(f"| till alone | | {share(alone, 0.5) * 1000:.0f} ms | {share(alone, 0.99) * 1000:.0f} ms |")
    print(
        f"| campaign, {handed.messages} messages, {handed.most} to a number at most | {handed.rate:.0f} | "
        f"{share(meanwhile, 0.5) * 1000:.0f} ms | {share(meanwhile, 0.99) * 1000:.0f} ms |"
    )
    if plain:
        print(f"| a plain RQ job each, {JOB_WORKERS} workers | {plain:.0f} | | |\n\nRatio: {handed.rate / plain:.1f}")
    if given.chosen:
        print(f"\n{given.chosen + given.recipients} recipients were written down in {chosen:.1f} s.")


_MIDNIGHT = dt_time()
_FILL = (
    """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps, rewards)
    SELECT uuidv7(), :program, '+35840' || lpad(n::text, 7, '0'), 'Anna Aalto', '', '', 'en', '', 'active',
        '2026-01-01', 3, 0 FROM generate_series(1, CAST(:members AS int)) AS n""",
    """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, substr(phone, 2), 1, encode(sha256(phone::bytea), 'hex'), 1, '2026-01-01', ''
    FROM members ON CONFLICT DO NOTHING""",
    """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), id, 'sms_marketing', true, 'web', 'Yes.', '2026-01-01' FROM members
    WHERE NOT EXISTS (SELECT FROM consents WHERE member_id = members.id)""",
)


if __name__ == "__main__":
    main()
