"""The forms of a page, as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

# What somebody would type where a form comes empty, by the field's type and then by a word in its name.
TYPED = {"number": "1", "date": "2027-03-01", "time": "12:00", "datetime-local": "2027-03-01T12:00", "color": "#112233"}
WORDS = {"phone": "+358401230001", "amount": "5", "rate": "1", "reason": "because", "url": "https://kulma.example"}


@dataclass
class Form:
    """`sent`: field → what a browser sends. `offered`: field → every value that could be chosen or is carried along.
    `numeric`: fields in which numbers are typed."""

    action: str
    method: str
    sent: dict[str, str] = field(default_factory=dict)
    offered: dict[str, list[str]] = field(default_factory=dict)
    numeric: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(has.get("action", ""), has.get("method", "get").upper())
            self.forms.append(self._form)
        if self._form is None:
            return
        if tag == "select":
            self._select = has.get("name", "")
            self._form.offered.setdefault(self._select, [])
        elif tag == "option" and self._select:
            value = has.get("value", "")
            self._form.offered[self._select].append(value)
            if "selected" in has or not self._form.sent.get(self._select):
                self._form.sent[self._select] = value
        elif tag in ("input", "textarea", "button") and has.get("name"):
            self._field(self._form, has, tag)

    def _field(self, form: Form, has: dict[str, str], tag: str) -> None:
        name, kind = has["name"], has.get("type", "text")
        form.offered.setdefault(name, []).append(has.get("value", ""))
        if kind in ("number", "range") or has.get("inputmode") in ("numeric", "decimal"):
            form.numeric.add(name)
        if kind in ("checkbox", "radio"):
            if "checked" in has or (kind == "radio" and name not in form.sent):
                form.sent[name] = has.get("value", "on")
        elif tag != "button" and kind != "file":
            typed = next((value for word, value in WORDS.items() if word in name), TYPED.get(kind, "Something"))
            form.sent[name] = has.get("value") or (typed if "required" in has else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""


def forms(page: str) -> list[Form]:
    """All forms of this page that are sent by POST."""
    reader = _Reader()
    reader.feed(page)
    return [form for form in reader.forms if form.method == "POST"]
