"""How long after a customer's text the reply with the card is handed to the SMS provider.

    python bench/sms_join.py [--joins N]

The Twilio stand-in posts signed webhooks to gunicorn over HTTP, one after the other, each from a new number; the reply
comes back to the stand-in over TLS from a worker process. Timed from before the webhook is posted until the stand-in
has the reply. Durable database; web, worker, PostgreSQL, Valkey and stand-in share the machine. Prints Markdown.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.services import join_codes
from app.services.context import Actor
from bench.installation import Installation, machine, share
from sandbox.twilio import TwilioSandbox

CODE = "04821"
WARM_UP = 10
SECONDS = 30.0  # for one reply, at most; the first waits until the worker is there


@dataclass(frozen=True, slots=True)
class Timed:
    """One join, in milliseconds: until the webhook was answered, and until the provider had the reply."""

    answered: float
    replied: float


def start(here: Installation, twilio: TwilioSandbox) -> None:
    """Web and worker, with the stand-in as their provider."""
    here.set(
        ca_file=str(twilio.ca_file),
        sms_provider="twilio",
        sms_sender=twilio.number,
        sms_parts_per_second="1000",
        twilio_account_sid=twilio.account,
        twilio_auth_token=twilio.auth_token,
        twilio_api_url=twilio.url,
        public_url=here.url,
    )
    twilio.poster.inbound_url = f"{here.url}/sms/twilio/inbound"
    join_codes.create(here.context, Actor(here.program.id), {"code": CODE, "via": "window"})
    here.start_web()
    here.start_worker()


def join(twilio: TwilioSandbox, number: int) -> Timed:
    """Somebody new texts the code."""
    phone = f"+3584011{number:05}"
    seen = len(twilio.messages.all) + 1  # the text itself
    begun = time.perf_counter()
    answer = twilio.poster.text(phone, CODE)
    answered = time.perf_counter() - begun
    if answer["status"] != 200:
        sys.exit(f"the webhook was answered with {answer['status']}")
    if not twilio.messages.since(seen, SECONDS):
        sys.exit(f"no reply within {SECONDS:.0f} s")
    return Timed(answered * 1000, (time.perf_counter() - begun) * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joins", type=int, default=200, help="how many people join")
    chosen = parser.parse_args()
    with Installation(web_workers=2) as here, TwilioSandbox(here.folder / "twilio") as twilio:
        print(f"{machine()}\n", flush=True)
        start(here, twilio)
        timed = [join(twilio, 10_000 + number) for number in range(WARM_UP + chosen.joins)][WARM_UP:]
    print("| ms from the customer's text | median | p90 | p99 |")
    print("|---|---:|---:|---:|")
    for name in ("answered", "replied"):
        values = [getattr(one, name) for one in timed]
        shown = {"answered": "the webhook is answered", "replied": "the provider has the reply"}[name]
        print(f"| {shown} | {median(values):.0f} | {share(values, 0.9):.0f} | {share(values, 0.99):.0f} |")


if __name__ == "__main__":
    main()
