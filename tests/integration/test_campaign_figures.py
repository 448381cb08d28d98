"""Every figure of a campaign, over rows that were written one by one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.db.campaigns import ClickKind, Medium, RecipientState, RunPhase
from app.db.ledger import Reward, RewardStatus
from app.loyalty.shares import Difference, Verdict
from app.services import campaign_counts, campaign_figures, campaign_rules, credit_use, credits, kept_counts, till
from app.services.campaign_counts import Counts
from app.services.campaign_rules import Rules
from app.services.context import Context
from app.services.errors import Refused
from sms.delivery_states import State
from tests.factories import Shop, open_shop
from tests.integration.campaign_story import Story

SENT = datetime(2027, 3, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SetClock = Callable[[datetime], None]


def of(story: Story) -> campaign_figures.Figures:
    return campaign_figures.figures(story.shop.ctx, story.shop.owner, story.id)


def shown(counts: Counts) -> dict[str, object]:
    """The figures that are not nothing."""
    return {one.name: value for one in fields(counts) if (value := getattr(counts, one.name))}


@pytest.fixture
def story(shop: Shop, at: SetClock) -> Story:
    at(SENT + 3 * DAY)
    return Story(shop, SENT)


class TestStanding:
    def test_each_recipient_stands_in_one_place(self, shop: Shop, story: Story) -> None:
        people = iter([shop.member(number) for number in range(16)])
        for state in State:
            story.recipient(next(people), state, why="unreachable" if state is State.FAILED else "")
        story.recipient(next(people), State.UNDELIVERED, why="blocked")
        story.recipient(next(people), medium=Medium.WALLET)
        story.recipient(next(people), state=RecipientState.HOLDOUT)
        story.recipient(next(people), state=RecipientState.PLANNED)
        for reason in ("no-consent", "too-often", "too-often"):
            story.recipient(next(people), state=RecipientState.SKIPPED, reason=reason)

        assert {
            "chosen": 15,
            "planned": 1,
            "holdout": 1,
            "held": Counter({"too-often": 2, "no-consent": 1}),
            "handed": 10,
            "on_card": 1,
            "sending": 2,  # waiting, and being sent
            "unknown": 1,
            "accepted": 2,  # handed over, and sent on by the phone company
            "delivered": 1,
            "failed": Counter({"unreachable": 1, "": 1, "blocked": 1}),
            "parts": 18,
            "cost_micro": 9 * 150_000,
            "last_at": SENT,
        } == shown(of(story).counts)

    def test_a_campaign_without_recipients_has_no_figures(self, story: Story) -> None:
        found = of(story)
        assert ({}, {}, None, None, None) == (
            shown(found.counts),
            found.groups,
            found.against,
            found.winner,
            found.counting_until,
        )

    def test_another_programme_sees_nothing(self, ctx: Context, story: Story) -> None:
        other = open_shop(ctx, "toinen")
        for ask in (campaign_figures.figures, campaign_figures.progress):
            with pytest.raises(Refused) as refusal:
                ask(ctx, other.owner, story.id)
            assert "campaign-not-found" == refusal.value.kind
        assert [] == campaign_figures.compared(ctx, other.owner)


class TestWhatFollowed:
    def test_clicks_of_people_previews_and_scanners_are_kept_apart(self, shop: Shop, story: Story) -> None:
        one, two = (story.recipient(shop.member(number), State.DELIVERED) for number in (1, 2))
        story.click(one, times=3)
        story.click(two, ClickKind.PREVIEW, times=2)
        story.click(two, ClickKind.SCANNER)
        counts = of(story).counts
        assert (1, 3, 2, 1) == (counts.people_clicked, counts.clicks, counts.previews, counts.scanners)

    def test_purchases_count_from_the_handing_over_until_the_days_are_over(self, shop: Shop, story: Story) -> None:
        alice, bob, carol = (shop.member(number) for number in (1, 2, 3))
        for member in (alice, bob, carol):
            story.recipient(member, State.DELIVERED, after=DAY)
        story.buy(alice, DAY, 500)
        story.buy(alice, 15 * DAY - SECOND, None)
        story.buy(bob, DAY - SECOND)
        story.buy(bob, 15 * DAY)
        story.buy(carol, 2 * DAY, undone_at=SENT + 3 * DAY)
        counts = of(story).counts
        assert (1, 2, 500) == (counts.visitors, counts.purchases, counts.money_minor)

    def test_the_days_are_the_programmes(self, ctx: Context, shop: Shop, story: Story) -> None:
        member = shop.member(1)
        story.recipient(member, State.DELIVERED)
        story.buy(member, 5 * DAY)
        campaign_rules.save(ctx, shop.owner, Rules(visit_days=5))
        assert 0 == of(story).counts.visitors
        campaign_rules.save(ctx, shop.owner, Rules(visit_days=6))
        assert 1 == of(story).counts.visitors

    def test_those_who_got_nothing_have_no_visits_except_the_hold_out(self, shop: Shop, story: Story) -> None:
        skipped, planned, held_out = (shop.member(number) for number in (1, 2, 3))
        story.recipient(skipped, state=RecipientState.SKIPPED, reason="left")
        story.recipient(planned, state=RecipientState.PLANNED)
        story.recipient(held_out, state=RecipientState.HOLDOUT)
        for member in (skipped, planned, held_out):
            story.buy(member, DAY, 700)
        groups = of(story).groups
        assert ({"visitors": 1, "purchases": 1, "money_minor": 700}, 0) == (
            {name: shown(groups["holdout"])[name] for name in ("visitors", "purchases", "money_minor")},
            groups["a"].visitors,
        )

    def test_answers_within_seven_days_count_and_stops_are_kept_apart(self, shop: Shop, story: Story) -> None:
        alice, bob, carol, dave, erin, frank = (shop.member(number) for number in range(6))
        for member in (alice, bob, carol, dave, erin):
            story.recipient(member, State.DELIVERED)
        story.recipient(frank, state=RecipientState.HOLDOUT)
        story.answer(alice, DAY, "When are you open?")
        story.answer(alice, 2 * DAY, "Hello?")
        story.answer(alice, 7 * DAY, "Too late")
        story.answer(bob, DAY, "STOP", stop=True)
        story.answer(bob, 2 * DAY, "stop", stop=True)  # the same person once more
        story.refuse(carol, DAY, "link")
        story.refuse(dave, DAY, "card_page")
        story.refuse(erin, 8 * DAY, "link")
        story.refuse(erin, -DAY, "link")
        story.answer(frank, DAY, "STOP", stop=True)
        counts = of(story).counts
        assert (1, 2, 1, 1, 1, 3) == (
            counts.people_replied,
            counts.replies,
            counts.stopped_by_sms,
            counts.stopped_by_link,
            counts.stopped_elsewhere,
            counts.stopped,
        )

    def test_cards_that_were_added_afterwards_count_once_a_person(self, shop: Shop, story: Story) -> None:
        alice, bob, carol = (shop.member(number) for number in (1, 2, 3))
        for member in (alice, bob, carol):
            story.recipient(member, State.DELIVERED)
        story.install(alice, DAY)
        story.install(alice, 2 * DAY)
        story.install(bob, -DAY)
        story.install(carol, DAY, added=False)
        assert 1 == of(story).counts.installed

    def test_credit_and_rewards_given_and_used(self, ctx: Context, shop: Shop, story: Story, at: SetClock) -> None:
        people = [shop.member(number) for number in range(4)]
        given = [
            credits.grant(
                ctx,
                shop.owner,
                member.id,
                {"amount": "10.00", "last_day": "2027-04-30", "reason": "x"},
                key=member.phone,
            )
            for member in people[:3]
        ]
        credit_ids = [one[0]["credit_id"] for one in given]
        rewards = [
            Reward(program_id=shop.program.id, member_id=people[3].id, name="Cake", status=status, issued_at=SENT)
            for status in (RewardStatus.REDEEMED, RewardStatus.ISSUED)
        ]
        for reward in rewards:
            story.add(reward)
        for member, credit_id in zip(people, credit_ids, strict=False):
            story.recipient(member, State.DELIVERED, credit_id=credit_id)
        story.recipient(people[3], State.DELIVERED, reward_id=rewards[0].id)
        story.recipient(shop.member(9), State.DELIVERED, variant="b", reward_id=rewards[1].id)
        for member, bill in ((people[0], 300), (people[0], 200), (people[1], 400)):
            answer, _ = credit_use.use(ctx, shop.cashier, member.id, bill_minor=bill, card_code=member.card_code)
        till.undo(ctx, shop.owner, answer["entry_id"])
        counts = of(story).counts
        assert (3, 3000, 1, 500, 2, 1) == (
            counts.credits,
            counts.credits_minor,
            counts.credits_used,
            counts.credits_used_minor,
            counts.rewards,
            counts.rewards_used,
        )


class TestRuns:
    def test_runs_add_up_and_a_purchase_counts_to_the_last_message_before_it(self, shop: Shop, story: Story) -> None:
        alice = shop.member(1)
        second = story.run(SENT + 7 * DAY)
        story.recipient(alice, State.DELIVERED)
        story.recipient(alice, State.FAILED, run=second, after=7 * DAY)
        for days in (1, 8, 13):  # the first run's fourteen days are not over on the eighth day
            story.buy(alice, days * DAY, 100)
        found = of(story)
        assert [(second, 1, 2, 200), (story.runs[0], 1, 1, 100)] == [
            (one.run.id, one.counts.visitors, one.counts.purchases, one.counts.money_minor) for one in found.runs
        ]
        assert (2, 2, 3, 300, 1) == (
            found.counts.chosen,
            found.counts.visitors,
            found.counts.purchases,
            found.counts.money_minor,
            found.counts.delivered,
        )

    def test_visits_count_until_the_last_ones_days_are_over(self, shop: Shop, story: Story, at: SetClock) -> None:
        story.recipient(shop.member(1), State.DELIVERED)
        story.recipient(shop.member(2), state=RecipientState.HOLDOUT, after=DAY)
        assert SENT + 15 * DAY == of(story).counting_until
        at(SENT + 15 * DAY)
        assert None is of(story).counting_until

    def test_progress_is_of_the_newest_run(self, ctx: Context, shop: Shop, story: Story) -> None:
        story.recipient(shop.member(1), State.DELIVERED)
        second = story.run(SENT + DAY, RunPhase.SENDING)
        for number, state in enumerate((RecipientState.HANDED, *([RecipientState.PLANNED] * 2), *RecipientState)):
            story.recipient(shop.member(number + 2), run=second, state=state)
        progress = campaign_figures.progress(ctx, shop.owner, story.id)
        assert (2, 5, 40, True) == (progress.done, progress.of, progress.percent, progress.moving)


class TestAgainstChance:
    def test_too_few_say_nothing(self, story: Story) -> None:
        story.crowd(100, came=9)
        story.crowd(99, came=9, state=RecipientState.HOLDOUT)
        assert Difference(Verdict.TOO_FEW) == of(story).against

    def test_more_came_than_of_those_held_out(self, story: Story) -> None:
        story.crowd(500, came=100)
        story.crowd(500, came=100, variant="b")
        story.crowd(1000, came=100, state=RecipientState.HOLDOUT)
        found = of(story)
        assert Difference(Verdict.MORE, Decimal("6.9"), Decimal("13.1")) == found.against
        assert (Decimal("20.0"), Decimal("10.0")) == (
            found.received.visits.per_100,
            found.groups["holdout"].visits.per_100,
        )
        [line] = campaign_figures.compared(story.shop.ctx, story.shop.owner)
        assert found.against == line.against

    def test_without_a_hold_out_there_is_nothing_to_compare_with(self, story: Story) -> None:
        story.crowd(200, came=100)
        assert (None, None) == (of(story).against, of(story).winner)

    def test_the_text_whose_link_more_opened_wins(self, story: Story) -> None:
        story.crowd(200, came=80, clicked=20)
        story.crowd(200, came=10, clicked=60, variant="b")
        winner = of(story).winner
        assert winner is not None
        assert ("b", True, Verdict.FEWER) == (winner.text, winner.by_clicks, winner.difference.verdict)

    def test_without_a_link_the_text_after_which_more_came_wins(self, shop: Shop, story: Story) -> None:
        plain = Story(shop, SENT, link="")
        plain.crowd(200, came=80)
        plain.crowd(200, came=10, variant="b")
        winner = of(plain).winner
        assert winner is not None
        assert ("a", False) == (winner.text, winner.by_clicks)

    def test_while_it_may_be_chance_nobody_wins(self, story: Story) -> None:
        story.crowd(200, clicked=50)
        story.crowd(200, clicked=55, variant="b")
        winner = of(story).winner
        assert winner is not None
        assert ("", Verdict.CHANCE) == (winner.text, winner.difference.verdict)


def test_the_figures_are_the_same_added_up_in_any_way(shop: Shop, story: Story) -> None:
    for number, variant in enumerate("aabb"):
        member = shop.member(number)
        story.click(story.recipient(member, State.DELIVERED, variant=variant), times=number)
        story.buy(member, DAY)
    found = of(story)
    assert shown(found.counts) == shown(campaign_counts.total(found.groups.values()))
    assert shown(found.counts) == shown(campaign_counts.total(run.counts for run in found.runs))
    [line] = campaign_figures.compared(shop.ctx, shop.owner)
    assert shown(found.counts) == shown(line.received)
    assert ("Spring", SENT, Verdict.TOO_FEW) == (line.name, line.started_at, line.against.verdict)


class TestKept:
    @pytest.fixture(autouse=True)
    def _slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine on which all counting takes long."""
        monkeypatch.setattr(kept_counts, "QUICK_SECONDS", 0)

    def test_what_takes_long_to_count_is_kept_just_as_it_was_counted(self, shop: Shop, story: Story) -> None:
        story.recipient(shop.member(1), State.DELIVERED)
        story.recipient(shop.member(2), State.FAILED, why="unreachable")
        story.recipient(shop.member(3), state=RecipientState.SKIPPED, reason="too-often")
        counted, kept = of(story), of(story)
        assert counted == kept

    def test_it_is_of_the_moment_that_is_told(self, shop: Shop, story: Story, at: SetClock) -> None:
        story.recipient(shop.member(1), State.DELIVERED)
        before = of(story)
        at(SENT + 4 * DAY)
        story.recipient(shop.member(2), State.DELIVERED)
        kept = of(story)
        assert (1, SENT + 3 * DAY) == (kept.counts.chosen, kept.counted_at)
        shop.ctx.valkey.delete(*shop.ctx.valkey.keys("leima-counts-*"))
        again = of(story)
        assert (before.counted_at, 2, SENT + 4 * DAY) == (kept.counted_at, again.counts.chosen, again.counted_at)

    def test_a_campaign_that_has_begun_since_is_compared_at_once(self, shop: Shop, story: Story) -> None:
        assert 1 == len(campaign_figures.compared(shop.ctx, shop.owner))
        second = Story(shop, SENT + DAY, name="Summer")
        second.recipient(shop.member(1), State.DELIVERED)
        newest, _ = campaign_figures.compared(shop.ctx, shop.owner)
        assert ("Summer", 1) == (newest.name, newest.received.handed)
