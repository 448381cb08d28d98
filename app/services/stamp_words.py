"""The rules of stamp cards, in whole sentences for who sets them, and for who collects stamps."""

from datetime import time

from app.i18n import N_, Money, Translator
from app.loyalty.stamps import by_hand
from app.loyalty.windows import Window
from app.services.double_windows import WindowView
from app.services.programs import ProgramView
from app.services.stamp_cards import StampCardView

_MIDNIGHT = time()


def card_sentences(text: Translator, program: ProgramView, shown: StampCardView) -> list[str]:
    """What a card does, from the purchase to the reward."""
    rules = shown.card.rules
    said = [_earning(text, program, shown)]
    if rules.per_minor and not rules.products:
        said.append(_example(text, program, shown, rules.per_minor))
    return said + _limits(text, program, shown)


def customer_sentences(text: Translator, program: ProgramView, shown: StampCardView) -> list[str]:
    """The same for who collects: they have joined already, and know products by their names, not by their codes."""
    rules = shown.card.rules
    named = tuple(product for product in shown.products if any(letter.isalpha() for letter in product))
    said = [_customers_earning(text, program, shown, named), *_smallest(text, program, shown), *_birthday(text, shown)]
    said += _filling(text, shown)
    if rules.reward_valid_days and not shown.reward_type:
        days = rules.reward_valid_days
        said.append(text.ngettext("A reward is valid for %(n)s day.", "A reward is valid for %(n)s days.", days))
    return said


def _limits(text: Translator, program: ProgramView, shown: StampCardView) -> list[str]:
    """What else there is to earning, and what a full card gives."""
    joining = shown.card.rules.join_stamps
    joins = [text.ngettext("Joining gives %(n)s stamp.", "Joining gives %(n)s stamps.", joining)] if joining else []
    return [*_smallest(text, program, shown), *joins, *_birthday(text, shown), *_filling(text, shown)]


def _smallest(text: Translator, program: ProgramView, shown: StampCardView) -> list[str]:
    smallest = Money(shown.card.rules.smallest_purchase_minor, program.currency)
    return (
        [text.gettext(N_("The purchase must be %(smallest)s or more."), smallest=smallest)]
        if smallest.amount_minor
        else []
    )


def _birthday(text: Translator, shown: StampCardView) -> list[str]:
    stamps = shown.card.rules.birthday_stamps
    return [text.ngettext("A birthday gives %(n)s stamp.", "A birthday gives %(n)s stamps.", stamps)] if stamps else []


def _filling(text: Translator, shown: StampCardView) -> list[str]:
    rules = shown.card.rules
    said = [
        text.ngettext(
            "%(n)s stamp fills the card and gives: %(reward)s",
            "%(n)s stamps fill the card and give: %(reward)s",
            rules.needed,
            reward=shown.reward_type or shown.card.reward_name,
        )
    ]
    if rules.valid_days:
        said.append(
            text.ngettext("A stamp is valid for %(n)s day.", "A stamp is valid for %(n)s days.", rules.valid_days)
        )
    return said


def window_sentence(text: Translator, shown: WindowView) -> str:
    """How many times stamps count in a window, and when and where."""
    window = shown.window
    facts = [text.weekdays(sorted(window.weekdays)) if window.weekdays else text.gettext(N_("every day"))]
    facts += _hours(text, window) + _days(text, window)
    facts += [text.listed(shown.places)] if shown.places else []
    when = text.listed(facts)
    if window.factor == 2:
        return text.gettext(N_("Stamps count twice: %(when)s"), when=when)
    return text.gettext(N_("Stamps count %(factor)s times: %(when)s"), factor=window.factor, when=when)


def _earning(text: Translator, program: ProgramView, shown: StampCardView) -> str:
    rules = shown.card.rules
    products = text.listed(shown.products)
    if rules.per_minor:
        each = Money(rules.per_minor, program.currency)
        if products:
            message = N_("A receipt with lines earns one stamp for each full %(each)s spent on: %(products)s")
            return text.gettext(message, each=each, products=products)
        return text.gettext(N_("A purchase earns one stamp for each full %(each)s."), each=each)
    if products:
        message = N_("A receipt with lines earns one stamp for each piece of: %(products)s")
        return text.gettext(message, products=products)
    return text.gettext(N_("A purchase earns one stamp."))


def _customers_earning(text: Translator, program: ProgramView, shown: StampCardView, named: tuple[str, ...]) -> str:
    rules = shown.card.rules
    if not rules.products:
        return _earning(text, program, shown)
    if rules.per_minor:
        each = Money(rules.per_minor, program.currency)
        if named:
            message = N_("Each full %(each)s spent on these gives a stamp: %(products)s")
            return text.gettext(message, each=each, products=text.listed(named))
        return text.gettext(N_("Each full %(each)s spent on some of our products gives a stamp."), each=each)
    if named:
        return text.gettext(N_("Each of these gives a stamp: %(products)s"), products=text.listed(named))
    return text.gettext(N_("Some of our products give a stamp each."))


def _example(text: Translator, program: ProgramView, shown: StampCardView, per_minor: int) -> str:
    amount_minor = max(per_minor * 5 // 2, shown.card.rules.least_minor)
    return text.ngettext(
        "For example, a purchase of %(bill)s gives %(n)s stamp.",
        "For example, a purchase of %(bill)s gives %(n)s stamps.",
        by_hand(shown.card.rules, 1, amount_minor),
        bill=Money(amount_minor, program.currency),
    )


def _hours(text: Translator, window: Window) -> list[str]:
    begins, ends = window.from_time, window.until_time
    if begins is None and ends is None:
        return []
    begins, ends = begins or _MIDNIGHT, ends or _MIDNIGHT
    over_midnight = ends <= begins and ends != _MIDNIGHT
    message = (
        N_("from %(from)s until %(until)s of the next day") if over_midnight else N_("from %(from)s until %(until)s")
    )
    shown_end = "24:00" if ends == _MIDNIGHT else f"{ends:%H:%M}"
    return [text.gettext(message, **{"from": text.digits(f"{begins:%H:%M}"), "until": text.digits(shown_end)})]


def _days(text: Translator, window: Window) -> list[str]:
    first, last = window.first_day, window.last_day
    if first and last:
        return [text.gettext(N_("%(first)s to %(last)s"), first=first, last=last)]
    if first:
        return [text.gettext(N_("from %(first)s on"), first=first)]
    return [text.gettext(N_("until %(last)s"), last=last)] if last else []
