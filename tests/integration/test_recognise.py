"""What the till's one box takes its text for: nobody is served for another, and no proof is given for a number."""

import pytest
from sqlalchemy import func, select

from app.db.credit import SpendingProof
from app.services import members, old_cards, recognise, spending_proofs
from app.services.context import Actor
from app.services.errors import Refused
from app.services.recognise import What
from app.services.views import MemberView
from tests.factories import Shop, open_shop


def found(shop: Shop, text: str) -> recognise.Recognised:
    return recognise.recognise(shop.ctx, shop.cashier, text)


def kind_refused(shop: Shop, text: str) -> str:
    with pytest.raises(Refused) as refusal:
        found(shop, text)
    return refusal.value.kind


def whose(found: recognise.Recognised) -> object:
    return found.member.id if found.member else None


def with_old_card(shop: Shop, number: str, phone: int = 0) -> MemberView:
    member = shop.member(phone)
    old_cards.add(shop.ctx, shop.owner, member.id, number)
    return member


def proves(shop: Shop, found: recognise.Recognised, actor: Actor | None = None) -> bool:
    assert found.member
    return spending_proofs.is_valid(shop.ctx, actor or shop.cashier, found.member.id, found.proof)


def test_a_card_is_its_member_and_proof(shop: Shop) -> None:
    member = shop.member()
    for text in (member.card_code, f" {member.card_code.lower()} ", "-".join(member.card_code)):
        card = found(shop, text)
        assert (What.CARD, member.id, "") == (card.what, whose(card), card.code)
        assert proves(shop, card)


def test_a_phone_number_is_its_member_and_no_proof(shop: Shop) -> None:
    member = shop.member(7)
    for text in ("0401230007", "+358 40 123 0007", "۰۴۰ ۱۲۳ ۰۰۰۷"):
        phone = found(shop, text)
        assert (What.PHONE, member.id, "", "") == (phone.what, whose(phone), phone.proof, phone.code)


@pytest.mark.parametrize("text", ["K-00417", "k 00417", "1234567", ";1234567=99?", "#1234567", "1234567890123456"])
def test_an_old_card_is_its_member_and_proof(shop: Shop, text: str) -> None:
    member = with_old_card(shop, text)
    card = found(shop, text)
    assert (What.OLD_CARD, member.id) == (card.what, whose(card))
    assert proves(shop, card)


@pytest.mark.parametrize("text", ["42", "00417"])
def test_a_short_old_cards_number_is_its_member_and_no_proof(shop: Shop, text: str) -> None:
    member = with_old_card(shop, text)
    card = found(shop, text)
    assert (What.OLD_CARD, member.id, "") == (card.what, whose(card), card.proof)


@pytest.mark.parametrize(
    "text", ["4829135", "482 9135", "482-9135", "۴۸۲۹۱۳۵", "٤٨٢٩١٣٥", "４８２９１３５", " 4829135\u200f"]
)
def test_seven_digits_in_any_script_are_a_credit_code(shop: Shop, text: str) -> None:
    assert recognise.Recognised(What.CREDIT_CODE, code="4829135") == found(shop, text)


def test_seven_digits_keep_their_leading_zeros(shop: Shop) -> None:
    assert "0000042" == found(shop, "0000042").code


def test_an_old_card_with_seven_digits_can_still_be_meant_as_a_code(shop: Shop) -> None:
    member = with_old_card(shop, "4829135")
    both = found(shop, "4829135")
    assert (What.OLD_CARD, member.id, "4829135") == (both.what, whose(both), both.code)


def test_where_phones_have_seven_digits_a_members_phone_comes_before_a_code(shop: Shop) -> None:
    assert What.CREDIT_CODE is found(shop, "6112345").what
    iceland = open_shop(shop.ctx, "reykjavik", country="IS")
    request = members.JoinRequest(phone="6112345")
    native = members.join(shop.ctx, Actor(iceland.program.id), request, source="web")[0]
    both = found(iceland, "611 2345")
    assert (What.PHONE, native.id, "6112345", "") == (both.what, whose(both), both.code, both.proof)


def test_one_number_of_two_customers_is_refused_until_it_is_said_which(shop: Shop) -> None:
    caller = shop.member(7)
    holder = with_old_card(shop, "0401230007", phone=8)

    assert "two-members" == kind_refused(shop, "0401230007")

    assert caller.id == whose(found(shop, "+358401230007"))
    card = found(shop, "#0401230007")
    assert (What.OLD_CARD, holder.id) == (card.what, whose(card))


@pytest.mark.parametrize("text", ["0401230007", "#0401230007", ";0401230007?", "358401230007", "401230007"])
def test_an_old_card_that_has_its_members_own_phone_number_is_no_proof(shop: Shop, text: str) -> None:
    member = with_old_card(shop, text, phone=7)
    card = found(shop, text)
    assert (member.id, "") == (whose(card), card.proof)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0" * 16, "member-not-found"),
        ("0409999999", "member-not-found"),
        ("#999", "member-not-found"),
        (";999=1?", "member-not-found"),
        ("", "unreadable-code"),
        ("hello", "unreadable-code"),
        ("123456", "unreadable-code"),
        ("12345678", "unreadable-code"),
        ("x" * 5000, "unreadable-code"),
        ("\x00", "unreadable-code"),
    ],
)
def test_what_is_nothing_says_so(shop: Shop, text: str, kind: str) -> None:
    assert kind == kind_refused(shop, text)


def test_another_programmes_cards_and_members_are_nobody(shop: Shop) -> None:
    other = open_shop(shop.ctx, "toinen")
    stranger = with_old_card(other, "K-00417")
    assert "member-not-found" == kind_refused(shop, stranger.card_code)
    assert "member-not-found" == kind_refused(shop, stranger.phone)
    assert "member-not-found" == kind_refused(shop, "#K-00417")


def test_recognising_never_counts_as_trying_a_code(shop: Shop) -> None:
    for number in range(60):
        assert What.CREDIT_CODE is found(shop, f"{number:07d}").what
    with shop.ctx.sessions() as session:
        assert 0 == session.scalar(select(func.count()).select_from(SpendingProof))


class TestByCard:
    """How the API finds members: by card only, since addresses are kept in logs."""

    def test_both_kinds_of_card_are_found(self, shop: Shop) -> None:
        member = with_old_card(shop, "K-00417-9")
        for text in (member.card_code, "K-00417-9", "#K-00417-9"):
            found, proof, _ = recognise.by_card(shop.ctx, shop.cashier, text)
            assert member.id == found.id
            assert spending_proofs.is_valid(shop.ctx, shop.cashier, member.id, proof)

    def test_an_old_card_that_has_its_members_phone_number_gives_no_proof(self, shop: Shop) -> None:
        member = with_old_card(shop, "0401230007", phone=7)
        found, proof, _ = recognise.by_card(shop.ctx, shop.cashier, "0401230007")
        assert (member.id, "") == (found.id, proof)

    @pytest.mark.parametrize(
        ("text", "kind"),
        [("+358401230007", "unreadable-code"), ("0401230007", "unreadable-code"), ("0" * 16, "member-not-found")],
    )
    def test_a_phone_number_is_not_looked_up(self, shop: Shop, text: str, kind: str) -> None:
        shop.member(7)
        with pytest.raises(Refused) as refusal:
            recognise.by_card(shop.ctx, shop.cashier, text)
        assert kind == refusal.value.kind
