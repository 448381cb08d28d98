"""What the demo's café gives beside stamps for coffee: a lunch card, bonus, tiers, rewards for visits and friends."""

from app.db.joining import QuestionKind
from app.services import (
    bonus_extras,
    bonus_rules,
    double_windows,
    group_pricing,
    join_questions,
    member_groups,
    nps_rules,
    programs,
    referral_rules,
    reward_types,
    stamp_cards,
    tier_rules,
    visit_rules,
)
from app.services.context import Actor, Context

COFFEE, LUNCH = ("Coffee", "Cappuccino", "Latte", "Tea"), ("Lunch of the day", "Salmon soup")
GROUP = "Neighbours of Kallio"
_WORKING_DAYS = {f"weekday_{day}": "on" for day in range(5)}
_FREE_COFFEE, _LUNCH, _BUN, _BEANS = "Free coffee", "Lunch on the house", "Cinnamon bun", "Bag of our beans"
# The first is what a full coffee card gives, by the name that the programme has it under from the beginning.
_REWARDS: tuple[dict[str, str], ...] = (
    {"name": _FREE_COFFEE, "details": "Any size, any milk.", "valid_days": "60", "remind_days": "7", "own_pass": "on"}
    | {"for_full_card": "on"},
    {"name": _LUNCH, "details": "From the list of the day, with coffee.", "valid_days": "90", "remind_days": "14"}
    | _WORKING_DAYS,
    {"name": _BUN, "details": "Warm from the oven, while there are any.", "valid_days": "30"},
    {"name": _BEANS, "details": "250 g, ground as you like.", "valid_days": "90", "own_pass": "on"},
    {"name": "€5 off", "value": "amount", "amount": "5", "valid_days": "30", "remind_days": "5", "own_pass": "on"},
    {"name": "20% off cakes to order", "value": "percent", "percent": "20", "valid_days": "60"},
    {"name": "Evening of latte art", "details": "An evening behind our bar.", "value": "access", "valid_days": "60"}
    | {"own_pass": "on"},
)
_TIERS = (
    ("Bean", "0", "#8a5a3b", "3% bonus, and a cinnamon bun for each tenth visit"),
    ("Silver bean", "100", "#5b6b7a", "4% bonus"),
    ("Golden bean", "300", "#b8860b", "5% bonus, and a seat at our evenings of latte art"),
)
_TIER_RATES = {"Silver bean": "4", "Golden bean": "5"}
_QUESTION = {
    "text_en": "How do you take your coffee?",
    "text_fi": "Millaisena juot kahvisi?",
    "text_ru": "Какой кофе вы любите?",
    "text_fa": "قهوه را چطور می‌نوشید؟",
}
_CHOICES = (
    ("Black", "Mustana", "Чёрный", "ساده"),
    ("With milk", "Maidolla", "С молоком", "با شیر"),
    ("With oat milk", "Kauramaidolla", "С овсяным молоком", "با شیر جو"),
    ("Tea, please", "Teetä, kiitos", "Лучше чай", "لطفاً چای"),
)


def set_up(context: Context, actor: Actor) -> None:
    """Set all of it, unless it is there."""
    if reward_types.all_of(context, actor.program_id):
        return
    places = {place.name: str(place.id) for place in programs.locations(context, actor.program_id)}
    bonus_rules.save(context, actor, {"kind": "money", "share": "3", "valid_days": "365", "warn_days": "14"})
    rewards = {form["name"]: str(reward_types.save(context, actor, form).id) for form in _REWARDS}
    _cards(context, actor, rewards)
    happy_hour = {"name": "Happy hour at Kamppi", "factor": "2", "from_time": "14:00", "until_time": "16:00"}
    double_windows.save(context, actor, happy_hour | _WORKING_DAYS | {f"location_{places['Kulma Kamppi']}": "on"})
    _tiers_and_bonus(context, actor, rewards)
    visit_rules.save(context, actor, {"active": "on", "hours_apart": "4", "count_purchases": "on"})
    visit_rules.add_goal(context, actor, {"at_visit": "10", "every": "on", "reward_type_id": rewards[_BUN]})
    _group(context, actor)
    referral_rules.save(
        context,
        actor,
        {"active": "on", "rewarded_on": "purchase", "month_limit": "5", "friend_stamps": "2"}
        | {"referrer_bonus": "2", "referrer_stamps": "1", "text_en": "Coffee tastes better in company."},
    )
    choices = {
        f"choice_{number}_{language}": word
        for number, words in enumerate(_CHOICES)
        for language, word in zip(("en", "fi", "ru", "fa"), words, strict=True)
    }
    join_questions.add(context, actor, QuestionKind.CHOICE, _QUESTION | choices)


def begin_asking(context: Context, actor: Actor) -> None:
    """Switch the question on whether members recommend the café, unless somebody has set it."""
    if not nps_rules.saved(context, actor).active:
        nps_rules.save(context, actor, {"active": "on", "after_visits": "5", "period_days": "180", "ask_by": "card"})


def _cards(context: Context, actor: Actor, rewards: dict[str, str]) -> None:
    stamp_cards.save_first(context, actor, {"name": "Coffee", "products": "\n".join(COFFEE), "birthday_stamps": "2"})
    lunch = {"name": "Lunch", "stamps_needed": "8", "products": "\n".join(LUNCH), "stamp_valid_days": "365"}
    stamp_cards.save(context, actor, lunch | {"reward_name": _LUNCH, "reward_type_id": rewards[_LUNCH]})


def _tiers_and_bonus(context: Context, actor: Actor, rewards: dict[str, str]) -> None:
    form = {"active": "on", "basis": "spending", "period": "rolling", "days": "365", "grace_days": "30"}
    for place, tier in enumerate(_TIERS):
        form |= {
            f"{name}-{place}": value for name, value in zip(("name", "needs", "color", "benefits"), tier, strict=True)
        }
    tier_rules.save(context, actor, form)
    for made in tier_rules.tiers(context, actor.program_id):
        if share := _TIER_RATES.get(made.name):
            bonus_extras.add_rate(context, actor, {"name": made.name, "rate": share, "tier": str(made.id)})
    bonus_extras.add_threshold(context, actor, {"threshold": "15", "every": "on", "reward": rewards[_BEANS]})


def _group(context: Context, actor: Actor) -> None:
    group = {"name": GROUP, "details": "For those who live around the corner.", "on_card": "on"}
    group_id = member_groups.save(context, actor, group)
    group_pricing.add(context, actor, group_id, {"product": "Coffee", "kind": "price", "price": "2.80"})
    group_pricing.add(context, actor, group_id, {"product": "", "kind": "off", "off": "10"})
