"""From the till to the lock screen: how long after a stamp's HTTP answer the phone has the new card.

    python bench/lock_screen.py [--seconds N] [--rate N]

Tills send stamps to the API at an even pace. Gunicorn, the worker, PostgreSQL, Valkey, the stand-ins, TLS between
phones and server, and all pretend phones share the machine. A phone hears the push, asks for the serials, fetches the
pass, checks it with its signature, and shows its news; that moment counts. Prints Markdown.
"""

import argparse
import re
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import local

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock
from app.services import members
from app.services.context import Actor
from bench.installation import Installation, machine, share
from sandbox.iphone import Iphone
from sandbox.lock_screen import Message
from sandbox.pkpass_signature import load_roots
from sandbox.push_feed import PushFeed, RemotePushService

TILLS = 8
QUIET_SECONDS = 20.0  # for the last pushes to arrive
LEAST_PHONES = 40
MOST_STAMPS = 25  # on a phone's card, which takes 30: each stamp's news has another number then


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp that was answered. `seconds` is how long the answer took."""

    code: str
    count: int
    answered: datetime
    seconds: float


class Tills:
    """Till software, with a connection for each of its threads."""

    def __init__(self, here: Installation) -> None:
        self._url, self._key, self._threads = f"{here.url}/api/v1/stamps", here.api_key(), local()

    def stamp(self, code: str) -> Stamp:
        """Give one stamp. Raises requests.HTTPError when it is refused."""
        if not hasattr(self._threads, "http"):
            self._threads.http = requests.Session()
            self._threads.http.trust_env = False
        begun = time.perf_counter()
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": f"{code}-{begun}"}
        answer = self._threads.http.post(self._url, json={"card_code": code}, headers=headers, timeout=30)
        answered, seconds = clock.now(), time.perf_counter() - begun
        answer.raise_for_status()
        return Stamp(code, answer.json()["stamps"], answered, seconds)


def phones_with_cards(here: Installation, feed: PushFeed, count: int) -> dict[str, Iphone]:
    """That many phones, each with the card of a new member, by the card's code."""
    roots = load_roots(here.pass_root.read_bytes())
    phones = {}
    for number in range(count):
        request = members.JoinRequest(phone=f"+35840555{number:04d}", name=f"Guest {number}", language="en")
        member, _ = members.join(here.context, Actor(here.program.id), request, source="till")
        phone = Iphone(here.sandbox["ca_file"], roots, feed)
        phone.add(f"{here.sandbox['wallet_url']}/c/{members.card_token(here.context, member)}/apple.pkpass")
        phones[member.card_code] = phone
    return phones


def send(tills: Tills, codes: list[str], stamps: int, rate: float) -> list[Stamp]:
    """Give the stamps at an even pace, whether or not the ones before were answered."""
    with ThreadPoolExecutor(TILLS) as pool:
        begun, given = time.perf_counter(), []
        for number in range(stamps):
            time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            given.append(pool.submit(tills.stamp, codes[number % len(codes)]))
        return [one.result() for one in given]


def settled(phones: dict[str, Iphone], last: dict[str, int]) -> None:
    """Wait until each phone shows the last stamp of its card; end with a message when one never does."""
    until = time.monotonic() + QUIET_SECONDS
    for code, phone in phones.items():
        if not phone.log.wait_for(lambda: _shown(phone.lock_screen[-1:], last[code]), until - time.monotonic()):  # noqa: B023 - asked at once
            sys.exit(f"{code}: shows {phone.lock_screen[-1:]}, not {last[code]} stamps")


def waits(phones: dict[str, Iphone], stamps: list[Stamp]) -> list[float]:
    """Seconds from each answer until the phone showed that stamp, or a later one of the same card."""
    found = []
    for one in stamps:
        shown = next(message for message in phones[one.code].lock_screen if _shown([message], one.count))
        found.append(max(0.0, (shown.at - one.answered).total_seconds()))
    return found


def _shown(messages: list[Message], count: int) -> bool:
    return any((match := re.search(r"(\d+) of", one.text)) and int(match[1]) >= count for one in messages)


def report(phones: dict[str, Iphone], stamps: list[Stamp], before: int, rate: float) -> None:
    after, answers = waits(phones, stamps), [one.seconds for one in stamps]
    print(f"| {len(stamps)} stamps, {rate:g} a second, {len(phones)} phones | median | 95% | 99% | longest |")
    print("|---|---:|---:|---:|---:|")
    for name, values in (("till: until the answer", answers), ("phone: from the answer to the lock screen", after)):
        cells = " | ".join(f"{share(values, part) * 1000:.0f} ms" for part in (0.5, 0.95, 0.99, 1.0))
        print(f"| {name} | {cells} |")
    shown = sum(len(phone.lock_screen) for phone in phones.values()) - before
    took = (stamps[-1].answered - stamps[0].answered).total_seconds()
    print(f"\n{shown} messages were shown for {len(stamps)} stamps, which took {took:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long stamps are given")
    parser.add_argument("--rate", type=float, default=20.0, help="stamps a second (the API takes 20 from one till)")
    chosen = parser.parse_args()
    stamps = int(chosen.seconds * chosen.rate)
    with Installation() as here:
        print(f"{machine()}\n", flush=True)
        here.start_sandbox()
        here.start_web()
        here.start_worker()
        feed = PushFeed(RemotePushService(here.sandbox["control"]["apns"]))
        phones = phones_with_cards(here, feed, max(LEAST_PHONES, -(-stamps // MOST_STAMPS)))
        try:
            tills, codes = Tills(here), list(phones)
            settled(phones, _last(send(tills, codes, len(codes), chosen.rate / 2)))  # warms up
            before = sum(len(phone.lock_screen) for phone in phones.values())
            given = send(tills, codes, stamps, chosen.rate)
            settled(phones, _last(given))
            report(phones, given, before, chosen.rate)
        finally:
            feed.stop()
            for phone in phones.values():
                phone.stop()


def _last(stamps: list[Stamp]) -> dict[str, int]:
    """How many stamps each card has at the end."""
    counts: dict[str, int] = defaultdict(int)
    for one in stamps:
        counts[one.code] = max(counts[one.code], one.count)
    return counts


if __name__ == "__main__":
    main()
