"""Who may not manage reads no member's phone number on any page of the office, and may look for one they know."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from app.db.campaigns import Campaign
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsMessage
from app.db.people import Role
from app.services import campaign_sending, segments, sms_incoming, till
from app.services.context import Context
from app.services.sms_incoming import Incoming
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.campaign_rows import NOON, WANTS_OFFERS, sending

SignIn = Callable[[Role], FlaskClient]
DIGITS = "401230007"  # of +358 40 1230007
EVERYBODY = {"name": "All", "where-kind": "all", "where-0-kind": "language", "where-0-language": "en"}


@pytest.fixture
def member(ctx: Context, shop: Shop, at: Callable[[datetime], None]) -> MemberView:
    """Without a name, so that pages are tempted to show the number instead; with something to see everywhere."""
    at(NOON)
    found = shop.member(7, **WANTS_OFFERS)
    till.give_stamps(ctx, shop.cashier, found.card_code, amount_minor=500)
    sms_incoming.receive(ctx, Incoming("console", "SM" + "1" * 32, found.phone, "Hello?"))
    run = sending(ctx, shop, [found])
    campaign_sending.claim(ctx, run, 10)
    with ctx.sessions.begin() as session:
        session.add(
            OutboxRow(
                channel=Channel.APPLE,
                program_id=shop.program.id,
                subject_id=found.card_id,
                state=OutboxState.DEAD,
                due_at=NOON,
                created_at=NOON,
                error="No answer",
            )
        )
    return found


def numbers(page: str) -> str:
    """All digits of what a page says, tokens apart."""
    return re.sub(r"\D", "", re.sub(r"<[^>]*>", " ", page))


def addresses(app: Flask, ids: dict[str, UUID]) -> Iterator[str]:
    """Every office page that a marketer may open, about what there is."""
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            view = app.view_functions[rule.endpoint]
            roles = getattr(view, "access", ())
            if "GET" in (rule.methods or ()) and rule.endpoint.startswith("office.") and Role.MARKETER in roles:
                yield from _filled(rule, ids)


def _filled(rule: Rule, ids: dict[str, UUID]) -> Iterator[str]:
    if rule.arguments <= ids.keys():
        built = rule.build({name: ids[name] for name in rule.arguments})
        if built is not None:
            yield built[1]


def the_ids(ctx: Context, shop: Shop, member: MemberView) -> dict[str, UUID]:
    with ctx.sessions() as session:
        return {
            "member_id": member.id,
            "message_id": session.scalars(select(SmsMessage.id).order_by(SmsMessage.id)).all()[0],
            "campaign_id": session.scalars(select(Campaign.id)).one(),
            "segment_id": segments.save(ctx, shop.owner, EVERYBODY),
        }


def test_no_page_of_the_office_tells_a_marketer_a_number(
    app: Flask, ctx: Context, shop: Shop, sign_in: SignIn, member: MemberView
):
    ids = the_ids(ctx, shop, member)
    marketer, manager = sign_in(Role.MARKETER), sign_in(Role.MANAGER)
    seen, shown = [], []
    for address in list(addresses(app, ids)):
        answer = marketer.get(address, follow_redirects=True)
        assert 200 == answer.status_code, address
        seen.append(address)
        assert DIGITS not in numbers(answer.text), address
        assert DIGITS not in answer.text, address
        if DIGITS in numbers(manager.get(address, follow_redirects=True).text):
            shown.append(address)
    assert len(seen) > 20
    # The same pages show it to who may see it: so the test looks where there is something to see.
    for known in (
        "/office/members",
        f"/office/members/{member.id}",
        "/office/messages",
        f"/office/messages/member/{member.id}",
        f"/office/campaigns/{ids['campaign_id']}/log",
        f"/office/segments/{ids['segment_id']}",
        "/office/delivery",
    ):
        assert known in shown


@pytest.mark.parametrize(("typed", "found"), [("040 123 0007", True), ("+358401230007", True), ("1230007", False)])
def test_a_marketer_finds_a_member_by_the_whole_number_only(
    shop: Shop, sign_in: SignIn, member: MemberView, typed: str, found: bool
):
    answer = sign_in(Role.MARKETER).post("/office/members", data={"text": typed})
    assert found == (f"/office/members/{member.id}" in answer.text)
    assert DIGITS not in numbers(answer.text)


def test_what_is_counted_as_it_is_typed_shows_masked_people(shop: Shop, sign_in: SignIn, member: MemberView):
    counted = sign_in(Role.MARKETER).post("/office/segments/count", data=EVERYBODY)
    assert (200, True, False) == (counted.status_code, str(member.id) in counted.text, DIGITS in numbers(counted.text))


def test_files_with_numbers_are_the_managers(ctx: Context, shop: Shop, sign_in: SignIn, member: MemberView):
    address = f"/office/campaigns/{the_ids(ctx, shop, member)['campaign_id']}/log.csv"
    assert 403 == sign_in(Role.MARKETER).get(address).status_code
    assert DIGITS in sign_in(Role.MANAGER).get(address).text
