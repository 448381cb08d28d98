"""A message whose outcome is unknown is sent again only when the provider has nothing that could be it."""

from datetime import UTC, datetime, timedelta

from sms.delivery_states import State
from sms.provider import ProviderMessage
from sms.reconciling import Absent, Doubtful, Ours, judge

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _message(sid: str, body: str, minute: int = 0) -> ProviderMessage:
    return ProviderMessage(sid, "+358401234567", body, State.SENT, NOON + timedelta(minutes=minute))


def test_the_same_text_is_ours() -> None:
    other, ours = _message("SM1", "Welcome"), _message("SM2", "Your card")
    assert Ours(ours) == judge([other, ours], set(), "Your card")


def test_two_unknown_messages_with_the_same_text_get_one_each() -> None:
    late, early = _message("SM2", "Your card", 5), _message("SM1", "Your card")
    first = judge([late, early], set(), "Your card")
    assert Ours(early) == first
    assert Ours(late) == judge([late, early], {"SM1"}, "Your card")
    assert Absent() == judge([late, early], {"SM1", "SM2"}, "Your card")


def test_a_changed_text_is_doubtful_and_not_sent_again() -> None:
    found = _message("SM1", "Your card?")
    assert Doubtful((found,)) == judge([found], set(), "Your card…")


def test_a_code_that_cannot_be_written_again_is_the_only_message_that_nobody_knows() -> None:
    one, two = _message("SM1", "Code 1234567"), _message("SM2", "Code 7654321", 1)
    assert Ours(two) == judge([one, two], {"SM1"}, None)
    assert Doubtful((one, two)) == judge([two, one], set(), None)


def test_nothing_found_means_that_it_was_never_taken() -> None:
    assert Absent() == judge([], set(), "Your card") == judge([_message("SM1", "x")], {"SM1"}, None)
