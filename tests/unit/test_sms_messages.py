"""Messages and their errors can only be made in ways that mean something."""

import pytest

from sms.provider import OutgoingMessage, SmsError


@pytest.mark.parametrize(
    "to", ["", "0401234567", "358401234567", "+0123456789", "+35840123456789012", "+358 40 1234567"]
)
def test_a_message_goes_to_an_e164_number_only(to: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164"):
        OutgoingMessage(to=to, body="Hi", reference="1")


@pytest.mark.parametrize(("body", "reference"), [("", "1"), (" \n", "1"), ("Hi", "")])
def test_a_message_has_a_text_and_a_reference(body: str, reference: str) -> None:
    with pytest.raises(ValueError, match="a message needs a"):
        OutgoingMessage(to="+358401234567", body=body, reference=reference)


def test_an_unknown_outcome_is_never_permanent() -> None:
    with pytest.raises(ValueError, match="unknown outcome"):
        SmsError("No answer.", code="timeout", permanent=True, unknown=True)


def test_an_error_is_worth_a_later_try_unless_it_says_otherwise() -> None:
    error = SmsError("The queue is full.", code="30001")
    assert (error.code, error.permanent, error.unknown) == ("30001", False, False)
