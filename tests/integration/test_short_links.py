"""Personal short links: where they lead, and whose openings are counted as what."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import clock, logs
from app.db.campaigns import ClickKind, LinkClick
from app.db.engine import make_engine, make_sessions
from app.services import clicks, members, short_links
from app.services.clicks import Click, ClickCounter
from app.services.context import Context
from app.services.link_visitors import SIGNS, visitor
from app.web.factory import create_app
from tests.factories import Shop
from tests.integration.campaign_links import recipient, run_of

SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
PERSON = {"User-Agent": SAFARI, "Accept-Language": "fi-FI"}


def counted(app: Flask, shop: Shop) -> dict[tuple[int, str], int]:
    """Clicks by recipient and kind, when all are written."""
    assert app.extensions["leima_clicks"].flush()
    with shop.ctx.sessions() as session:
        rows = session.execute(
            select(LinkClick.recipient_number, LinkClick.kind, func.count()).group_by(
                LinkClick.recipient_number, LinkClick.kind
            )
        )
        return {(number, kind): count for number, kind, count in rows}


def test_a_link_to_the_card_opens_the_members_own_card(client: FlaskClient, shop: Shop) -> None:
    run, erin, frank = run_of(shop), shop.member(1, name="Erin"), shop.member(2, name="Frank")
    for member in (erin, frank):
        recipient(shop, run, member)
    answer = client.get("/l/Token_0001", headers=PERSON)
    assert (302, f"/c/{members.card_token(shop.ctx, erin)}") == (answer.status_code, answer.location)
    page = client.get(answer.location).text
    assert "Erin" in page
    assert "Frank" not in page


def test_nothing_that_comes_along_decides_where_a_link_leads(client: FlaskClient, shop: Shop) -> None:
    run = run_of(shop, "https://kulma.example/menu?a=1&b=ä#today")
    recipient(shop, run, shop.member(1))
    evil = "https://evil.example/"
    for query in ("", f"?url={evil}", f"?next={evil}", f"?to={evil}&link={evil}", "?lang=fi"):
        answer = client.get(f"/l/Token_0001{query}", headers=PERSON | {"Host": "localhost", "X-Forwarded-Host": evil})
        assert "https://kulma.example/menu?a=1&b=%C3%A4#today" == answer.location
    for path in (f"/l/{evil}", "/l//evil.example", "/l/Token_0001/https://evil.example"):
        assert urlsplit(client.get(path).headers.get("Location", "")).hostname in (None, "localhost")


@pytest.mark.parametrize(
    "link", ["", "http://kulma.example", "javascript:alert(1)", "//evil.example", "/office", "data:text/html,x"]
)
def test_only_the_card_and_https_addresses_are_led_to(client: FlaskClient, shop: Shop, link: str) -> None:
    recipient(shop, run_of(shop, link), shop.member(1))
    answer = client.get("/l/Token_0001", headers=PERSON | {"Accept-Language": "en"})
    assert 404 == answer.status_code
    assert "This link leads nowhere" in answer.text


def test_links_are_private_and_never_kept(client: FlaskClient, shop: Shop) -> None:
    recipient(shop, run_of(shop), shop.member(1))
    for path in ("/l/Token_0001", "/l/Token_9999", "/u/Token_0001"):
        headers = client.get(path, headers=PERSON).headers
        assert "no-referrer" == headers["Referrer-Policy"]
        assert "no-store" == headers["Cache-Control"]
        assert "noindex" in headers["X-Robots-Tag"]


def test_an_unknown_link_says_so_kindly_and_cannot_be_tried_for_long(client: FlaskClient, shop: Shop) -> None:
    recipient(shop, run_of(shop), shop.member(1))
    assert "Look whether all of it was copied" in client.get("/l/Nothing_01").text
    assert {client.get(f"/l/Guess_{number:04}").status_code for number in range(119)} == {404}
    assert 429 == client.get("/l/Guess_9999").status_code
    assert 429 == client.get("/u/Guess_9998").status_code
    assert 302 == client.get("/l/Token_0001", headers=PERSON).status_code  # a phone company has one address for all


def test_people_previews_and_scanners_are_counted_apart(app: Flask, client: FlaskClient, shop: Shop) -> None:
    run = run_of(shop)
    erin, frank = recipient(shop, run, shop.member(1)), recipient(shop, run, shop.member(2))
    for _ in range(2):
        client.get("/l/Token_0001", headers=PERSON)
    client.get("/l/Token_0002", headers=PERSON)
    client.get("/l/Token_0001", headers={"User-Agent": "WhatsApp/2.24.20.85 A"})
    client.head("/l/Token_0001", headers=PERSON)
    client.get("/l/Token_0002", headers={"User-Agent": ""})
    assert {
        (erin.number, "person"): 2,
        (frank.number, "person"): 1,
        (erin.number, "preview"): 1,
        (erin.number, "scanner"): 1,
        (frank.number, "scanner"): 1,
    } == counted(app, shop)
    with shop.ctx.sessions() as session:
        found = short_links.openings(session, run.id)
    assert [(2, 3), (1, 1), (2, 2)] == [(found[kind].unique, found[kind].total) for kind in ClickKind]


def test_previews_are_led_on_as_people_are(client: FlaskClient, shop: Shop) -> None:
    """Who looks first and opens then must find the same."""
    recipient(shop, run_of(shop, "https://kulma.example/"), shop.member(1))
    answers = [client.get("/l/Token_0001", headers={"User-Agent": agent}) for agent in (SAFARI, "TelegramBot", "curl")]
    assert [(302, "https://kulma.example/")] * 3 == [(answer.status_code, answer.location) for answer in answers]


@pytest.mark.parametrize(
    ("kind", "agent"),
    [
        ("preview", "WhatsApp/2.23.20.0"),
        ("preview", "TelegramBot (like TwitterBot)"),
        ("preview", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
        (
            "preview",  # Apple's Messages
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
            "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        ),
        ("preview", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
        ("preview", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)"),
        ("preview", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com"),
        ("preview", "GoogleMessages"),
        ("scanner", "Google-Safety"),
        ("scanner", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        ("scanner", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0.0.0 Safari/537.36"),
        ("scanner", "python-requests/2.32.3"),
        ("scanner", "curl/8.5.0"),
        ("scanner", "Mozilla/5.0 zgrab/0.x"),
        ("scanner", "  "),
        ("person", SAFARI),
        (
            "person",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile "
            "Safari/537.36",
        ),
        (
            "person",  # a phone of Cubot's, whose name ends as robots' do
            "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Mobile "
            "Safari/537.36",
        ),
        (
            "person",  # inside Telegram's and Facebook's own browsers there are people
            "Mozilla/5.0 (Linux; Android 14; Pixel 7) AppleWebKit/537.36 Chrome/129.0 Mobile Safari/537.36 "
            "Telegram-Android/11.3.3 (Google Pixel 7; Android 14; SDK 34; HIGH)",
        ),
        (
            "person",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Mobile/15E148 [FBAN/FBIOS;FBAV/480.0]",
        ),
    ],
)
def test_who_opens_a_link_is_told_by_the_browser_they_name(kind: str, agent: str) -> None:
    assert kind == visitor("GET", PERSON | {"User-Agent": agent}).kind


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("preview", {"Sec-Purpose": "prefetch;prerender"}),
        ("preview", {"Purpose": "prefetch"}),
        ("preview", {"X-Purpose": "preview"}),
        ("preview", {"X-Moz": "prefetch"}),
        ("preview", {"Sec-Fetch-Mode": "no-cors"}),
        ("person", {"Sec-Fetch-Mode": "navigate"}),
        ("scanner", {"Accept-Language": ""}),
    ],
)
def test_what_was_not_opened_by_a_person_is_told_by_its_headers(kind: str, headers: dict[str, str]) -> None:
    found = visitor("GET", PERSON | headers)
    assert kind == found.kind
    assert (kind != "person") == bool(found.reason)


def test_every_sign_has_its_reason() -> None:
    assert [] == [sign.pattern.pattern for sign in SIGNS if len(sign.reason) < 2 or sign.kind is ClickKind.PERSON]


@pytest.fixture
def told() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What the log says of clicks."""
    stream = io.StringIO()
    logs.configure("warning", stream)
    yield lambda: [
        {name: line[name] for name in ("event", "clicks", "reason")}
        for line in map(json.loads, stream.getvalue().splitlines())
    ]
    logs.configure("error")


def test_counting_never_holds_a_link_up(ctx: Context, shop: Shop, told: Callable[[], list[dict[str, object]]]) -> None:
    """The table is locked for seconds: clicks wait, and those that do not fit are dropped, and told."""
    row = recipient(shop, run_of(shop), shop.member(1))
    counter = ClickCounter(ctx, most_waiting=10)
    with ctx.engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE link_clicks IN ACCESS EXCLUSIVE MODE")
        counter.note(Click(row.number, ClickKind.PERSON, clock.now()))
        time.sleep(2 * clicks.GATHER_SECONDS)  # the first is being written
        begun = time.perf_counter()
        for _ in range(1000):
            counter.note(Click(row.number, ClickKind.PERSON, clock.now()))
        taken = time.perf_counter() - begun
        other.rollback()
        counter.close()
    with ctx.sessions() as session:
        assert 11 == session.scalar(select(func.count()).select_from(LinkClick))
    assert [{"event": "clicks.dropped", "clicks": 990, "reason": "full"}] == told()
    assert taken / 1000 < 0.001


def test_clicks_are_dropped_and_told_when_the_database_is_away(
    ctx: Context, told: Callable[[], list[dict[str, object]]]
) -> None:
    gone = make_engine("postgresql://leima@127.0.0.1:1/leima")
    counter = ClickCounter(replace(ctx, engine=gone, sessions=make_sessions(gone)))
    counter.note(Click(1, ClickKind.PERSON, clock.now()))
    counter.close()
    gone.dispose()
    assert [{"event": "clicks.dropped", "clicks": 1, "reason": "OperationalError"}] == told()


def test_the_click_of_somebody_erased_spoils_no_others(ctx: Context, shop: Shop) -> None:
    row = recipient(shop, run_of(shop), shop.member(1))
    now = clock.now()
    clicks.write(ctx, [Click(number, ClickKind.PERSON, now) for number in (row.number + 7, row.number)])
    with ctx.sessions() as session:
        assert [row.number] == list(session.scalars(select(LinkClick.recipient_number)))


def test_one_link_opened_over_and_over_does_not_fill_the_table(ctx: Context, shop: Shop) -> None:
    row = recipient(shop, run_of(shop), shop.member(1))
    now = clock.now()
    for _ in range(4):
        clicks.write(ctx, [Click(row.number, ClickKind.SCANNER, now)] * 300)
    with ctx.sessions() as session:
        kept = session.scalar(select(func.count()).select_from(LinkClick)) or 0
    assert clicks.MOST_A_LINK <= kept < clicks.MOST_A_LINK + 300


def test_clicks_of_many_threads_are_all_counted(ctx: Context, shop: Shop) -> None:
    run = run_of(shop)
    rows = [recipient(shop, run, shop.member(number)) for number in range(8)]
    counter = ClickCounter(ctx)

    def click(number: int) -> None:
        for _ in range(50):
            counter.note(Click(number, ClickKind.PERSON, clock.now()))

    threads = [threading.Thread(target=click, args=(row.number,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counter.close()
    with ctx.sessions() as session:
        assert {ClickKind.PERSON: (8, 400)} == {
            kind: (found.unique, found.total)
            for kind, found in short_links.openings(session, run.id).items()
            if found.total
        }


_PROCESS = """
import os, sys
from app import clock, settings, wiring
from app.db.campaigns import ClickKind
from app.services.clicks import Click, ClickCounter
wired = wiring.Wired(settings.load())
counter = ClickCounter(wired.context)
numbers = [int(number) for number in sys.argv[1:]]
if len(numbers) == 2:
    counter.note(Click(numbers[0], ClickKind.PERSON, clock.now()))
    assert counter.flush()
    wired.context.engine.dispose()
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        sys.exit()
counter.note(Click(numbers[-1], ClickKind.PERSON, clock.now()))
"""


def _process(shop: Shop, *numbers: int) -> None:
    used = shop.ctx.settings
    environment = os.environ | {
        "LEIMA_ENV": "test",
        "LEIMA_DATA": str(used.data),
        "LEIMA_SECRET_KEY": used.secret_key.get_secret_value(),
        "LEIMA_DATABASE_URL": used.database_url.get_secret_value(),
        "LEIMA_REDIS_URL": used.redis_url.get_secret_value(),
    }
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _PROCESS, *map(str, numbers)]
    subprocess.run(command, env=environment, check=True, timeout=60)


def test_what_waits_is_written_when_the_process_ends(ctx: Context, shop: Shop) -> None:
    row = recipient(shop, run_of(shop), shop.member(1))
    _process(shop, row.number)
    with ctx.sessions() as session:
        assert [row.number] == list(session.scalars(select(LinkClick.recipient_number)))


def test_a_process_that_was_forked_counts_for_itself(ctx: Context, shop: Shop) -> None:
    run = run_of(shop)
    first, second = recipient(shop, run, shop.member(1)), recipient(shop, run, shop.member(2))
    _process(shop, first.number, second.number)
    with ctx.sessions() as session:
        found = list(session.scalars(select(LinkClick.recipient_number).order_by(LinkClick.recipient_number)))
    assert [first.number, second.number] == found


def test_links_work_while_tries_cannot_be_counted(ctx: Context, shop: Shop) -> None:
    from app.wiring import connect_valkey, make_limiter

    recipient(shop, run_of(shop), shop.member(1))
    gone = connect_valkey("unix:///nowhere/valkey.sock")
    browser = create_app(replace(ctx, valkey=gone, limiter=make_limiter(gone))).test_client()
    assert 302 == browser.get("/l/Token_0001", headers=PERSON).status_code
    assert 404 == browser.get("/l/Token_0002", headers=PERSON).status_code
