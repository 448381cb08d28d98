"""The demo's sandbox: started beside it, and told to the settings, as an owner would tell Apple, Google and Twilio."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from app import settings as settings_module
from app.cli.processes import Running, python
from app.settings import Settings

START_SECONDS = 30.0
SMS_PARTS_PER_SECOND = 10.0  # nobody who tries Leima out wants to wait for a real number's pace


class DemoSandbox:
    """The process with the stand-ins and the pretend phones. It listens on the port after the demo's."""

    def __init__(self, settings: Settings, pass_root: Path) -> None:
        self.folder = _folder(settings)
        self.port = settings.port + 1
        arguments = ["--folder", str(self.folder), "--app-url", f"http://127.0.0.1:{settings.port}"]
        arguments += ["--public-url", settings.base_url, "--port", str(self.port), "--pass-root", str(pass_root)]
        self.process = Running("sandbox", python("-m", "sandbox", *arguments))
        self.told: dict[str, Any] = {}

    def start(self) -> None:
        """Start it, and put into the environment where it listens. Ends the demo when it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "sandbox.json"
        before = _written(file)
        self.process.watch()
        until = time.monotonic() + START_SECONDS
        while _written(file) == before:
            if self.process.child is None or self.process.child.poll() is not None or time.monotonic() > until:
                self.process.stop()
                raise click.ClickException(f"The sandbox did not start on port {self.port}. Is the port taken?")
            time.sleep(0.05)
        self.told = json.loads(file.read_text())
        os.environ |= _environment(self.told)


def settings_beside(settings: Settings) -> Settings:
    """The settings that the demo has which runs on this data folder; the given ones when none does."""
    try:
        told = json.loads((_folder(settings) / "sandbox.json").read_text())
        place = urlsplit(told["phones_url"])
        socket.create_connection((place.hostname, place.port or 80), timeout=1).close()
    except (OSError, ValueError, KeyError):
        return settings
    return settings_module.load(os.environ | _environment(told))


def _environment(told: dict[str, Any]) -> dict[str, str]:
    """The settings by which Leima finds the stand-ins."""
    google, twilio = told["google"], told["twilio"]
    return {
        "LEIMA_WALLET_URL": told["wallet_url"],
        "LEIMA_APNS_ADDRESS": told["apns"],
        "LEIMA_CA_FILE": told["ca_file"],
        "LEIMA_GOOGLE_ISSUER_ID": google["issuer_id"],
        "LEIMA_GOOGLE_ACCOUNT_FILE": google["service_account"],
        "LEIMA_GOOGLE_API_URL": google["api_url"],
        "LEIMA_GOOGLE_SAVE_URL": google["save_url"],
        "LEIMA_GOOGLE_KEYS_URL": google["keys_url"],
        "LEIMA_SMS_PROVIDER": "twilio",
        "LEIMA_SMS_SENDER": twilio["number"],
        "LEIMA_SMS_PARTS_PER_SECOND": str(SMS_PARTS_PER_SECOND),
        "LEIMA_TWILIO_ACCOUNT_SID": twilio["account_sid"],
        "LEIMA_TWILIO_AUTH_TOKEN": twilio["auth_token"],
        "LEIMA_TWILIO_API_URL": twilio["api_url"],
    }


def _folder(settings: Settings) -> Path:
    return settings.data.resolve() / "sandbox"


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0
