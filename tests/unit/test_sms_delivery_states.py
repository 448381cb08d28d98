"""Delivery reports come late, out of order and repeatedly; the end is the same whatever the order."""

from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sms.delivery_states import FINAL, RANK, State, later
from sms.provider import SmsError
from sms.provider_line import Answer
from sms.reasons import MEANINGS, Reason
from sms.twilio_errors import REASONS, STATES, reason, refusal

REPORTS = st.lists(st.sampled_from(State), min_size=1)


@given(REPORTS, st.randoms())
def test_the_order_of_reports_and_repeats_make_no_difference(reports: list[State], random: Random) -> None:
    again = reports + random.choices(reports, k=3)
    random.shuffle(again)
    assert reduce(later, reports, State.QUEUED) == reduce(later, again, State.QUEUED)


@given(REPORTS)
def test_a_message_never_goes_back(reports: list[State]) -> None:
    known = State.QUEUED
    for report in reports:
        assert RANK[later(known, report)] >= RANK[known]
        known = later(known, report)


def test_states_follow_each_other_as_documented() -> None:
    assert ["queued", "sending", "unknown", "accepted", "sent", "failed", "undelivered", "delivered"] == list(State)
    assert {State.FAILED, State.UNDELIVERED, State.DELIVERED} == FINAL
    assert all(RANK[State.SENT] < RANK[state] for state in FINAL)


def test_any_report_settles_an_unknown_outcome() -> None:
    for reported in STATES.values():
        assert reported == later(State.UNKNOWN, reported)


def test_every_reason_has_a_meaning_and_words_for_the_staff() -> None:
    assert set(Reason) == set(MEANINGS)
    assert all(meaning.words.endswith(".") for meaning in MEANINGS.values())
    assert [] == [one for one in Reason if MEANINGS[one].permanent and MEANINGS[one].stop]


def test_codes_mean_what_the_provider_says() -> None:
    permanent = {code for code, found in REASONS.items() if MEANINGS[found].permanent}
    stop = {code for code, found in REASONS.items() if MEANINGS[found].stop}
    assert {30004, 30005, 30006, 30007, 21610, 21211, 21614} <= permanent
    assert {30003, 30001, 21611, 20429} & (permanent | stop) == set()
    assert {30450, 30453, 30002, 20003} <= stop
    assert ("opted-out", "busy", "unknown", "unknown", "unknown") == tuple(
        map(reason, ("21610", 30001, "99999", None, "²"))
    )


def test_a_code_that_nobody_knows_is_kept_and_its_message_not_sent_again() -> None:
    error = refusal(Answer(400, {}, '{"code": 29999, "message": "new"}'))
    assert ("29999", True, "unknown") == (error.code, error.permanent, error.reason)


def test_an_answer_without_a_code_is_judged_by_its_status() -> None:
    for text in ("", "<html>", "[]", '{"code": "x"}', '{"code": null}'):
        unknown, busy, account = (refusal(Answer(status, {}, text)) for status in (502, 429, 401))
        assert (True, "busy", True) == (unknown.unknown, busy.reason, account.stop)


def test_a_server_error_is_unknown_even_with_a_code_that_we_know() -> None:
    assert refusal(Answer(500, {}, '{"code": 21610}')).unknown


def test_a_pause_that_the_provider_wants_is_passed_on() -> None:
    for header, expected in (("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("²", None)):
        error: SmsError = refusal(Answer(429, {"retry-after": header}, ""))
        assert expected == error.retry_after
