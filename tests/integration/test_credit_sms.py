"""The SMS of a credit: amount, last day and code, made when it is sent, and sent only while they hold."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app import clock
from app.i18n import translator
from app.services import (
    conversations,
    credit_codes,
    credits,
)
from sms.codes import grouped
from sms.delivery_states import State
from sms.reasons import Reason
from sms.text import count_parts
from tests.factories import Shop
from tests.integration.credit_shop import (
    credit_of,
    grant,
)
from tests.integration.sms_shop import SmsShop, open_sms_shop

FIRST, LAST = (clock.now().date() + timedelta(days=days) for days in (5, 30))


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        yield made


def test_the_member_gets_the_amount_the_last_day_and_the_code_by_sms(desk: SmsShop):
    member = desk.shop.member(language="fi")
    credit_id = grant(desk.shop, member, sms="on", last_day=str(LAST))
    (message,) = desk.messages(member.phone)
    desk.deliver()
    code = credit_codes.code_again(desk.ctx, credit_of(desk.shop, credit_id))
    (text,) = desk.on_phone(member.phone)
    assert all(part in text for part in ("Kulma Club", "12,50 €", translator("fi").short_date(LAST), grouped(code)))
    assert ({"credit_id": str(credit_id)}, "") == (message.params, message.text)


@pytest.mark.parametrize("language", ["en", "fi"])
def test_the_sms_fits_one_part_of_plain_letters(desk: SmsShop, language: str):
    member = desk.shop.member(language=language)
    grant(desk.shop, member, sms="on", last_day=str(LAST))
    desk.deliver()
    (text,) = desk.on_phone(member.phone)
    assert ("GSM-7", 1) == (count_parts(text).encoding, count_parts(text).parts)


def test_a_persian_member_reads_the_last_day_in_the_persian_calendar(desk: SmsShop):
    member = desk.shop.member(language="fa")
    grant(desk.shop, member, sms="on", last_day=str(LAST), first_day=str(FIRST))
    desk.deliver()
    (text,) = desk.on_phone(member.phone)
    persian = translator("fa")
    assert all(persian.short_date(day) in text for day in (FIRST, LAST))


def test_staff_read_the_message_without_its_code(desk: SmsShop):
    member = desk.shop.member()
    credit_id = grant(desk.shop, member, sms="on", last_day=str(LAST))
    desk.deliver()
    code = credit_codes.code_again(desk.ctx, credit_of(desk.shop, credit_id))
    (bubble,) = conversations.with_member(desk.ctx, desk.shop.owner, member.id).bubbles
    assert (False, True) == (grouped(code) in bubble.text, bubble.text.endswith("•••••••"))


def test_credit_that_was_withdrawn_before_the_sms_went_out_is_not_announced(desk: SmsShop):
    member = desk.shop.member()
    credit_id = grant(desk.shop, member, sms="on", last_day=str(LAST))
    credits.withdraw(desk.ctx, desk.shop.owner, credit_id, key="1")
    desk.deliver()
    (message,) = desk.messages(member.phone)
    assert ([], State.FAILED, Reason.OUTDATED) == (desk.on_phone(member.phone), message.state, message.reason)
