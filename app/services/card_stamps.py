"""What a card shows of its stamp cards: the first at the top, the others beside each other below it."""

from app.i18n import N_, Translator
from app.services.programs import ProgramView
from app.services.views import MemberView, StampsView
from passes.card import CardField
from passes.stamp_layout import MAX_CARDS

_STAMPS = N_("Stamps")
_NEXT_REWARD = N_("Full card gives")
_MORE = N_("More stamp cards")
_COUNT = N_("%(have)s of %(needed)s")
_NAMED_COUNT = N_("%(card)s: %(have)s of %(needed)s")
_GIVES = N_("%(card)s: %(reward)s")
# A card's own name is the owner's, and stands as it is on phones in other languages.
LABELS = (_STAMPS, _NEXT_REWARD, _MORE)
# An iPhone shows four fields in a row: these, the tier and the member's name.
_MOST_BESIDE = MAX_CARDS - 1


def of_first(program: ProgramView, member: MemberView) -> StampsView:
    """The member's stamps on the programme's first card."""
    return StampsView(None, program.stamp_card_name, member.stamps, program.stamps_needed, program.reward_name)


def drawn(program: ProgramView, member: MemberView) -> list[tuple[int, int]]:
    """The stamps that the card's picture shows, (have, needed) of as many cards as it has room for."""
    cards = (of_first(program, member), *member.further_stamps)[:MAX_CARDS]
    return [(min(card.have, card.needed), card.needed) for card in cards]


def top(text: Translator, program: ProgramView, member: MemberView) -> CardField:
    """The first card's stamps, for the card's top right corner."""
    label = (program.stamp_card_name if member.further_stamps else "") or text.gettext(_STAMPS)
    return CardField("stamps", label, _count(text, of_first(program, member)))


def front(text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """What a full card gives; with further cards these instead, a field each."""
    if not member.further_stamps:
        return [CardField("next_reward", text.gettext(_NEXT_REWARD), program.reward_name)]
    return [
        CardField(f"stamps_{place}", card.name, _count(text, card))
        for place, card in enumerate(member.further_stamps[:_MOST_BESIDE], start=2)
    ]


def back(text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """What each of several cards gives when it is full, and those that are not on the front."""
    if not member.further_stamps:
        return []
    gives, counts = [], []
    for card in (of_first(program, member), *member.further_stamps):
        gives.append(text.gettext(_GIVES, card=card.name or text.gettext(_STAMPS), reward=card.reward_name))
    for card in member.further_stamps[_MOST_BESIDE:]:
        counts.append(text.gettext(_NAMED_COUNT, card=card.name, have=min(card.have, card.needed), needed=card.needed))
    more = [CardField("more_stamps", text.gettext(_MORE), "\n".join(counts))] if counts else []
    return [*more, CardField("next_reward", text.gettext(_NEXT_REWARD), "\n".join(gives))]


def _count(text: Translator, card: StampsView) -> str:
    return text.gettext(_COUNT, have=min(card.have, card.needed), needed=card.needed)
