"""Tills that give stamps through the API, each request again and again until it is answered."""

import random
import threading
import time
from collections import Counter

import requests

PAUSE = 0.1


class Stamps:
    """The stamps of one run, taken one by one by the tills: which card is next, and how many were answered."""

    def __init__(self, codes: list[str], number: int, chance: random.Random) -> None:
        self._left = [chance.choice(codes) for _ in range(number)]
        self._lock = threading.Lock()
        self.given: Counter[str] = Counter()
        self.answered = 0
        self.retries = 0
        self.faults: list[str] = []

    def take(self) -> tuple[int, str] | None:
        """A number for the idempotency key, and the card; None when all stamps are given or under way."""
        with self._lock:
            return (len(self._left), self._left.pop()) if self._left else None

    def done(self, code: str) -> None:
        with self._lock:
            self.given[code] += 1
            self.answered += 1


class Till(threading.Thread):
    """One till. Between the stamps it tries what is refused: that must reach nobody's phone."""

    def __init__(self, url: str, key: str, stamps: Stamps, refused: list[str]) -> None:
        super().__init__(name="till")
        self.url, self.stamps, self.refused = url, stamps, refused
        self._headers = {"Authorization": f"Bearer {key}"}
        self._key = key[-8:]
        self.ended = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            session.headers.update(self._headers)
            while not self.ended.is_set() and (taken := self.stamps.take()) is not None:
                number, code = taken
                if self._ask(session, f"{self._key}-{number}", code, 1) == 200:
                    self.stamps.done(code)
                if number % 10 == 0 and self.refused:
                    self._ask(session, f"{self._key}-{number}-refused", self.refused[number % len(self.refused)], 999)

    def _ask(self, session: requests.Session, key: str, code: str, count: int) -> int:
        """The final answer's status; 0 when the run was ended before."""
        while not self.ended.is_set():
            try:
                answer = session.post(
                    f"{self.url}/api/v1/stamps",
                    json={"card_code": code, "count": count},
                    headers={"Idempotency-Key": key},
                    timeout=15,
                )
            except requests.RequestException:
                pass
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    if (answer.status_code == 200) != (count == 1):
                        self.stamps.faults.append(f"{count} stamps: {answer.status_code} {answer.text[:200]}")
                    return answer.status_code
            self.stamps.retries += 1
            time.sleep(PAUSE)
        return 0
