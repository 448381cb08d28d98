"""The demo's sandbox: started beside it, and told to the settings, as an owner would tell Apple and Google."""

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from app.cli.processes import Running, python
from app.settings import Settings

START_SECONDS = 30.0


class DemoSandbox:
    """The process with the stand-ins and the pretend phones. It listens on the port after the demo's."""

    def __init__(self, settings: Settings, pass_root: Path) -> None:
        self.folder = settings.data.resolve() / "sandbox"
        self.port = settings.port + 1
        arguments = ["--folder", str(self.folder), "--app-url", f"http://127.0.0.1:{settings.port}"]
        arguments += ["--port", str(self.port), "--pass-root", str(pass_root)]
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
        google = self.told["google"]
        os.environ |= {
            "LEIMA_WALLET_URL": self.told["wallet_url"],
            "LEIMA_APNS_ADDRESS": self.told["apns"],
            "LEIMA_CA_FILE": self.told["ca_file"],
            "LEIMA_GOOGLE_ISSUER_ID": google["issuer_id"],
            "LEIMA_GOOGLE_ACCOUNT_FILE": google["service_account"],
            "LEIMA_GOOGLE_API_URL": google["api_url"],
            "LEIMA_GOOGLE_SAVE_URL": google["save_url"],
            "LEIMA_GOOGLE_KEYS_URL": google["keys_url"],
        }


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0
