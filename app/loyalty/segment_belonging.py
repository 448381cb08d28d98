"""The conditions of a segment about the tier and the groups that a member is in, and what the member has answered;
see app.loyalty.segment_leaves."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.loyalty import nps
from app.loyalty.segment_facts import Facts, Field, Fields, FieldType


@dataclass(frozen=True, slots=True)
class InTier:
    """Is in this tier."""

    kind: ClassVar[str] = "tier"
    fields: ClassVar[Fields] = {"tier_id": Field(FieldType.THING, options=("tiers",))}
    tier_id: UUID

    def fits(self, facts: Facts) -> bool:
        return facts.tier_id == self.tier_id


@dataclass(frozen=True, slots=True)
class InGroup:
    """Is in this group of members."""

    kind: ClassVar[str] = "member_group"
    fields: ClassVar[Fields] = {"group_id": Field(FieldType.THING, options=("groups",))}
    group_id: UUID

    def fits(self, facts: Facts) -> bool:
        return self.group_id in facts.groups


@dataclass(frozen=True, slots=True)
class Recommends:
    """Answered last so that they are a promoter, a passive or a detractor."""

    kind: ClassVar[str] = "nps"
    fields: ClassVar[Fields] = {"group": Field(FieldType.CHOICE, options=tuple(nps.Group))}
    group: str

    def fits(self, facts: Facts) -> bool:
        return facts.nps == self.group


@dataclass(frozen=True, slots=True)
class Chose:
    """Answered a question of the programme's own with this choice."""

    kind: ClassVar[str] = "answer"
    fields: ClassVar[Fields] = {"answer": Field(FieldType.ANSWER, options=("answers",))}
    answer: str

    @property
    def question_id(self) -> UUID:
        return UUID(self.answer.partition(".")[0])

    @property
    def choice(self) -> str:
        """Its number, as app.db.joining.JoinAnswer keeps it."""
        return self.answer.partition(".")[2]

    def fits(self, facts: Facts) -> bool:
        return self.answer in facts.chosen
