"""What must be true of a whole programme's books, whatever has happened: replayed from the ledger alone."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from app.db.credit import Credit
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member
from app.db.purchases import Purchase
from app.db.referrals import Referral
from app.db.stamps import MemberStamps
from app.db.visits import Visit
from app.loyalty.ledger import Entry, Kind, Unit, lots
from app.services import doctoring
from tests.integration.whole_shop import WholeShop

# A member's unit; of stamps the card, of credit which one.
Pot = tuple[UUID, Unit, UUID | None]
GIVEN = {Kind.EARN, Kind.BONUS, Kind.JOIN, Kind.BIRTHDAY, Kind.REFERRAL, Kind.GRANT, Kind.CONVERT}
USED = {Kind.REDEEM, Kind.CONVERT}


def assert_books(here: WholeShop) -> None:
    """Everything at once; to be called when nobody is at a till."""
    with here.ctx.sessions() as session:
        rows = session.scalars(select(LedgerEntry).order_by(LedgerEntry.number)).all()
    pots: dict[Pot, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        assert row.member_id is not None
        part = row.stamp_card_id or row.credit_id if row.unit in (Unit.STAMP, Unit.CREDIT) else None
        pots[row.member_id, row.unit, part].append(row)
    _assert_undos(rows)
    _assert_cached(here, pots)
    _assert_conserved(here, pots)
    _assert_rewards(here, rows)
    _assert_told(here, rows)
    _assert_rest(here, rows)
    differences = (doctoring.differences, doctoring.credit_differences, doctoring.stamp_differences)
    assert [[], [], []] == [found(here.ctx) for found in differences]


def _assert_undos(rows: Sequence[LedgerEntry]) -> None:
    """Each entry is undone once, by no more than it was, and an undo never."""
    by_id = {row.id: row for row in rows}
    undos = [row for row in rows if row.reverses_id is not None]
    assert len(undos) == len({row.reverses_id for row in undos})
    for undo in undos:
        first = by_id[undo.reverses_id]
        same = (first.member_id, first.unit, first.stamp_card_id, first.credit_id)
        assert same == (undo.member_id, undo.unit, undo.stamp_card_id, undo.credit_id)
        assert undo.kind is Kind.UNDO is not first.kind
        assert undo.amount * first.amount <= 0
        assert abs(undo.amount) <= abs(first.amount)


def _assert_cached(here: WholeShop, pots: dict[Pot, list[LedgerEntry]]) -> None:
    """Each balance is the ledger's, lot by lot, and was at no moment below 0."""
    sums: Counter[Pot] = Counter()
    for pot, own in pots.items():
        running = 0
        for row in own:
            running += row.amount
            assert running >= 0, pot
        sums[pot] = running
        if pot[1] in (Unit.STAMP, Unit.BONUS):
            entries = [Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id) for row in own]
            assert running == sum(lot.left for lot in lots(entries))
    with here.ctx.sessions() as session:
        everybody = session.scalars(select(Member)).unique().all()
        further = {(row.member_id, row.stamp_card_id): row.stamps for row in session.scalars(select(MemberStamps))}
        credits = {row.id: row for row in session.scalars(select(Credit))}
    needed = {None: 4, here.lunch: 3}
    for pot, left in sums.items():
        if pot[1] is Unit.STAMP:
            assert left < needed[pot[2]]  # a full card is a reward
            if pot[2] is not None:
                assert further[pot[0], pot[2]] == left
        if pot[1] is Unit.CREDIT:
            assert pot[2] is not None
            assert credits[pot[2]].balance_minor == left
    for member in everybody:
        owed = sum(left for pot, left in sums.items() if pot[:2] == (member.id, Unit.CREDIT))
        expected = [sums[member.id, unit, None] for unit in (Unit.STAMP, Unit.REWARD, Unit.BONUS, Unit.VISIT)]
        assert [*expected, owed] == [member.stamps, member.rewards, member.bonus, member.visits, member.credit_minor]
        undone = {row.reverses_id for row in pots[member.id, Unit.BONUS, None]}
        earned = [row for row in pots[member.id, Unit.BONUS, None] if row.kind is Kind.EARN and row.id not in undone]
        assert member.bonus_earned == sum(row.amount for row in earned)


def _assert_conserved(here: WholeShop, pots: dict[Pot, list[LedgerEntry]]) -> None:
    """Given and not taken back = used and not given back + lapsed + left, of each unit."""
    with here.ctx.sessions() as session:
        sums = select(*(func.sum(column) for column in (Member.credit_minor, Member.bonus, Member.visits)))
        left = dict(zip((Unit.CREDIT, Unit.BONUS, Unit.VISIT), session.execute(sums).one(), strict=True))
        left[Unit.STAMP] = session.scalars(select(func.sum(Member.stamps))).one()
        left[Unit.STAMP] += session.scalars(select(func.coalesce(func.sum(MemberStamps.stamps), 0))).one()
        held = select(func.count()).where(Reward.status == RewardStatus.ISSUED)
        left[Unit.REWARD] = session.scalars(held).one()
    for unit in Unit:
        own = [row for pot, rows in pots.items() if pot[1] is unit for row in rows]
        undone = {row.reverses_id: row.amount for row in own if row.reverses_id is not None}
        given = sum(row.amount + undone.get(row.id, 0) for row in own if row.amount > 0 and row.kind in GIVEN)
        used = -sum(row.amount + undone.get(row.id, 0) for row in own if row.amount < 0 and row.kind in USED)
        lapsed = [row for row in own if row.kind is Kind.EXPIRY]
        gone = -sum(row.amount + undone.get(row.id, 0) for row in lapsed)
        assert given == used + gone + left[unit], unit


def _assert_rewards(here: WholeShop, rows: Sequence[LedgerEntry]) -> None:
    """Each reward was given once, and used at most once at a time."""
    kinds = {row.id: row.kind for row in rows}
    of_reward: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        if row.unit is Unit.REWARD:
            assert row.reward_id is not None
            of_reward[row.reward_id].append(row)
    with here.ctx.sessions() as session:
        statuses = {reward.id: reward.status for reward in session.scalars(select(Reward))}
    assert statuses.keys() == of_reward.keys()
    for reward_id, own in of_reward.items():
        running = 0
        for row in own:
            running += row.amount
            assert running in (0, 1)
        uses = sum(row.kind is Kind.REDEEM for row in own)
        uses -= sum(row.reverses_id is not None and kinds[row.reverses_id] is Kind.REDEEM for row in own)
        assert (uses, running) == (
            int(statuses[reward_id] is RewardStatus.REDEEMED),
            int(statuses[reward_id] is RewardStatus.ISSUED),
        )


def _assert_told(here: WholeShop, rows: Sequence[LedgerEntry]) -> None:
    """What the tills were told is what the ledger says: nothing twice, nothing lost."""
    acts: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        acts[row.operation_id].append(row)

    def total(act: UUID, unit: Unit, *kinds: Kind) -> int:
        return sum(row.amount for row in acts[act] if row.unit is unit and row.kind in kinds)

    for act, told in here.told.items():
        assert acts[act], told
        found = {
            "stamps": total(act, Unit.STAMP, Kind.EARN, Kind.BONUS),
            "bonus": total(act, Unit.BONUS, Kind.EARN),
            "visits": total(act, Unit.VISIT, Kind.EARN),
            "bought": -total(act, Unit.BONUS, Kind.CONVERT),
            "paid_with_bonus": -total(act, Unit.BONUS, Kind.REDEEM),
            "paid_with_credit": -total(act, Unit.CREDIT, Kind.REDEEM),
        }
        assert told == {name: found[name] for name in told}
    used = {act: row.reward_id for act, own in acts.items() for row in own if row.kind is Kind.REDEEM and row.reward_id}
    assert here.redeemed == used
    undone = {row.reverses_id for row in rows if row.reverses_id is not None}
    for act in here.undone:
        assert {row.id for row in acts[act]} <= undone


def _assert_rest(here: WholeShop, rows: Sequence[LedgerEntry]) -> None:
    """Purchases and visits stand or are undone as their acts are; nobody is rewarded twice for a friend."""
    undone = {row.reverses_id for row in rows if row.reverses_id is not None}
    with here.ctx.sessions() as session:
        bought = session.scalars(select(Purchase).where(Purchase.operation_id.is_not(None))).all()
        came = session.scalars(select(Visit)).all()
        friends = session.scalars(select(Referral)).all()
    for kept in [*bought, *came]:
        assert (kept.undone_at is not None) == (kept.operation_id in undone)
    standing = [row for row in rows if row.kind is Kind.REFERRAL and row.id not in undone and row.unit is Unit.STAMP]
    assert len(standing) <= 2 * len(friends)
