"""The visit call, as the OpenAPI document and the reference page tell of it."""

from app.i18n import N_
from app.web.api import visit_schemas
from app.web.api.call import CARD_CODE, ENTRY_ID, MEMBER_ID, Call

VISIT_CALLS = (
    Call(
        name="record_visit",
        method="POST",
        path="/api/v1/visits",
        summary=N_("Record a visit"),
        description=N_(
            "For a door, a gate or a lift. A visit counts once in the hours that the owner has set, by the moment at "
            "which the card was shown; a door that was offline may send what it noted later, in any order. A visit "
            "too soon after another one is answered with counted: false, which is no fault."
        ),
        body=visit_schemas.NewVisit,
        example_body={"card": CARD_CODE, "at": "2026-11-22T11:30:00+02:00"},
        answer=visit_schemas.VisitRecorded,
        answers={200: N_("The visit is kept.")},
        example_answer={
            "entry_id": ENTRY_ID,
            "member_id": MEMBER_ID,
            "counted": True,
            "at": "2026-11-22T09:30:00Z",
            "instead": None,
            "visits": 4,
            "next_reward": {"name": "Free coffee", "visits_left": 1},
            "rewards": 0,
            "issued": [],
        },
        own_problems=(
            *(
                "member-not-found",
                "member-blocked",
                "member-left",
                "unreadable-code",
            ),
            *("location-not-found", "visits-off", "visit-too-old", "not-started", "guard-blocked"),
        ),
        keyed=True,
    ),
)
