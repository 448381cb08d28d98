"""The programme and its stamp cards as the API tells of them."""

from app.services import bonus_use, join_answers, join_rules, members, programs, stamp_cards
from app.services.context import Actor
from app.services.views import MemberView, StampsView
from app.web import bonus_words
from app.web.access import ctx
from app.web.api.program_schemas import Program


def program(actor: Actor) -> Program:
    """What a till needs to set itself up."""
    found = programs.get(ctx(), actor.program_id)
    open_locations = [place for place in programs.locations(ctx(), actor.program_id) if place.active]
    values = {name: getattr(found, name, None) for name in Program.model_fields}
    values |= {"locations": open_locations, "location_id": actor.location_id, "bonus_kind": bonus_words.kind(found)}
    values["rewards_for_points"] = bonus_use.offers(ctx(), actor.program_id)
    values["stamp_cards"] = _stamp_rules(actor)
    values["joining"] = _joining(actor)
    return Program.model_validate(values)


def _stamp_rules(actor: Actor) -> list[dict[str, object]]:
    """See app.web.api.program_schemas.StampCardRules."""
    return [
        {
            "id": shown.card.id,
            "name": shown.card.name,
            "stamps_needed": shown.card.rules.needed,
            "smallest_purchase_minor": shown.card.rules.smallest_purchase_minor,
            "stamp_per_minor": shown.card.rules.per_minor,
            "products": list(shown.products),
            "reward_name": shown.reward_type or shown.card.reward_name,
        }
        for shown in stamp_cards.all_of(ctx(), actor.program_id)
        if shown.active
    ]


def _joining(actor: Actor) -> dict[str, object]:
    """See app.web.api.program_schemas.Joining."""
    asked = join_rules.get(ctx(), actor.program_id)
    questions = [
        {
            "id": one.id,
            "kind": one.kind,
            "text": one.text(one.main),
            "required": one.required,
            "choices": [{"answer": number, "text": words} for number, words in one.offered(one.main)],
        }
        for one in asked.asked
    ]
    return {**asked.details, "enforced": not asked.till_skips, "questions": questions}


def told_to_the_card(member: MemberView) -> dict[str, object]:
    """What is told of a member only to whom the card was shown, or who made the member."""
    answers = {question.id: answer for question, answer in join_answers.of_member(ctx(), member)}
    return {"card_url": members.card_url(ctx(), member), "answers": answers}


def stamp_counts(member: MemberView) -> list[dict[str, object]]:
    """See app.web.api.schemas.StampCard."""
    needed = member.stamps_needed
    first = StampsView(None, member.stamp_card_name, member.stamps, needed, "")
    return [
        {"id": shown.card_id, "name": shown.name, "stamps": shown.have, "stamps_needed": shown.needed}
        for shown in (first, *member.further_stamps)
    ]
