"""The office: where owners, managers and marketers set the programme up and see how it stands."""

from app.web.office import delivery, join_codes, keys, locations, members, messages, overview, program, staff
from app.web.office.frame import blueprint

__all__ = [
    "blueprint",
    "delivery",
    "join_codes",
    "keys",
    "locations",
    "members",
    "messages",
    "overview",
    "program",
    "staff",
]
