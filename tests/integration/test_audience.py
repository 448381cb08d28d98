"""Files for advertising platforms: the hashes that each platform expects, of those who agreed, and never unnoticed."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock
from app.db.ledger import AuditEntry
from app.db.people import Consent, MemberStatus, Role
from app.services import audience, members, segments
from app.services.audience import Choice, Platform
from app.services.context import Context
from app.services.errors import Refused
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]

# printf '+358401230007' | sha256sum, and so on
WITH_PLUS = "738ae502dfac7a0aa810c93405a0d26887354a54f355919f3afb65a9162dffc5"
DIGITS = "7c4d2905efc73ebb6ac15263a702339cc9be63e15601f2317b33af3669d04c66"
ADDRESS = "f7d54c22dda5b1780276601cd005909b70543fc4a6ba72d735b4cb9bbb611f01"  # anna@example.com
SEGMENT = {"name": "Finns", "where-kind": "all", "where-0-kind": "language", "where-0-language": "fi"}
AGREED = {"sms_marketing": "Offers by SMS.", "email_marketing": "Offers by e-mail."}


def rows(ctx: Context, shop: Shop, platform: Platform = Platform.META, **choice: object) -> list[list[str]]:
    asked = Choice(platform, **({"segment_id": None, "everyone": False} | choice))  # type: ignore[arg-type]
    return list(csv.reader(io.StringIO("".join(audience.export(ctx, shop.owner, asked)))))


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (Platform.META, [["email", "phone"], [ADDRESS, DIGITS]]),
        (Platform.GOOGLE, [["Email", "Phone"], [ADDRESS, WITH_PLUS]]),
        (Platform.TIKTOK, [["Email_SHA256", "Phone_SHA256"], [ADDRESS, WITH_PLUS]]),
    ],
)
def test_each_platform_gets_its_own_form(ctx: Context, shop: Shop, platform: Platform, expected: list[list[str]]):
    shop.member(7, email="Anna@Example.com", consents=AGREED)
    assert expected == rows(ctx, shop, platform)


def test_spaces_and_capitals_do_not_change_an_address():
    assert [ADDRESS, ""] == [audience.hashed_email(" ANNA@example.com "), audience.hashed_email("")]


def test_a_number_and_an_address_each_need_their_own_consent(ctx: Context, shop: Shop):
    shop.member(7, email="anna@example.com", consents={"sms_marketing": "Offers by SMS."})
    shop.member(8, email="ben@example.com", consents={"email_marketing": "Offers by e-mail."})
    shop.member(9, email="cleo@example.com")
    expected = {("", DIGITS), (audience.hashed_email("ben@example.com"), "")}
    assert expected == {tuple(row) for row in rows(ctx, shop)[1:]}
    assert 3 == len(rows(ctx, shop, everyone=True)[1:])


def test_the_newest_word_counts(ctx: Context, shop: Shop):
    member = shop.member(7, consents=AGREED)
    with ctx.sessions.begin() as session:
        later = clock.now() + timedelta(seconds=1)
        for purpose in AGREED:
            session.add(
                Consent(member_id=member.id, purpose=purpose, granted=False, source="web", wording="No.", at=later)
            )
    assert [["email", "phone"]] == rows(ctx, shop)


def test_who_left_or_is_blocked_is_in_no_file(ctx: Context, shop: Shop):
    for number, status in ((7, MemberStatus.LEFT), (8, MemberStatus.BLOCKED)):
        member = shop.member(number, consents=AGREED)
        members.set_status(ctx, shop.owner, member.id, status)
    assert [["email", "phone"]] == rows(ctx, shop, everyone=True)


def test_a_segment_chooses(ctx: Context, shop: Shop):
    shop.member(7, consents=AGREED, language="fi")
    shop.member(8, consents=AGREED, language="en")
    segment_id = segments.save(ctx, shop.owner, SEGMENT)
    assert [["", DIGITS]] == rows(ctx, shop, segment_id=segment_id)[1:]


def test_another_programmes_segment_is_not_found(ctx: Context, shop: Shop):
    other = open_shop(ctx, "toinen")
    segment_id = segments.save(ctx, other.owner, SEGMENT)
    with pytest.raises(Refused, match="no such segment"):
        rows(ctx, shop, segment_id=segment_id)


def test_only_managers_may_and_each_file_is_in_the_audit_log(ctx: Context, shop: Shop, sign_in: SignIn):
    shop.member(7, consents=AGREED)
    form = {"platform": "google", "segment": "", "who": "agreed"}
    assert 403 == sign_in(Role.MARKETER).post("/office/audience", data=form).status_code
    answer = sign_in(Role.MANAGER).post("/office/audience", data=form)
    assert ("text/csv; charset=utf-8", f"Email,Phone\r\n,{WITH_PLUS}\r\n") == (answer.content_type, answer.text)
    with ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "audience.exported")).one()
        assert shop.people[Role.MANAGER].id == entry.staff_id
        assert {"platform": "google", "everyone": False} == entry.details
    with pytest.raises(Refused, match="manager"):
        audience.export(ctx, shop.actor(Role.MARKETER), Choice(Platform.META, None, False))


def test_everyone_needs_a_word_about_the_law(shop: Shop, sign_in: SignIn):
    manager = sign_in(Role.MANAGER)
    form = {"platform": "meta", "segment": "", "who": "everyone"}
    answer = manager.post("/office/audience", data=form)
    assert (422, True) == (answer.status_code, "Confirm that the law allows it" in answer.text)
    assert 200 == manager.post("/office/audience", data=form | {"lawful": "on"}).status_code


@pytest.mark.parametrize("wrong", [{"platform": "x"}, {"segment": "x"}])
def test_a_form_that_no_page_has_sent_is_refused(shop: Shop, sign_in: SignIn, wrong: dict[str, str]):
    form = {"platform": "meta", "segment": "", "who": "agreed"} | wrong
    assert 422 == sign_in(Role.MANAGER).post("/office/audience", data=form).status_code
