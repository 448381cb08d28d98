"""Reading a call's body and its Idempotency-Key, and saying in plain words what is wrong with them."""

import re
from typing import TypeVar

from flask import request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from app.i18n import N_
from app.services.errors import InvalidForm, Refused
from app.web.api.schemas import Sent

MOST_BYTES = 64 * 1024
MOST_ERRORS = 20
_LONGEST_PATH = 80
_KEY = re.compile(r"[\x21-\x7e]{1,80}")

SentBody = TypeVar("SentBody", bound=Sent)

_WHOLE_NUMBER = N_("Send a whole number, without quotation marks.")
_DAY = N_("Send the day as year-month-day, for example 2027-01-31.")
_MOMENT = N_("Send the moment with its offset from UTC, for example 2027-01-31T15:04:05+02:00.")
_ID = N_("Send an id as it came in an answer.")
_OBJECT = N_("Send a JSON object, in curly brackets.")
NOT_A_CARD_CODE = N_("This is not a card code, which has 16 letters and digits. Please scan or type it again.")
UNKNOWN_FAULT = N_("This value cannot be read. See /api/docs for what this field takes.")

# pydantic's error type → what the maker of a till can do about it. Placeholders are pydantic's own.
MESSAGES = {
    "missing": N_("This field is needed."),
    "extra_forbidden": N_("This call has no such field. Check the spelling."),
    "string_type": N_("Send text, in quotation marks."),
    "string_too_long": N_("Send %(max_length)s characters at most."),
    "string_too_short": N_("This must not be empty."),
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "greater_than_equal": N_("Send %(ge)s or more."),
    "less_than_equal": N_("Send %(le)s or less."),
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "timezone_aware": _MOMENT,
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "list_type": N_("Send a list, in square brackets."),
    "too_long": N_("Send a list of %(max_length)s at most."),
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "nul_character": N_("Leave out the NUL character."),
    "card_code_unreadable": NOT_A_CARD_CODE,
    "credit_code_unreadable": N_("This is not a credit code, which has 7 digits. Please type it again."),
    "language_unknown": N_("Send one of these languages: %(known)s."),
    "wording_missing": N_("Send the wording that the customer agreed to, as text. Leave the field out for no consent."),
    "quantity_unreadable": N_("Send a whole number, or a decimal number as text, for example 0.350."),
    "too_many_members": N_("Send one of card, phone and member_id, or none of them."),
    "not_one_visitor": N_("Send either card or phone, and not both."),
    "not_one_member": N_("Send either card_code or phone, and not both."),
}


def read(model: type[SentBody], *, needed: bool = True) -> SentBody:
    """The request's body as this model. Raises Refused (400, 413, 415) or InvalidForm naming what is wrong."""
    body = _bytes()
    if not body and not needed:
        return model()
    if request.mimetype != "application/json":
        raise Refused("wrong-content-type", N_("Send the body as JSON: Content-Type: application/json."), status=415)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        raise _malformed(faults[0]["msg"])
    raise InvalidForm({_path(fault): _refusal(fault) for fault in faults[:MOST_ERRORS]})


def idempotency_key() -> str:
    """The header that makes a repeated call harmless. Raises Refused (400) when it is missing or cannot be a key."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise Refused(
            "idempotency-key-missing",
            N_(
                "Send a header Idempotency-Key with a new value for each act at the till, "
                "and the same value when you repeat a call."
            ),
            status=400,
        )
    if not _KEY.fullmatch(key):
        raise Refused(
            "invalid-idempotency-key",
            N_("An Idempotency-Key has 1 to 80 visible ASCII characters. A UUID will do."),
            status=400,
        )
    return key


def _bytes() -> bytes:
    request.max_content_length = MOST_BYTES
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        raise Refused(
            "body-too-large", N_("The body is too large. Send %(most)s KB at most."), {"most": 64}, status=413
        ) from None


def _malformed(message: str) -> Refused:
    found = re.search(r"line (\d+) column (\d+)", message)
    line, column = (int(found[1]), int(found[2])) if found else (1, 0)
    return Refused(
        "malformed-json",
        N_("The body is not JSON in UTF-8. Look at line %(line)s, column %(column)s."),
        {"line": line, "column": column},
        status=400,
    )


def _path(fault: ErrorDetails) -> str:
    """Where in the body: 'phone', 'consents.terms'; '$' is the whole body, as in JSONPath."""
    return ".".join(str(part) for part in fault["loc"])[:_LONGEST_PATH] or "$"


def _refusal(fault: ErrorDetails) -> Refused:
    return Refused("invalid-field", MESSAGES.get(fault["type"], UNKNOWN_FAULT), fault.get("ctx"))
