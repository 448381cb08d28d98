"""Members' own links for friends: made when they are first asked for, and where they lead."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, String, Uuid, any_, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from app import clock
from app.db.lookup import Compiled, Lookup
from app.db.people import Member, MemberStatus
from app.db.referrals import Referral, ReferralLink, ReferralState
from app.loyalty.referrals import Reason, month_of
from app.services import referral_rules
from app.services.context import Context
from app.services.programs import ProgramView, get
from app.services.recent import Recent
from app.services.short_links import unknown_link

LENGTH = 10
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # without what looks alike: people read them out
_TRIES = 5
_FIND = Lookup(
    select(ReferralLink.member_id, Member.program_id, Member.status)
    .join(Member, Member.id == ReferralLink.member_id)
    .where(ReferralLink.code == bindparam("code"))
)
_KNOWN = Compiled(
    select(ReferralLink.member_id, ReferralLink.code).where(
        ReferralLink.member_id == any_(bindparam("member_ids", type_=ARRAY(Uuid)))
    )
)
# A member's code never changes.
_codes: Recent[str] = Recent(4096)


def read(text: str) -> str:
    """The code in what was typed or came with an address: in lower case, and empty when it cannot be one."""
    code = text.strip().rstrip("/").rpartition("/")[2].lower()
    return code if len(code) == LENGTH and set(code) <= set(_ALPHABET) else ""


def code_of(ctx: Context, member_id: UUID) -> str:
    """The member's own code; empty for nobody's id."""
    return codes_of(ctx, [member_id]).get(member_id, "")


def codes_of(ctx: Context, member_ids: Collection[UUID]) -> dict[UUID, str]:
    """The codes of these members, with the same few queries however many; nobody's id is not there."""
    return _codes.get_all(member_ids, lambda missing: _made(ctx, missing))


def url_of(ctx: Context, member_id: UUID) -> str:
    """The member's own link; empty for nobody's id."""
    code = code_of(ctx, member_id)
    return url(ctx, code) if code else ""


def url(ctx: Context, code: str) -> str:
    return f"{ctx.settings.base_url}/r/{code}"


def _made(ctx: Context, member_ids: Sequence[UUID]) -> dict[UUID, str]:
    with ctx.sessions.begin() as session:
        for _ in range(_TRIES):
            found = dict(_KNOWN.within(session, member_ids=list(member_ids)))
            lacking = sorted(set(member_ids) - found.keys())
            if not lacking:
                break
            codes = ["".join(secrets.choice(_ALPHABET) for _ in range(LENGTH)) for _ in lacking]
            new = (
                func.unnest(literal(lacking, ARRAY(Uuid)), literal(codes, ARRAY(String)))
                .table_valued("id", "code")
                .render_derived()
            )
            rows = select(Member.id, new.c.code, literal(clock.now())).join(new, new.c.id == Member.id)
            links = insert(ReferralLink).from_select(["member_id", "code", "created_at"], rows.order_by(Member.id))
            session.execute(links.on_conflict_do_nothing())
        else:
            found = dict(_KNOWN.within(session, member_ids=list(member_ids)))
        return found


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a member's link leads. `code` is empty when nothing is given by it (any more): one may join still."""

    program: ProgramView
    code: str


def find(ctx: Context, text: str) -> Invitation:
    """Where this code leads. Raises Refused (404) for one that leads nowhere."""
    code = read(text)
    row = _FIND.first(ctx.engine, code=code) if code else None
    if row is None:
        raise unknown_link()
    _, program_id, status = row
    program = get(ctx, program_id)
    good = status == MemberStatus.ACTIVE and referral_rules.of_view(ctx, program).active
    return Invitation(program, code if good else "")


@dataclass(frozen=True, slots=True)
class Standing:
    """What came of a member's link: nothing of the friends themselves. `month`: rewarded this month, of `limit`."""

    joined: int
    rewarded: int
    month: int
    limit: int

    @property
    def full(self) -> bool:
        return self.month >= self.limit


def standing(ctx: Context, program: ProgramView, member_id: UUID) -> Standing:
    """Who was refused, or is looked at by a manager, is not told: nor is, so, who had been a member."""
    begins, ends = month_of(clock.now(), program.time_zone)
    rewarded = Referral.state == ReferralState.REWARDED
    waits = (Referral.state == ReferralState.WAITING) & (Referral.reason == "")
    beyond = Referral.reason == Reason.LIMIT
    counts = select(
        func.count().filter(rewarded | waits | beyond),
        func.count().filter(rewarded),
        func.count().filter(rewarded & (Referral.decided_at >= begins) & (Referral.decided_at < ends)),
    ).where(Referral.referrer_id == member_id)
    with ctx.sessions() as session:
        joined, all_rewarded, month = session.execute(counts).one()
    return Standing(joined, all_rewarded, month, referral_rules.of_view(ctx, program).month_limit)


def is_offered(ctx: Context, program: ProgramView) -> bool:
    """Whether the programme's members have links of their own."""
    return referral_rules.of_view(ctx, program).active
