"""What the examples of the API say of the questions to newcomers."""

from typing import Any

_QUESTION_ID = "019aaa6e-765c-7d69-92a0-4c5d6e7f8a97"
ANSWERS = {_QUESTION_ID: "1"}
JOINING: dict[str, Any] = {
    "name": "optional",
    "birth_date": "optional",
    "email": "off",
    "city": "optional",
    "enforced": False,
    "questions": [
        {
            "id": _QUESTION_ID,
            "kind": "choice",
            "text": "What do you drink?",
            "required": True,
            "choices": [{"answer": "0", "text": "Coffee"}, {"answer": "1", "text": "Tea"}],
        }
    ],
}
