"""Our scripts, styles and pictures. Each address carries a hash of them all, so that browsers keep them for a year."""

import hashlib
from pathlib import Path

from flask import Flask, Response, send_from_directory, url_for

from app.web.access import public

FOLDER = Path(__file__).parent / "static"
_A_YEAR = 365 * 24 * 3600


class Assets:
    """The files of the static folder, served under /static/<hash>/<name>. Hashed at the start of each process."""

    def __init__(self, app: Flask) -> None:
        # One hash for all: scripts import each other by relative addresses, so they have to change together.
        content = hashlib.sha256()
        for file in sorted(FOLDER.iterdir()):
            content.update(file.name.encode() + b"\0" + file.read_bytes())
        self.version = content.hexdigest()[:12]

        @public
        def serve(version: str, name: str) -> Response:
            """An older page may ask for an older address: it gets what there is, and asks again the next time."""
            response = send_from_directory(FOLDER, name)
            current = version == self.version
            response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable" if current else "no-cache"
            return response

        app.add_url_rule("/static/<string:version>/<string:name>", "static", serve)

    def address(self, name: str) -> str:
        return url_for("static", version=self.version, name=name)
