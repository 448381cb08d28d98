"""Trouble on demand: the stand-ins of Apple, Google and Twilio answer with errors, or not at all, for a while."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from threading import Timer

from sandbox import apns_rules, google_faults, twilio_faults
from sandbox.apns import ApnsSandbox
from sandbox.google import GoogleSandbox
from sandbox.twilio import TwilioSandbox

APPLE = {
    "503": ("ServiceUnavailable", "503: service unavailable"),
    "500": ("InternalServerError", "500: internal error"),
    "429": ("TooManyRequests", "429: too many requests"),
    "410": ("Unregistered", "410: the card is no longer on the phone"),
    "down": ("", "down: no connection at all"),
}
GOOGLE = {
    "503": (503, "503: backend error"),
    "500": (500, "500: internal error"),
    "429": (429, "429: too many requests"),
    "401": (401, "401: the access token is refused"),
    "down": (0, "down: no answer at all"),
}
SMS = {
    "429": ("429", "429: too many requests"),
    "503": ("refuse-503", "503: not taken"),
    "500": ("500-after-accepting", "500: taken, though it says otherwise"),
    "lost": ("drop-after-accepting", "taken, but the answer is lost"),
    "silent": ("hang-after-accepting", "taken, but there is no answer for two minutes"),
    "early": ("callbacks-first", "the reports come before the answer"),
    "21610": ("21610", "21610: refused, the phone has opted out"),
    "30003": ("30003", "30003: undelivered, the phone is out of reach"),
    "30007": ("30007", "30007: undelivered, filtered as spam"),
    "30450": ("30450", "30450: failed, it looks like fraud"),
    "down": ("drop", "down: no answer at all"),
}
CHOICES: dict[str, Container[str]] = {"apple": APPLE, "google": GOOGLE, "sms": SMS}
NAMES = {"apple": "Apple", "google": "Google", "sms": "SMS"}
_MOST = 100_000
LONGEST_SECONDS = 600


@dataclass(slots=True)
class FaultPanel:
    """Starts and ends faults. A fault lasts for a number of requests, or for some seconds; being down, for seconds."""

    apns: ApnsSandbox
    google: GoogleSandbox
    twilio: TwilioSandbox
    told: list[str] = field(default_factory=list)
    """What was set and has not been ended by its time or by hand, in words."""
    _timers: list[Timer] = field(default_factory=list)

    def start(self, service: str, fault: str, amount: int, unit: str) -> None:
        """Let one of CHOICES fail in one of its ways; `unit` is “requests” or “seconds”."""
        if fault == "down":
            unit = "seconds"
        amount = max(1, min(amount, LONGEST_SECONDS))
        begin = {"apple": self._start_apple, "google": self._start_google, "sms": self._start_sms}[service]
        end = begin(fault, amount, unit)
        words = f"for {amount} seconds" if unit == "seconds" else f"for the next {amount} requests"
        note = f"{NAMES[service]} {fault} {words}"
        self.told.append(note)
        if unit == "seconds":
            self._later(amount, end, note)

    def end_all(self) -> None:
        """Everything works again."""
        self.close()
        self.told.clear()
        self.apns.up()
        self.apns.rules.clear_faults()
        self.google.faults.clear()
        self.twilio.faults.clear()

    def close(self) -> None:
        """Forget the faults that would end later."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _start_apple(self, fault: str, amount: int, unit: str) -> Callable[[], None]:
        if fault == "down":
            self.apns.down()
            return self.apns.up
        count = amount if unit == "requests" else None
        self.apns.rules.add_fault(apns_rules.Fault(APPLE[fault][0], count=count))
        return self.apns.rules.clear_faults

    def _start_google(self, fault: str, amount: int, unit: str) -> Callable[[], None]:
        count = amount if unit == "requests" else _MOST
        if fault == "down":
            self.google.faults.add(google_faults.Fault(0, count=count, path=""))
        else:
            self.google.faults.add(google_faults.Fault(GOOGLE[fault][0], count=count))
        return self.google.faults.clear

    def _start_sms(self, fault: str, amount: int, unit: str) -> Callable[[], None]:
        count = amount if unit == "requests" else _MOST
        self.twilio.faults.add(twilio_faults.Fault(SMS[fault][0], count))
        return self.twilio.faults.clear

    def _later(self, seconds: int, end: Callable[[], None], note: str) -> None:
        def finish() -> None:
            end()
            if note in self.told:
                self.told.remove(note)

        timer = Timer(seconds, finish)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()
