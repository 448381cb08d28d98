"""What somebody who joins has typed, as the programme's form asks it."""

from typing import Any

from flask import request

from app.services import join_rules
from app.services.forms import FormReader
from app.services.join_rules import JoinForm


def told(asked: JoinForm, reader: FormReader) -> dict[str, Any]:
    """The details and answers of app.services.members.JoinRequest; a day that is none is an error of `reader`."""
    return {
        "name": request.form.get("name", ""),
        "email": request.form.get("email", ""),
        "birth_date": reader.day("birth_date") if asked.asks("birth_date") else None,
        "city": request.form.get("city", ""),
        "answers": join_rules.typed_answers(asked, request.form),
    }
