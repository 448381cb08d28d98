"""The customer's own pages: receipts, details, what they want to hear, and the download of all that is theirs."""

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock
from app.db import tables
from app.db.campaigns import ClickKind
from app.db.ledger import AuditEntry
from app.db.people import Consent, MemberStatus
from app.db.programs import Program
from app.i18n import LANGUAGES
from app.services import (
    campaign_messages,
    clicks,
    consents,
    credits,
    members,
    messages,
    own_data_sections,
    purchases,
    sms_sending,
    till,
)
from app.services.clicks import Click
from app.services.own_data_sections import LEFT_OUT, SECTIONS
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.campaign_links import recipient, run_of

WORDING = "Café Kulma may send me offers by SMS. I can stop them at any time."
DETAILS = {"name": "Erin", "language": "en", "email": "", "birth_date": "", "city": ""}


def own(shop: Shop, member: MemberView) -> str:
    return urlsplit(members.card_url(shop.ctx, member)).path + "/me"


def again(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def words(shop: Shop, member: MemberView) -> list[tuple[str, bool, str, str]]:
    with shop.ctx.sessions() as session:
        rows = session.scalars(select(Consent).where(Consent.member_id == member.id).order_by(Consent.id))
        return [(row.purpose, row.granted, row.source, row.wording) for row in rows]


def downloaded(client: FlaskClient, shop: Shop, member: MemberView) -> dict[str, Any]:
    answer = client.get(own(shop, member) + "/data.json")
    assert 200 == answer.status_code
    found: dict[str, Any] = json.loads(answer.data)
    return found


def test_the_card_leads_to_ones_own_pages(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    page = client.get(own(shop, member).removesuffix("/me")).text
    for path in ("", "/receipts", "/friend"):
        assert f'href="{own(shop, member)}{path}"' in page
        assert 200 == client.get(own(shop, member) + path).status_code


def test_an_unknown_link_opens_none_of_them(client: FlaskClient, shop: Shop) -> None:
    for path in ("", "/receipts", "/friend", "/data.json", "/data.zip"):
        assert 404 == client.get(f"/c/AAAAAAAAAAAAAAAAAAAAAA/me{path}").status_code
    for path in ("/details", "/hear/sms_marketing"):
        assert 404 == client.post(f"/c/AAAAAAAAAAAAAAAAAAAAAA/me{path}", data=DETAILS).status_code


def test_the_links_in_the_addresses_stay_private(client: FlaskClient, shop: Shop) -> None:
    for path in ("", "/receipts", "/friend", "/data.json"):
        headers = client.get(own(shop, shop.member(1)) + path, buffered=True).headers
        assert ("no-referrer", "no-store") == (headers["Referrer-Policy"], headers["Cache-Control"])


def test_receipts_show_what_was_bought_where_and_when(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    lines = [Line("Latte <oat>", quantity="2", amount_minor=900), Line("Bun", quantity="1", amount_minor=350)]
    buy(shop, member, 1250, "R-7", lines)
    page = client.get(own(shop, member) + "/receipts").text
    for shown in ("€12.50", "R-7", "Kulma", "2 × Latte &lt;oat&gt;", "€9.00", "Bun", "€3.50"):
        assert shown in page


def test_details_are_changed_and_the_card_follows(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    changed = {"name": " Erin  Example ", "language": "fi", "email": "erin@example.com", "birth_date": "1990-05-17"}
    answer = client.post(own(shop, member) + "/details", data=changed | {"city": "Turku"})
    assert 303 == answer.status_code
    assert '<html lang="fi"' in client.get(answer.location).text
    now = again(shop, member)
    assert ("Erin  Example", "fi", "erin@example.com", date(1990, 5, 17), "Turku") == (
        now.name,
        now.language,
        now.email,
        now.birth_date,
        now.city,
    )
    assert member.card_version + 1 == now.card_version
    assert member.news == now.news  # nothing speaks on the lock screen
    with shop.ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "member.changed-own-details")).one()
    assert (member.id, {"fields": ["birth_date", "city", "email", "language", "name"]}) == (
        entry.subject_id,
        entry.details,
    )


def test_what_the_card_does_not_show_gives_it_no_new_version(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    for city in ("Turku", "Turku"):
        client.post(own(shop, member) + "/details", data=DETAILS | {"city": city})
    assert member.card_version == again(shop, member).card_version
    assert "Turku" == again(shop, member).city


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_changed(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    typed = DETAILS | {"name": "Frank", "email": "frank", "birth_date": "2190-01-01", "language": "xx"}
    answer = client.post(own(shop, member) + "/details", data=typed)
    assert 422 == answer.status_code
    for field in ("email", "birth_date", "language"):
        assert f'id="{field}-error"' in answer.text
    assert 'value="frank"' in answer.text
    assert member == again(shop, member)


def test_a_persian_birthday_is_typed_in_its_own_calendar(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, language="fa", birth_date=date(1990, 5, 17))
    assert "۱۳۶۹-۰۲-۲۷" in client.get(own(shop, member)).text
    client.post(own(shop, member) + "/details", data=DETAILS | {"language": "fa", "birth_date": "۱۳۶۹-۰۲-۲۸"})
    assert date(1990, 5, 18) == again(shop, member).birth_date


def test_offers_are_stopped_and_agreed_to_with_their_words(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, consents={"terms": "I accept.", "sms_marketing": WORDING})
    path = own(shop, member) + "/hear/sms_marketing"
    for granted in ("no", "no", "yes", "yes"):
        assert 303 == client.post(path, data={"granted": granted}).status_code
    stopped, agreed = words(shop, member)[-2:]
    assert ("sms_marketing", False, "card_page", "Café Kulma may send me no more offers by SMS.") == stopped
    assert ("sms_marketing", True, "card_page", WORDING) == agreed
    assert 4 == len(words(shop, member))


def test_each_word_is_shown_with_when_how_and_what(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, consents={"terms": "I accept the terms <b>.", "sms_marketing": WORDING})
    client.post(own(shop, member) + "/hear/sms_marketing", data={"granted": "no"})
    page = client.get(own(shop, member)).text
    for shown in (WORDING, "on the page for joining", "on your own page", "I accept the terms &lt;b&gt;."):
        assert shown in page


def test_only_known_purposes_can_be_agreed_to(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    for purpose in ("terms", "anything"):
        answer = client.post(f"{own(shop, member)}/hear/{purpose}", data={"granted": "yes"})
        assert 404 == answer.status_code
    assert [] == words(shop, member)


def test_every_source_of_a_consent_has_its_words() -> None:
    assert {"web", "till", "api", "sms", "import", "office", "provider", "link", "card_page"} == set(consents.SOURCES)


@pytest.mark.parametrize("status", [MemberStatus.LEFT, MemberStatus.BLOCKED])
def test_who_left_or_is_blocked_reads_and_takes_the_data_but_changes_nothing(
    client: FlaskClient, shop: Shop, status: MemberStatus
) -> None:
    member = shop.member(1, name="Erin", consents={"sms_marketing": WORDING})
    members.set_status(shop.ctx, shop.owner, member.id, status)
    path = own(shop, member)
    assert "own.save_details" not in client.get(path).text
    assert 403 == client.post(f"{path}/details", data=DETAILS | {"name": "Frank"}).status_code
    assert 303 == client.post(f"{path}/hear/sms_marketing", data={"granted": "no"}).status_code
    assert 403 == client.post(f"{path}/hear/sms_marketing", data={"granted": "yes"}).status_code
    assert "Erin" == downloaded(client, shop, member)["member"][0]["name"]
    assert "Erin" == again(shop, member).name


def test_a_friend_gets_the_way_to_join_and_nothing_else(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    page = client.get(own(shop, member) + "/friend").text
    assert "http://localhost:8400/join/kulma?via=friend" in page
    assert member.phone not in page


def buy(shop: Shop, member: MemberView, amount_minor: int, receipt_no: str, lines: Sequence[Line] = ()) -> None:
    request = PurchaseRequest(amount_minor, card=member.card_code, receipt_no=receipt_no, lines=lines)
    purchases.record(shop.ctx, shop.cashier, request)


def sent(shop: Shop, member: MemberView, **values: Any) -> None:
    """A message to the member, as by the campaign engine or by somebody of the staff."""
    with shop.ctx.sessions.begin() as session:
        program = session.get_one(Program, shop.program.id)
        sms_sending.queue(session, program, member.phone, language="en", member_id=member.id, **values)


def a_life(shop: Shop, number: int, name: str) -> MemberView:
    """A member with something in nearly every table."""
    member = shop.member(number, name=name, consents={"terms": "I accept.", "sms_marketing": WORDING})
    buy(shop, member, 500, f"R-{name}")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=9)
    form = {"amount": "7", "last_day": "2030-01-01", "reason": f"for {name}", "sms": "on"}
    credits.grant(shop.ctx, shop.owner, member.id, form, key=name)
    messages.send_card_link(shop.ctx, member)
    run = run_of(shop, name=f"Autumn for {name}")
    row = recipient(shop, run, member)
    sent(shop, member, template="campaign", params=campaign_messages.params(run.id, row.number))
    sent(shop, member, text=f"{name}, your card: {members.card_url(shop.ctx, member)}")
    clicks.write(shop.ctx, [Click(row.number, ClickKind.PERSON, clock.now())])
    return again(shop, member)


def test_the_download_has_all_that_is_kept_of_the_member(client: FlaskClient, shop: Shop) -> None:
    member = a_life(shop, 1, "Erin")
    found = downloaded(client, shop, member)
    assert [section.name for section in SECTIONS] == list(found)[1:]
    assert member.phone == found["member"][0]["phone"]
    assert "EUR" == found["programme"][0]["currency"]
    assert "R-Erin" in {row["receipt_no"] for row in found["purchases"]}
    assert {"stamp", "reward", "credit"} == {row["unit"] for row in found["ledger"]}
    assert [("Free coffee", "issued")] == [(row["name"], row["status"]) for row in found["rewards"]]
    assert [(700, "for Erin")] == [(row["amount_minor"], row["reason"]) for row in found["credits"]]
    assert {WORDING, "I accept."} == {row["wording"] for row in found["consents"]}
    assert ["Autumn for Erin"] == [row["campaign"] for row in found["campaigns"]]
    assert [("Autumn for Erin", "person")] == [(row["campaign"], row["kind"]) for row in found["clicks"]]
    texts = [row["text"] for row in found["messages"]]
    for words in ("Kulma Club: your card is here", "you have €7.00", "Come in: ", "Erin, your card: http"):
        assert any(words in text for text in texts)


def test_the_download_opens_nothing_and_names_no_staff(client: FlaskClient, shop: Shop) -> None:
    member = a_life(shop, 1, "Erin")
    files = [client.get(f"{own(shop, member)}/data.{form}").data for form in ("json", "zip")]
    with zipfile.ZipFile(io.BytesIO(files[1])) as archive:
        text = files[0].decode() + "".join(archive.read(name).decode() for name in archive.namelist())
    token = members.card_token(shop.ctx, member)
    for secret in (token, member.card_code, "Token_0001", "code_hash", "code_nonce", "Charlie", "Alice", "link_hash"):
        assert secret not in text


def test_the_download_has_nothing_of_anybody_else(client: FlaskClient, shop: Shop) -> None:
    erin, frank = a_life(shop, 1, "Erin"), a_life(shop, 2, "Frank")
    text = json.dumps(downloaded(client, shop, erin))
    for private in ("Frank", frank.phone, str(frank.id), str(frank.card_id)):
        assert private not in text


def test_the_tables_open_in_a_spreadsheet(client: FlaskClient, shop: Shop) -> None:
    member = a_life(shop, 1, "=cmd()")
    answer = client.get(own(shop, member) + "/data.zip")
    assert "application/zip" == answer.mimetype
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert None is archive.testzip()
        assert [f"{section.name}.csv" for section in SECTIONS] == archive.namelist()
        assert archive.read("member.csv").startswith(b"\xef\xbb\xbf")
        (row,) = csv.DictReader(io.StringIO(archive.read("member.csv").decode("utf-8-sig")))
    assert ("'=cmd()", f"'{member.phone}") == (row["name"], row["phone"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["json", "zip"])
def test_the_download_has_a_name_that_says_what_it_is(
    client: FlaskClient, shop: Shop, form: str, language: str
) -> None:
    answer = client.get(own(shop, shop.member(1, language=language)) + f"/data.{form}")
    assert f"attachment; filename=kulma-my-data-{clock.now():%Y-%m-%d}.{form}" == answer.headers["Content-Disposition"]
    assert answer.content_length == len(answer.data)


def test_there_are_two_kinds_of_download(client: FlaskClient, shop: Shop) -> None:
    for form in ("csv", "exe", ".."):
        assert 404 == client.get(own(shop, shop.member(1)) + f"/data.{form}").status_code


def test_downloads_are_limited(client: FlaskClient, shop: Shop) -> None:
    path = own(shop, shop.member(1)) + "/data.json"
    assert {200} == {client.get(path, buffered=True).status_code for _ in range(20)}
    assert 429 == client.get(path).status_code
    assert 200 == client.get(own(shop, shop.member(2)) + "/data.json", buffered=True).status_code


def test_no_table_that_names_a_member_is_forgotten() -> None:
    """A new table is to be handed out (SECTIONS), or to say why it is not (LEFT_OUT)."""
    theirs = {
        table.name
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if column.name in ("member_id", "card_id", "recipient_number")
        or any(key.column.table.name in ("members", "cards", "sms_messages") for key in column.foreign_keys)
    }
    assert {"consents", "link_clicks", "sms_events"} <= theirs
    handed_out = {section.table for section in SECTIONS}
    assert set() == theirs - handed_out - set(LEFT_OUT)
    assert set() == set(LEFT_OUT) & handed_out
    assert set() == (handed_out | set(LEFT_OUT)) - set(tables.metadata.tables)
    assert all(LEFT_OUT.values())


def test_no_section_hands_out_what_opens_or_pays_something() -> None:
    secret = ("code", "token", "hash", "nonce", "pepper", "link", "params", "key", "password")
    assert [] == [
        (section.name, column)
        for section in own_data_sections.SECTIONS
        for column in section.columns
        if any(part in column for part in secret)
    ]
