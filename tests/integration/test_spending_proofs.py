"""Who knows only a phone number cannot spend: the proofs of a card shown, or of a code that was sent to the phone."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.db.credit import SpendingProof
from app.db.ledger import AuditEntry
from app.db.messages import SmsMessage
from app.db.people import MemberStatus
from app.services import members, sms_sending, sms_texts, spending_proofs, till
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.spending_proofs import CODE_LASTS, LASTS, MOST_TRIES
from app.services.views import MemberView
from app.wiring import connect_valkey, make_limiter
from tests.factories import Shop, actor_for, open_shop

SetClock = Callable[[datetime], None]
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def member(shop: Shop) -> MemberView:
    return shop.member(7)


@pytest.fixture
def dora(shop: Shop) -> Actor:
    return actor_for(shop.second_cashier)


def refusal_of(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value


def sent_codes(ctx: Context) -> list[str]:
    """The codes on the customers' phones, the newest last: read from the SMS as they are sent."""
    with ctx.sessions() as session:
        rows = session.scalars(select(SmsMessage).where(SmsMessage.template == "one_time").order_by(SmsMessage.id))
        return [re.findall(r"\b\d{6}\b", sms_sending.body_of(ctx, session, row))[0] for row in rows]


def forget_limits(ctx: Context) -> None:
    ctx.valkey.flushdb()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


class TestProofs:
    def test_a_proof_holds_for_half_an_hour(self, shop: Shop, member: MemberView, at: SetClock) -> None:
        at(NOON)
        proof = spending_proofs.make(shop.ctx, shop.cashier, member.id)
        for seconds, valid in ((0, True), (LASTS.total_seconds() - 1, True), (LASTS.total_seconds(), False)):
            at(NOON + timedelta(seconds=seconds))
            assert valid is spending_proofs.is_valid(shop.ctx, shop.cashier, member.id, proof)

    def test_it_holds_for_nobody_else(self, shop: Shop, member: MemberView, dora: Actor) -> None:
        proof = spending_proofs.make(shop.ctx, shop.cashier, member.id)
        assert not spending_proofs.is_valid(shop.ctx, dora, member.id, proof)
        assert not spending_proofs.is_valid(shop.ctx, shop.api, member.id, proof)
        assert not spending_proofs.is_valid(shop.ctx, shop.cashier, shop.member(8).id, proof)

    def test_a_made_up_one_is_worth_nothing(self, shop: Shop, member: MemberView) -> None:
        proof = spending_proofs.make(shop.ctx, shop.cashier, member.id)
        moment, _, signature = proof.partition("-")
        later = f"{int(moment, 16) + 60:x}-{signature}"
        for made_up in (
            "",
            "x",
            "-",
            later,
            f"{'f' * 12}-{'0' * 64}",
            f"{moment}-{'0' * 64}",
            proof.upper(),
            proof + "0",
            "۱" * 80,
        ):
            assert not spending_proofs.is_valid(shop.ctx, shop.cashier, member.id, made_up)

    def test_a_reward_needs_proof_or_the_members_own_card(self, shop: Shop, member: MemberView) -> None:
        other = shop.member(8)
        issued = till.give_stamps(shop.ctx, shop.cashier, member.phone, count=20)[0]["issued"]
        first, second = (members.by_id(shop.ctx, shop.cashier, member.id).rewards[n].id for n in (0, 1))
        assert 2 == len(issued)

        def redeem(**evidence: str) -> Callable[[], object]:
            return lambda: till.redeem_reward(shop.ctx, shop.cashier, first, **evidence)  # type: ignore[arg-type]

        assert "proof-needed" == refusal_of(redeem()).kind
        theirs = spending_proofs.make(shop.ctx, shop.cashier, other.id)
        for evidence in (
            {"card_code": other.card_code},
            {"card_code": member.phone},
            {"proof": theirs},
            {"proof": "x"},
        ):
            assert "proof-not-valid" == refusal_of(redeem(**evidence)).kind
        assert 2 == len(members.by_id(shop.ctx, shop.cashier, member.id).rewards)

        redeem(card_code=member.card_code.lower())()
        proof = spending_proofs.make(shop.ctx, shop.cashier, member.id)
        till.redeem_reward(shop.ctx, shop.cashier, second, proof=proof)
        assert () == members.by_id(shop.ctx, shop.cashier, member.id).rewards

    def test_a_repeat_gets_its_answer_after_the_proof_ran_out(
        self, shop: Shop, member: MemberView, at: SetClock
    ) -> None:
        at(NOON)
        till.give_stamps(shop.ctx, shop.cashier, member.phone, count=10)
        reward = members.by_id(shop.ctx, shop.cashier, member.id).rewards[0].id
        proof = spending_proofs.make(shop.ctx, shop.cashier, member.id)
        first = till.redeem_reward(shop.ctx, shop.cashier, reward, proof=proof, key="k")
        at(NOON + timedelta(hours=1))
        again = till.redeem_reward(shop.ctx, shop.cashier, reward, proof=proof, key="k")
        assert (first[0], True) == again


class TestOneTimeCodes:
    def test_the_code_on_the_phone_gives_a_proof_once(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)
        proof, _ = spending_proofs.confirm(shop.ctx, shop.cashier, member.id, code)
        assert spending_proofs.is_valid(shop.ctx, shop.cashier, member.id, proof)
        again = refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, code))
        assert "one-time-code-over" == again.kind

    def test_digits_of_any_script_and_spaces_are_read(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)
        persian = code.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
        assert spending_proofs.confirm(shop.ctx, shop.cashier, member.id, f" {persian[:3]} {persian[3:]}\u200f")

    def test_the_code_rests_nowhere_and_staff_do_not_read_it_in_the_conversation(
        self, shop: Shop, member: MemberView
    ) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)
        with shop.ctx.sessions() as session:
            message = session.scalars(select(SmsMessage)).one()
            shown = sms_sending.body_of(shop.ctx, session, message, hide_link=True)
            kept = [message.text, str(message.params), *map(str, session.scalars(select(AuditEntry.details)))]
        assert "••••••" in shown
        assert not any(code in text for text in (shown, *kept))

    def test_wrong_codes_are_counted_down_and_the_fifth_ends_it(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)
        said = [
            refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, wrong(code)))
            for _ in range(MOST_TRIES)
        ]
        assert ["one-time-code-wrong"] * 4 + ["one-time-code-over"] == [refusal.kind for refusal in said]
        assert [4, 3, 2, 1] == [refusal.params["left"] for refusal in said[:4]]
        right = refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, code))
        assert "one-time-code-over" == right.kind
        assert not spending_proofs.is_waiting(shop.ctx, shop.cashier, member.id)

    def test_eight_tries_at_once_are_five(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)

        def attempt(_: int) -> str:
            return refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, wrong(code))).kind

        with ThreadPoolExecutor(8) as pool:
            kinds = list(pool.map(attempt, range(8)))
        assert (4, 4) == (kinds.count("one-time-code-wrong"), kinds.count("one-time-code-over"))
        with shop.ctx.sessions() as session:
            assert MOST_TRIES == session.scalars(select(SpendingProof)).one().tries

    @pytest.mark.parametrize("typed", ["", "12345", "x" * 500, "\x00", "½½½½½½"])
    def test_nonsense_is_a_wrong_code(self, shop: Shop, member: MemberView, typed: str) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        refusal = refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, typed))
        assert "one-time-code-wrong" == refusal.kind

    def test_it_is_over_after_ten_minutes(self, shop: Shop, member: MemberView, at: SetClock) -> None:
        at(NOON)
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        (code,) = sent_codes(shop.ctx)
        at(NOON + CODE_LASTS)
        assert not spending_proofs.is_waiting(shop.ctx, shop.cashier, member.id)
        late = refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, code))
        assert "one-time-code-over" == late.kind

    def test_two_tills_have_a_code_each_and_neither_takes_the_others(
        self, shop: Shop, member: MemberView, dora: Actor
    ) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        spending_proofs.send(shop.ctx, dora, member.id)
        first, second = sent_codes(shop.ctx)
        assert first != second
        assert (
            "one-time-code-wrong"
            == refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, second)).kind
        )
        spending_proofs.confirm(shop.ctx, shop.cashier, member.id, first)
        spending_proofs.confirm(shop.ctx, dora, member.id, second)

    def test_sent_again_it_is_the_same_code_with_the_tries_that_are_left(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, "x"))
        forget_limits(shop.ctx)
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        first, second = sent_codes(shop.ctx)
        assert first == second
        refusal = refusal_of(lambda: spending_proofs.confirm(shop.ctx, shop.cashier, member.id, "x"))
        assert 3 == refusal.params["left"]

    def test_a_double_click_sends_one_message(self, shop: Shop, member: MemberView) -> None:
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        assert "too-many-tries" == refusal_of(lambda: spending_proofs.send(shop.ctx, shop.cashier, member.id)).kind
        assert 1 == len(sent_codes(shop.ctx))

    def test_a_phone_gets_five_an_hour_whoever_asks(self, shop: Shop, member: MemberView) -> None:
        askers = [Actor(shop.program.id, staff_id=person.id) for person in shop.people.values()]
        askers += [actor_for(shop.second_cashier), shop.api]
        outcomes = []
        for asker in askers:
            try:
                spending_proofs.send(shop.ctx, asker, member.id)
                outcomes.append("sent")
            except Refused as refusal:
                outcomes.append(refusal.kind)
        assert ["sent"] * 5 + ["too-many-tries"] == outcomes
        assert 5 == len(sent_codes(shop.ctx))

    def test_codes_for_erasing_and_for_the_till_do_not_use_each_other_up(self, shop: Shop, member: MemberView) -> None:
        page = Actor(shop.program.id)
        for asker in (page, *(Actor(shop.program.id, staff_id=person.id) for person in shop.people.values())):
            spending_proofs.send(shop.ctx, asker, member.id, template=sms_texts.ERASE_CODE)
        dora = actor_for(shop.second_cashier)
        more = refusal_of(lambda: spending_proofs.send(shop.ctx, dora, member.id, template=sms_texts.ERASE_CODE))
        assert "too-many-tries" == more.kind
        spending_proofs.send(shop.ctx, shop.cashier, member.id)
        code = sent_codes(shop.ctx)[-1]
        assert spending_proofs.confirm(shop.ctx, shop.cashier, member.id, code)

    def test_without_valkey_nothing_is_sent(self, shop: Shop, member: MemberView) -> None:
        away = connect_valkey("redis://127.0.0.1:1")
        ctx = replace(shop.ctx, valkey=away, limiter=make_limiter(away))
        refusal = refusal_of(lambda: spending_proofs.send(ctx, shop.cashier, member.id))
        assert ("limiter-down", 503) == (refusal.kind, refusal.status)
        with shop.ctx.sessions() as session:
            assert 0 == session.scalar(select(func.count()).select_from(SmsMessage))
        assert (
            "one-time-code-over"
            == refusal_of(lambda: spending_proofs.confirm(ctx, shop.cashier, member.id, "000000")).kind
        )

    @pytest.mark.parametrize(
        ("status", "kind"), [(MemberStatus.BLOCKED, "member-blocked"), (MemberStatus.LEFT, "member-left")]
    )
    def test_who_may_not_spend_gets_no_code(
        self, shop: Shop, member: MemberView, status: MemberStatus, kind: str
    ) -> None:
        members.set_status(shop.ctx, shop.owner, member.id, status)
        assert kind == refusal_of(lambda: spending_proofs.send(shop.ctx, shop.cashier, member.id)).kind

    def test_strangers_of_another_programme_are_nobody(self, shop: Shop) -> None:
        stranger = open_shop(shop.ctx, "toinen").member()
        for act in (
            lambda: spending_proofs.send(shop.ctx, shop.cashier, stranger.id),
            lambda: spending_proofs.confirm(shop.ctx, shop.cashier, stranger.id, "000000"),
        ):
            assert "member-not-found" == refusal_of(act).kind
