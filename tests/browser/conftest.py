"""A running server over a clean database, and pages of a headless Chromium that look at it."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from tests.factories import PASSWORD, Shop

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Chromium asks its makers' hosts for updates at every start; the tests reach no network.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


@dataclass(frozen=True)
class Live:
    """A running server and the shop in it."""

    url: str
    shop: Shop


class Answering:
    """WSGI: knows of every request that is being answered, so that none writes into the next test's database."""

    def __init__(self, app: Flask) -> None:
        self._app, self._requests, self._change = app, 0, threading.Condition()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self._count(1)
        try:
            answer = self._app(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:  # werkzeug's server leaves files open when Chromium hangs up
                getattr(answer, "close", lambda: None)()
        finally:
            self._count(-1)

    def ended(self) -> None:
        """Wait until all are answered."""
        with self._change:
            assert self._change.wait_for(lambda: not self._requests, 15)

    def _count(self, more: int) -> None:
        with self._change:
            self._requests += more
            self._change.notify_all()


def chromium_path() -> str | None:
    wanted = (os.environ.get("LEIMA_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in wanted if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: run scripts/install-chromium.sh, or set LEIMA_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def live(web_app: Flask, shop: Shop) -> Iterator[Live]:
    answering = Answering(web_app)
    server = make_server("127.0.0.1", 0, answering, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield Live(f"http://localhost:{server.server_port}", shop)
    server.shutdown()
    thread.join()
    server.server_close()
    answering.ended()


@pytest.fixture
def page(browser: Browser, live: Live) -> Iterator[Page]:
    """A desktop window. Errors on the page fail the test."""
    yield from _page(browser, live, 1280, 800)


@pytest.fixture
def phone(browser: Browser, live: Live) -> Iterator[Page]:
    """A phone-sized window. Errors on the page fail the test."""
    yield from _page(browser, live, 390, 844)


def sign_in(page: Page, login: str = "alice", start: str = "/office") -> None:
    """Sign somebody of the staff in, and open a page. The form has tests of its own."""
    form = page.request.get("/staff/sign-in").text()
    (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', form)
    given = {"csrf_token": token, "login": login, "password": PASSWORD}
    page.request.post("/staff/sign-in", form=given, max_redirects=0)
    page.goto(start)


def at_the_till(page: Page, login: str = "charlie", *, language: str = "en", scripts: bool = True) -> None:
    """Sign somebody in, and wait until the till takes scans."""
    sign_in(page, login, f"/till?lang={language}")
    if scripts:
        settled(page)


def settled(page: Page) -> None:
    """Wait until the till takes Enter for a person's, not for the end of the last scan."""
    page.wait_for_selector("#code")
    until = time.monotonic() + 15  # Playwright's own waiting looks ever less often, and is late by half a second
    while not page.locator("#code[data-ready]").count():
        assert time.monotonic() < until
        page.wait_for_timeout(20)


def _page(browser: Browser, live: Live, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(
        base_url=live.url, viewport={"width": width, "height": height}, locale="en-GB", accept_downloads=True
    )
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console", lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None
    )
    yield opened
    context.close()
    assert errors == []
