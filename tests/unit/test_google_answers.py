"""What Google's answers mean, and batches of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.google import batch
from passes.google.calls import Call, follow_up
from passes.google.outcome import DONE, QUOTA, Answer, Outcome, OutcomeKind, outcome

BODY = {"id": "3388.alice", "accountName": None, "loyaltyPoints": {"label": "Leimoja", "localizedLabel": None}}


def error(code: int, reason: str = "", message: str = "", **more: Any) -> Answer:
    return Answer(code, {"error": {"code": code, "message": message, "errors": [{"reason": reason}], **more}})


def patch(**changes: Any) -> Call:
    return Call(**({"verb": "patch", "resource": "loyaltyObject", "resource_id": "3388.alice", "body": BODY} | changes))


def silent_after(answer: Answer) -> bool:
    """Whether the same call is made again without its notification."""
    step = follow_up(patch(notify=True), answer)
    return isinstance(step, Call) and not step.notify


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (error(400), OutcomeKind.REFUSED, "invalid"),
        (error(401), OutcomeKind.REFUSED, "unauthorized"),
        (error(403), OutcomeKind.REFUSED, "forbidden"),
        (error(403, "accessNotConfigured"), OutcomeKind.REFUSED, "api_disabled"),
        (error(403, "rateLimitExceeded"), OutcomeKind.RETRY, "rate_limit"),
        (error(403, status="RESOURCE_EXHAUSTED"), OutcomeKind.RETRY, "rate_limit"),
        (error(404, "classNotFound"), OutcomeKind.REFUSED, "class_missing"),
        (error(408), OutcomeKind.RETRY, "timeout"),
        (error(409), OutcomeKind.REFUSED, "conflict"),
        (error(429), OutcomeKind.RETRY, "rate_limit"),
        (error(500), OutcomeKind.RETRY, "server_error"),
        (error(599), OutcomeKind.RETRY, "server_error"),
        (error(418), OutcomeKind.REFUSED, "unknown"),
        (Answer(302), OutcomeKind.REFUSED, "unknown"),
        (Answer(503, "a proxy's page"), OutcomeKind.RETRY, "server_error"),
        (Answer(400, {"error": {"errors": "?", "details": [3]}}), OutcomeKind.REFUSED, "invalid"),
    ],
)
def test_every_answer_says_whether_another_try_helps(answer: Answer, kind: OutcomeKind, code: str):
    result = outcome(answer)
    assert (kind, code) == (result.kind, result.code)
    assert result.reason


def test_google_may_say_how_long_to_wait():
    assert 7.0 == outcome(Answer(429, retry_after=7.0)).retry_after


def test_an_unknown_object_is_inserted_and_an_existing_one_changed():
    inserted = follow_up(patch(), error(404))
    assert isinstance(inserted, Call)
    assert ("POST", "/walletobjects/v1/loyaltyObject") == (inserted.method, inserted.path)
    assert {"id": "3388.alice", "loyaltyPoints": {"label": "Leimoja"}} == inserted.json
    changed = follow_up(patch(verb="insert"), error(409))
    assert isinstance(changed, Call)
    assert ("PATCH", "/walletobjects/v1/loyaltyObject/3388.alice", BODY) == (changed.method, changed.path, changed.json)


@given(st.lists(st.sampled_from([404, 409]), min_size=4, max_size=4))
def test_insert_and_patch_never_chase_each_other(statuses: list[int]):
    step: Call | Outcome = patch()
    for status in statuses:
        if isinstance(step, Outcome):
            break
        step = follow_up(step, error(status))
    assert isinstance(step, Outcome)
    assert OutcomeKind.REFUSED == step.kind


def test_a_card_whose_notifications_are_used_up_is_updated_silently():
    step = follow_up(patch(notify=True), error(403, "quotaExceeded"))
    assert isinstance(step, Call)
    assert "notifyPreference" not in step.json
    assert follow_up(step, Answer(200)) is QUOTA
    assert QUOTA.delivered


def test_too_many_requests_a_second_do_not_cost_a_notification():
    assert not silent_after(error(429, status="RESOURCE_EXHAUSTED"))
    assert not silent_after(error(429, "rateLimitExceeded", "QuotaExceeded"))
    assert not silent_after(error(429, "quotaExceeded", "Quota exceeded for quota metric 'Requests'"))


def test_each_notifying_call_says_so_anew():
    assert "NOTIFY_ON_UPDATE" == patch(notify=True).json["notifyPreference"]
    assert "notifyPreference" not in patch().json


def test_a_message_says_in_its_type_whether_it_notifies():
    call = patch(verb="addMessage", body={"id": "m1"}, notify=True)
    assert {"message": {"id": "m1", "messageType": "TEXT_AND_NOTIFY"}} == call.json
    quiet = follow_up(call, error(403, "quotaExceeded"))
    assert isinstance(quiet, Call)
    assert {"message": {"id": "m1", "messageType": "TEXT"}} == quiet.json


def test_a_batch_is_read_by_its_content_ids():
    content = (
        b"--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-1>\r\n\r\n"
        b'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n{"error": {"code": 404}}\r\n'
        b"--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-0>\r\n\r\n"
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\n\r\n\r\n--b--\r\n"
    )
    expected = [Answer(429, None, 3.0), Answer(404, {"error": {"code": 404}}), None]
    assert expected == batch.decode("multipart/mixed; boundary=b", content, 3)


@pytest.mark.parametrize("content_type", ["multipart/mixed; boundary=b", "multipart/mixed", "text/html", ""])
@pytest.mark.parametrize(
    "content",
    [b"", b"--b\r\n", b"--b\r\nContent-ID: <response-item-9>\r\n\r\nx\r\n--b--", b"--b\r\n\r\nHTTP/1.1\r\n--b--"],
)
def test_a_batch_that_cannot_be_read_leaves_its_calls_open(content_type: str, content: bytes):
    assert [None, None] == batch.decode(content_type, content, 2)


def test_a_batch_carries_every_letter():
    call = patch(body={"id": "3388.alice", "accountName": "Äijä – مهرها"})
    encoded = batch.encode([call], "b")
    assert '{"id":"3388.alice","accountName":"Äijä – مهرها"}'.encode() in encoded
    assert b"PATCH /walletobjects/v1/loyaltyObject/3388.alice HTTP/1.1" in encoded


def test_success_is_success():
    assert outcome(Answer(200)) is DONE
    assert follow_up(patch(), Answer(204)) is DONE
