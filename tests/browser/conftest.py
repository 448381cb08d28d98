"""A running server over a clean database, and pages of a headless Chromium that look at it."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from app.services.context import Context
from app.web.factory import create_app
from tests.factories import Shop

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
def live(ctx: Context, shop: Shop) -> Iterator[Live]:
    server = make_server("127.0.0.1", 0, create_app(ctx), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Live(f"http://localhost:{server.server_port}", shop)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, live: Live) -> Iterator[Page]:
    """A desktop window. Errors on the page fail the test."""
    yield from _page(browser, live, 1280, 800)


@pytest.fixture
def phone(browser: Browser, live: Live) -> Iterator[Page]:
    """A phone-sized window. Errors on the page fail the test."""
    yield from _page(browser, live, 390, 844)


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
