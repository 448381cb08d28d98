"""Importing an old register: the dry run, joining, inviting, and what may go wrong on the way."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from app.cli.register import register as register_command
from app.db.delivery import Channel, OutboxRow
from app.db.ledger import AuditEntry, LedgerEntry, Reward
from app.db.messages import SmsMessage
from app.db.people import Consent, Member, MemberStatus
from app.db.register import ImportState, OldCard, RegisterImport, RegisterRow
from app.jobs import tasks as task_job
from app.loyalty.ledger import Kind, Unit
from app.services import doctoring, members, old_cards, outbox, purchases, register_import, register_work, stamp_cards
from app.services.errors import InvalidForm, Refused
from app.services.register_import import RegisterView
from tests.factories import Shop
from tests.integration.visit_shop import kind_of_reward

NOON = datetime(2027, 3, 1, 10, 0, tzinfo=UTC)
FILE = """Phone;Name;E-mail;Birthday;City;Language;Stamps;Card number;SMS marketing;Joined
040 1231000;Anna;anna@example.com;31.1.1980;Helsinki;suomi;3;1001;yes;1.2.2020
040 1231001;Boris;;;;русский;23;1002;no;
040 12;Carl;;;;;;;;
040 1231000;Anna again;;;;;;;;
;;;;;;;;;
+358401231002;Dina;not an address;;;;;1001;x;
"""


def upload(shop: Shop, text: str = FILE) -> UUID:
    return register_import.upload(shop.ctx, shop.owner, "old.csv", text.encode())


def work(shop: Shop) -> int:
    """The worker's part: tasks that are due, until none is. Returns how many slices that took."""
    slices = 0
    while rows := outbox.claim(shop.ctx, Channel.TASK, 1):
        outcomes = task_job.work(shop.ctx, rows)
        outbox.told(shop.ctx, [outcome.row for outcome in outcomes])
        slices += 1
    return slices


def checked(shop: Shop, text: str = FILE) -> RegisterView:
    import_id = upload(shop, text)
    work(shop)
    return register_import.get(shop.ctx, shop.owner, import_id)


def imported(shop: Shop, text: str = FILE, **form: str) -> RegisterView:
    import_id = checked(shop, text).id
    register_import.start(shop.ctx, shop.owner, import_id, form)
    work(shop)
    return register_import.get(shop.ctx, shop.owner, import_id)


def everyone(shop: Shop) -> dict[str, Member]:
    with shop.ctx.sessions() as session:
        found = session.scalars(select(Member).where(Member.program_id == shop.program.id)).unique()
        return {member.phone[-4:]: member for member in found}


def count(shop: Shop, table: type) -> int:
    with shop.ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_dry_run_says_who_would_join_and_what_is_wrong_in_which_row(shop: Shop) -> None:
    shop.member(1001)
    view = checked(shop)
    assert (view.state, view.rows, view.rows_done) == (ImportState.CHECKED, 6, 6)
    assert (2, 1, 2) == (view.joined, view.known, view.faulty)
    found = [(error.row, error.field, error.kind, error.left_out) for error in view.errors]
    assert [
        (4, "phone", "invalid-phone", True),
        (5, "phone", "phone-twice", True),
        (7, "email", "invalid-email", False),
        (7, "old_card", "card-twice", False),
    ] == found
    assert {"row": 2} == view.errors[1].params == view.errors[3].params
    assert 1 == len(everyone(shop)), "nobody has joined yet"


def test_people_join_with_all_that_the_file_says(shop: Shop) -> None:
    view = imported(shop, may_offer="on", wording="Offers by SMS, as agreed on the paper form")
    assert (ImportState.DONE, 3, 0) == (view.state, view.joined, view.known)
    people = everyone(shop)
    anna, boris, dina = people["1000"], people["1001"], people["1002"]
    assert ("Anna", "anna@example.com", date(1980, 1, 31), "Helsinki", "fi", "import") == (
        anna.name,
        anna.email,
        anna.birth_date,
        anna.city,
        anna.language,
        anna.via,
    )
    assert datetime(2020, 1, 31, 22, tzinfo=UTC) == anna.joined_at, "the beginning of the day in Helsinki"
    assert (3, 0) == (anna.stamps, anna.rewards)
    assert (3, 2, "ru") == (boris.stamps, boris.rewards, boris.language)
    assert ("", "en") == (dina.email, dina.language)
    assert "You have 3 of 10 stamps" != anna.card.news, "in her own language"
    with shop.ctx.sessions() as session:
        consents = session.scalars(select(Consent)).all()
        assert {anna.id, dina.id} == {consent.member_id for consent in consents}
        assert {("sms_marketing", True, "import", "Offers by SMS, as agreed on the paper form")} == {
            (consent.purpose, consent.granted, consent.source, consent.wording) for consent in consents
        }
        assert anna.id == old_cards.find(session, shop.program.id, "1001")
        assert boris.id == old_cards.find(session, shop.program.id, ";1002=99?")


def test_an_opening_balance_goes_through_the_ledger_and_full_cards_become_rewards(shop: Shop) -> None:
    shop.change_program(stamp_valid_days="30", reward_valid_days="10")
    imported(shop)
    boris = everyone(shop)["1001"]
    with shop.ctx.sessions() as session:
        entries = session.scalars(
            select(LedgerEntry).where(LedgerEntry.member_id == boris.id).order_by(LedgerEntry.number)
        ).all()
        rewards = session.scalars(select(Reward).where(Reward.member_id == boris.id)).all()
    assert [
        (Unit.STAMP, Kind.JOIN, 23),
        (Unit.STAMP, Kind.CONVERT, -10),
        (Unit.REWARD, Kind.CONVERT, 1),
        (Unit.STAMP, Kind.CONVERT, -10),
        (Unit.REWARD, Kind.CONVERT, 1),
    ] == [(entry.unit, entry.kind, entry.amount) for entry in entries]
    assert {entries[0].id} == {entry.operation_id for entry in entries}
    assert {reward.id for reward in rewards} == {entry.reward_id for entry in entries if entry.unit is Unit.REWARD}
    assert {"Free coffee"} == {reward.name for reward in rewards}
    assert rewards[0].expires_at == boris.next_expiry_at
    assert shop.owner.staff_id == entries[0].staff_id


def test_an_imported_card_opens_by_its_link_and_works_at_once(shop: Shop) -> None:
    imported(shop)
    member = members.find(shop.ctx, shop.cashier, "040 1231001")
    link = members.card_token(shop.ctx, member)
    assert member.id == members.by_link(shop.ctx, link).id
    assert 2 == len(member.rewards)
    assert 1 == member.card_version


def test_known_people_keep_their_data_and_only_get_their_old_card(shop: Shop) -> None:
    known = shop.member(1000, name="Anna herself", language="fa")
    view = imported(shop)
    assert (2, 1) == (view.joined, view.known)
    anna = everyone(shop)["1000"]
    assert (known.id, "Anna herself", "fa", 0, "") == (anna.id, anna.name, anna.language, anna.stamps, anna.email)
    assert ["1001"] == old_cards.of_member(shop.ctx, shop.owner, known.id)


@pytest.mark.parametrize("status", [MemberStatus.LEFT, MemberStatus.BLOCKED])
def test_who_left_or_is_blocked_stays_so(shop: Shop, status: MemberStatus) -> None:
    gone = shop.member(1000)
    members.set_status(shop.ctx, shop.owner, gone.id, status)
    view = imported(shop, invite="on", may_invite="on", may_offer="on", wording="Offers")
    assert (2, 1) == (view.joined, view.known)
    anna = everyone(shop)["1000"]
    assert (status, 0) == (anna.status, anna.stamps)
    assert [] == old_cards.of_member(shop.ctx, shop.owner, gone.id)


def test_the_same_file_twice_changes_nothing_more(shop: Shop) -> None:
    imported(shop)
    before = {phone: (member.stamps, member.rewards) for phone, member in everyone(shop).items()}
    view = imported(shop)
    assert (0, 3) == (view.joined, view.known)
    assert before == {phone: (member.stamps, member.rewards) for phone, member in everyone(shop).items()}


def test_starting_twice_is_starting_once(shop: Shop) -> None:
    view = checked(shop)
    register_import.start(shop.ctx, shop.owner, view.id, {})
    register_import.start(shop.ctx, shop.owner, view.id, {})
    work(shop)
    register_import.start(shop.ctx, shop.owner, view.id, {})
    assert 0 == work(shop)
    assert 3 == len(everyone(shop))


def test_without_the_tick_nobody_has_agreed_to_offers(shop: Shop) -> None:
    imported(shop, wording="Offers by SMS")
    assert 0 == count(shop, Consent)


def test_consents_need_the_words_that_were_agreed_to(shop: Shop) -> None:
    view = checked(shop)
    with pytest.raises(InvalidForm) as refused:
        register_import.start(shop.ctx, shop.owner, view.id, {"may_offer": "on", "wording": " ", "invite": "on"})
    assert {"wording", "may_invite"} == set(refused.value.errors)
    assert ImportState.CHECKED is register_import.get(shop.ctx, shop.owner, view.id).state


def test_what_was_read_is_forgotten_when_the_import_is_over(shop: Shop) -> None:
    view = imported(shop)
    with shop.ctx.sessions() as session:
        assert session.get_one(RegisterImport, view.id).content is None
    assert 0 == count(shop, RegisterRow)
    assert [] == view.sample


def test_the_audit_log_tells_who_imported_how_many(shop: Shop) -> None:
    view = imported(shop)
    with shop.ctx.sessions() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.subject_id == view.id).order_by(AuditEntry.id)).all()
    assert ["register.uploaded", "register.started", "register.done"] == [row.action for row in rows]
    assert {shop.owner.staff_id} == {row.staff_id for row in rows}
    assert {"joined": 3, "known": 0, "faulty": 2} == rows[-1].details


def test_other_columns_are_read_anew(shop: Shop) -> None:
    view = checked(shop, "One,Two\n0401231000,0401231001\n")
    assert (ImportState.CHECKING, True, False) == (view.state, view.needs_columns, view.moving)
    with pytest.raises(InvalidForm):
        register_import.check_again(shop.ctx, shop.owner, view.id, {"column_0": "name"})
    with pytest.raises(InvalidForm):
        register_import.check_again(shop.ctx, shop.owner, view.id, {"column_0": "phone", "column_1": "phone"})
    register_import.check_again(shop.ctx, shop.owner, view.id, {"column_0": "phone"})
    work(shop)
    register_import.check_again(shop.ctx, shop.owner, view.id, {"column_1": "phone"})
    work(shop)
    register_import.start(shop.ctx, shop.owner, view.id, {})
    work(shop)
    assert ["1001"] == list(everyone(shop))


def test_a_file_without_headings_is_read_from_its_first_row(shop: Shop) -> None:
    view = imported(shop, "Anna,0401231000,anna@example.com\nBo,0401231001,\n")
    assert 2 == view.joined
    assert "anna@example.com" == everyone(shop)["1000"].email


def test_a_new_file_takes_the_place_of_one_that_was_only_checked(shop: Shop) -> None:
    first = checked(shop)
    second = checked(shop)
    assert ImportState.STOPPED is register_import.get(shop.ctx, shop.owner, first.id).state
    assert ImportState.CHECKED is register_import.get(shop.ctx, shop.owner, second.id).state
    with pytest.raises(Refused):
        register_import.start(shop.ctx, shop.owner, first.id, {})


def many(number: int) -> str:
    return "phone,stamps,card\n" + "".join(f"+35840{1000000 + n},{n % 30},{n:06}\n" for n in range(number))


def test_a_long_file_takes_slices_and_stopping_keeps_who_joined(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_work, "BATCH", 10)
    import_id = upload(shop, many(35))
    over = time.monotonic()
    assert [False, False, False, True] == [register_work.work(shop.ctx, import_id, over) for _ in range(4)]
    register_import.start(shop.ctx, shop.owner, import_id, {})
    assert not register_work.work(shop.ctx, import_id, over)
    register_import.stop(shop.ctx, shop.owner, import_id)
    register_import.stop(shop.ctx, shop.owner, import_id)
    assert register_work.work(shop.ctx, import_id, over)
    view = register_import.get(shop.ctx, shop.owner, import_id)
    assert (ImportState.STOPPED, 10) == (view.state, view.joined)
    assert 10 == len(everyone(shop))
    assert 0 == count(shop, RegisterRow)


def test_a_worker_that_is_killed_within_a_batch_costs_that_batch_and_nobody_joins_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_work, "BATCH", 10)
    import_id = upload(shop, many(25))
    work(shop)
    register_import.start(shop.ctx, shop.owner, import_id, {})
    over = time.monotonic()
    assert not register_work.work(shop.ctx, import_id, over)
    attach = register_work.register_joining._attach_purchases

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(register_work.register_joining, "_attach_purchases", die)
    with pytest.raises(KeyboardInterrupt):
        register_work.work(shop.ctx, import_id, over)
    monkeypatch.setattr(register_work.register_joining, "_attach_purchases", attach)
    view = register_import.get(shop.ctx, shop.owner, import_id)
    assert (10, 10) == (view.rows_done, view.joined)
    work(shop)
    view = register_import.get(shop.ctx, shop.owner, import_id)
    assert (ImportState.DONE, 25, 0) == (view.state, view.joined, view.known)
    assert 25 == len(everyone(shop)) == count(shop, OldCard)
    assert sum(n % 30 for n in range(25)) == sum(m.stamps + 10 * m.rewards for m in everyone(shop).values())


def test_a_duplicate_is_found_across_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_work, "BATCH", 2)
    view = checked(shop, "phone,card\n0401231000,1\n0401231001,2\n0401231002,1\n+358 40 1231000,4\n")
    assert [(4, "card-twice", {"row": 2}), (5, "phone-twice", {"row": 2})] == [
        (error.row, error.kind, error.params) for error in view.errors
    ]


def test_the_list_of_mistakes_is_bounded_and_their_number_is_not(shop: Shop) -> None:
    view = checked(shop, "phone\n" + "12\n" * 700)
    assert (500, 700, 700, 0) == (len(view.errors), view.mistakes, view.faulty, view.joined)


def test_an_old_card_of_another_member_stays_theirs(shop: Shop) -> None:
    holder = shop.member(1)
    old_cards.add(shop.ctx, shop.owner, holder.id, "1001")
    view = imported(shop)
    assert "old-card-taken" in [error.kind for error in view.errors]
    with shop.ctx.sessions() as session:
        assert holder.id == old_cards.find(session, shop.program.id, "1001")


def test_what_was_bought_before_joining_comes_along(shop: Shop) -> None:
    request = purchases.PurchaseRequest(amount_minor=500, phone="+358401231000", receipt_no="R1")
    purchases.record(shop.ctx, shop.api, request)
    imported(shop)
    assert 4 == everyone(shop)["1000"].stamps, "three from the register, and one from the purchase"


def test_invitations_go_out_in_waves_with_a_link_to_each_newcomer(shop: Shop, at: Callable[[datetime], None]) -> None:
    at(NOON)
    shop.member(1001)
    view = imported(shop, many_phones(5), invite="on", may_invite="on")
    wave = register_work.wave_size(shop.ctx)
    assert (True, wave) == (view.inviting, view.invited)
    moment = NOON
    while register_import.get(shop.ctx, shop.owner, view.id).state is ImportState.RUNNING:
        moment += timedelta(seconds=register_work.WAVE_SECONDS)
        at(moment)
        work(shop)
    view = register_import.get(shop.ctx, shop.owner, view.id)
    assert (ImportState.DONE, 4) == (view.state, view.invited)
    with shop.ctx.sessions() as session:
        sent = session.scalars(select(SmsMessage).order_by(SmsMessage.id)).all()
    assert ["1000", "1002", "1003", "1004"] == [message.phone[-4:] for message in sent]
    assert {("invited", False)} == {(message.template, message.marketing) for message in sent}


def many_phones(number: int) -> str:
    return "phone\n" + "".join(f"040123{1000 + n}\n" for n in range(number))


def test_nobody_is_invited_at_night(shop: Shop, at: Callable[[datetime], None]) -> None:
    at(datetime(2027, 3, 1, 20, 30, tzinfo=UTC))  # half past ten in Helsinki
    view = imported(shop, invite="on", may_invite="on")
    assert (ImportState.RUNNING, 3, 0) == (view.state, view.joined, view.invited)
    at(datetime(2027, 3, 2, 5, 59, tzinfo=UTC))
    assert 0 == work(shop)
    at(datetime(2027, 3, 2, 6, 0, tzinfo=UTC))
    work(shop)
    assert 0 < register_import.get(shop.ctx, shop.owner, view.id).invited


def test_stopping_ends_the_invitations(shop: Shop, at: Callable[[datetime], None]) -> None:
    at(NOON)
    view = imported(shop, many_phones(9), invite="on", may_invite="on")
    register_import.stop(shop.ctx, shop.owner, view.id)
    at(NOON + timedelta(hours=1))
    work(shop)
    assert register_work.wave_size(shop.ctx) == count(shop, SmsMessage)
    with shop.ctx.sessions() as session:
        waiting = session.scalars(select(OutboxRow.id).where(OutboxRow.channel == Channel.TASK)).all()
    assert [] == waiting


def test_the_command_line_looks_first_and_imports_then(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_text(FILE)
    run = CliRunner()
    load = {"obj": lambda: shop.ctx.settings}
    dry = run.invoke(register_command, [str(file), "--program", "kulma", "--dry-run"], **load)
    assert (0, {}) == (dry.exit_code, everyone(shop))
    assert "row 4, phone: No phone has this number." in dry.output
    assert "3 new, 0 members already, 2 rows left out." in dry.output
    done = run.invoke(register_command, [str(file), "--program", "kulma", "--consent-wording", "Paper form"], **load)
    assert (0, True) == (done.exit_code, "3 joined, 0 were members already." in done.output)
    file.write_text("a,b\n1,2\n")
    unknown = run.invoke(register_command, [str(file), "--program", "kulma"], **load)
    assert (1, True) == (unknown.exit_code, "None of these headings" in unknown.output)


def test_another_programme_neither_sees_nor_changes_an_import(shop: Shop) -> None:
    from tests.factories import open_shop

    other = open_shop(shop.ctx, slug="toinen")
    view = checked(shop)
    assert [] == register_import.every(shop.ctx, other.owner)
    for act in (
        lambda: register_import.get(shop.ctx, other.owner, view.id),
        lambda: register_import.stop(shop.ctx, other.owner, view.id),
        lambda: register_import.start(shop.ctx, other.owner, view.id, {}),
        lambda: register_import.check_again(shop.ctx, other.owner, view.id, {"column_0": "phone"}),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert 404 == refused.value.status


def test_balances_and_ledger_agree_after_an_import(shop: Shop) -> None:
    imported(shop, many(40))
    assert [] == doctoring.differences(shop.ctx)


STAMP_COLUMNS = "Phone;Coffee;Lunch;Stamps Bakery;Name\n0401231000;3;4;0;Anna\n0401231001;;17;;Boris\n"


@pytest.fixture
def two_more_cards(shop: Shop) -> dict[str, UUID]:
    """The first card is called Coffee; beside it Lunch, of 8 stamps for a kind of reward, and Bakery."""
    stamp_cards.save_first(shop.ctx, shop.owner, {"name": "Coffee"})
    lunch = {"name": "Lunch", "stamps_needed": "8", "reward_name": "Lunch", "stamp_valid_days": "30"}
    lunch |= {"reward_type_id": str(kind_of_reward(shop, "Free lunch"))}
    bakery = {"name": "Bakery", "stamps_needed": "5", "reward_name": "Free cake"}
    return {form["name"]: stamp_cards.save(shop.ctx, shop.owner, form) for form in (lunch, bakery)}


def on_cards(shop: Shop, phone: str) -> list[tuple[str, int]]:
    member = members.find(shop.ctx, shop.cashier, phone)
    return [("Coffee", member.stamps), *((shown.name, shown.have) for shown in member.further_stamps)]


def test_each_stamp_card_has_a_column_of_its_name(
    shop: Shop, two_more_cards: dict[str, UUID], at: Callable[[datetime], None]
) -> None:
    at(NOON)
    view = checked(shop, STAMP_COLUMNS)
    lunch, bakery = (f"stamps:{two_more_cards[name]}" for name in ("Lunch", "Bakery"))
    assert {"phone": 0, "stamps": 1, lunch: 2, bakery: 3, "name": 4} == view.columns
    assert [] == view.errors
    register_import.start(shop.ctx, shop.owner, view.id, {})
    work(shop)
    assert [("Coffee", 3), ("Lunch", 4), ("Bakery", 0)] == on_cards(shop, "0401231000")
    assert [("Coffee", 0), ("Lunch", 1), ("Bakery", 0)] == on_cards(shop, "0401231001")
    anna, boris = (everyone(shop)[last] for last in ("1000", "1001"))
    assert "Coffee: 3 of 10 – Lunch: 4 of 8" == anna.card.news
    assert "Your reward is here: Free lunch" == boris.card.news
    assert datetime(2027, 3, 31, 21, tzinfo=UTC) == anna.next_expiry_at
    with shop.ctx.sessions() as session:
        rewards = session.scalars(select(Reward).where(Reward.member_id == boris.id)).all()
        query = select(LedgerEntry).where(LedgerEntry.member_id == boris.id).order_by(LedgerEntry.number)
        entries = session.scalars(query).all()
    assert ["Free lunch", "Free lunch"] == [reward.name for reward in rewards]
    assert all(reward.type_id for reward in rewards)
    assert {entries[0].id} == {entry.operation_id for entry in entries}
    assert 17 == entries[0].amount
    assert [] == doctoring.differences(shop.ctx)


def test_a_wrong_number_of_stamps_on_a_further_card_leaves_the_row_out(
    shop: Shop, two_more_cards: dict[str, UUID]
) -> None:
    view = checked(shop, "Phone;Lunch\n0401231000;many\n0401231001;2\n")
    (error,) = view.errors
    assert (2, f"stamps:{two_more_cards['Lunch']}", True) == (error.row, error.field, error.left_out)
    assert (1, 1) == (view.joined, view.faulty)


def test_a_card_that_was_stopped_since_the_check_is_told_of_before_anybody_joins(
    shop: Shop, two_more_cards: dict[str, UUID]
) -> None:
    view = checked(shop, STAMP_COLUMNS)
    lunch = two_more_cards["Lunch"]
    stopped = stamp_cards.as_typed(shop.ctx, shop.owner, lunch) | {"active": ""}
    stamp_cards.save(shop.ctx, shop.owner, stopped, lunch)
    with pytest.raises(Refused) as refused:
        register_import.start(shop.ctx, shop.owner, view.id, {})
    assert "stamp-card-gone" == refused.value.kind
    columns = {f"column_{place}": field for field, place in view.columns.items()}
    register_import.check_again(shop.ctx, shop.owner, view.id, columns)
    work(shop)
    register_import.start(shop.ctx, shop.owner, view.id, {})
    work(shop)
    assert [("Coffee", 3), ("Bakery", 0)] == on_cards(shop, "0401231000")


def test_a_card_that_is_stopped_while_people_join_keeps_what_they_bring(
    shop: Shop, two_more_cards: dict[str, UUID]
) -> None:
    view = checked(shop, STAMP_COLUMNS)
    register_import.start(shop.ctx, shop.owner, view.id, {})
    lunch = two_more_cards["Lunch"]
    form = stamp_cards.as_typed(shop.ctx, shop.owner, lunch)
    stamp_cards.save(shop.ctx, shop.owner, form | {"active": ""}, lunch)
    work(shop)
    assert [("Coffee", 3), ("Bakery", 0)] == on_cards(shop, "0401231000")
    stamp_cards.save(shop.ctx, shop.owner, form, lunch)
    assert [("Coffee", 3), ("Lunch", 4), ("Bakery", 0)] == on_cards(shop, "0401231000")
    assert [] == doctoring.differences(shop.ctx)
