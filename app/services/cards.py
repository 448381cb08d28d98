"""What a member's card shows: from rows to the wallet-neutral card values, and from those to signed passes."""

from dataclasses import dataclass
from uuid import UUID

from app import clock
from app.db.people import MemberStatus
from app.i18n import LANGUAGES, N_, Translator, translator
from app.loyalty.card_codes import grouped
from app.services import (
    card_bonus,
    card_credit,
    card_extras,
    card_nps,
    card_referral,
    card_stamps,
    card_tier,
    card_visits,
    members,
    programs,
    till,
)
from app.services.card_extras import Extras
from app.services.context import Actor, Context
from app.services.programs import LocationView, ProgramView
from app.services.recent import Recent
from app.services.views import EntryView, MemberView
from passes.artwork import pass_images
from passes.card import Card, CardField, CardLocation, CardLook, StampCount
from passes.colors import Color, label_on, parse, readable_on

WHITE = Color(255, 255, 255)
MOST_LOCATIONS = 10  # Apple shows a card at ten places at most
MOST_ON_FRONT = 4  # fields below the picture, beside a square barcode
# Who comes first when the front is full; the others are on the back.
_FRONT_FIRST = (
    *("status", "rewards", "credit", "next_reward", "tier", "stamps_2", "stamps_3"),
    *("visits", "next_tier", "credit_later", "member"),
)
_NEWS = N_("News")
_REWARDS = N_("Rewards to use")
_MEMBER = N_("Member")
_TERMS = N_("Terms")
_CONTACT = N_("Contact")
_WEBSITE = N_("Website")
_PRIVACY = N_("Privacy")
_OWN_PAGE = N_("Your card's page")
_STATUS = N_("This card")
_BLOCKED = N_("Blocked. Please ask the staff.")
_LABELS = (
    *(_NEWS, _REWARDS, _MEMBER, _TERMS, _CONTACT, _WEBSITE, _PRIVACY, _OWN_PAGE, _STATUS),
    *card_stamps.LABELS,
    *card_bonus.LABELS,
    *card_credit.LABELS,
    *card_tier.LABELS,
    *card_visits.LABELS,
    *card_referral.LABELS,
    *card_nps.LABELS,
)


def colors(program: ProgramView) -> tuple[Color, Color, Color]:
    """The card's background, text and label colours. A light card is white, with the brand colour in its stamps."""
    background = parse(program.brand_color) if program.theme == "dark" else WHITE
    return background, readable_on(background), label_on(background)


def accent(program: ProgramView) -> Color:
    """The colour of the stamps: the brand's on a light card, the text's on a dark one."""
    return parse(program.brand_color) if program.theme == "light" else readable_on(parse(program.brand_color))


_looks: Recent[CardLook] = Recent(64)


def program_look(ctx: Context, program: ProgramView, language: str) -> CardLook:
    """What all cards of the programme share in one language, as the programme is now; those of a tier with a colour of
    its own (card_tier.dressed) have another look."""

    def make() -> CardLook:
        places = programs.locations(ctx, program.id)
        return look(program, language, places, logo_bytes(ctx, program), ctx.settings.wallet_base_url)

    return _looks.get((ctx.settings.wallet_base_url, program.id, program.version, language, program.brand_color), make)


def look(
    program: ProgramView, language: str, locations: list[LocationView], logo: bytes | None, wallet_base_url: str
) -> CardLook:
    """What all cards of the programme share in one language. Without an https address they are never updated."""
    background, foreground, label = colors(program)
    places = [place for place in locations if place.active and place.latitude is not None]
    return CardLook(
        language=language,
        organization_name=program.organization_name,
        program_name=program.name,
        description=translator(language).gettext(N_("Loyalty card of %(name)s"), name=program.name),
        background=background,
        foreground=foreground,
        label=label,
        images=pass_images(logo, background, accent(program)),
        strings=label_translations(language),
        locations=tuple(
            CardLocation(place.latitude or 0.0, place.longitude or 0.0, place.name) for place in places[:MOST_LOCATIONS]
        ),
        logo_text=program.name,
        web_service_url=f"{wallet_base_url}/apple" if wallet_base_url else "",
    )


def label_translations(language: str) -> dict[str, dict[str, str]]:
    """Each label as it stands on a card in `language`, for phones set to the other languages."""
    own = translator(language)
    return {other: {own.gettext(label): translator(other).gettext(label) for label in _LABELS} for other in LANGUAGES}


def card(ctx: Context, program: ProgramView, member: MemberView, page_url: str, extras: Extras | None = None) -> Card:
    """The member's card in the member's language. Who makes many of them asks for their `extras` at once."""
    extras = extras or card_extras.of(ctx, program, [member])[member.id]
    text = translator(member.language)
    shown = min(member.stamps, program.stamps_needed)
    secondary = [*card_stamps.front(text, program, member), *card_tier.front(text, program, member)]
    if member.name:
        secondary.append(CardField("member", text.gettext(_MEMBER), member.name))
    auxiliary = []
    if member.status is MemberStatus.BLOCKED:
        auxiliary.append(CardField("status", text.gettext(_STATUS), text.gettext(_BLOCKED)))
    if member.rewards:
        names = ", ".join(dict.fromkeys(reward.name for reward in member.rewards))
        auxiliary.append(CardField("rewards", text.gettext(_REWARDS), f"{text.number(len(member.rewards))} × {names}"))
    auxiliary += card_credit.front(text, program, member.credits, clock.now())
    auxiliary += card_visits.front(ctx, text, program, member)
    beyond = _beyond_front(secondary + auxiliary)
    return Card(
        serial=str(member.card_id),
        authentication_token=ctx.derived_token("apple-pass", member.card_id, member.link_generation),
        version=member.card_version,
        code=member.card_code,
        code_text=grouped(member.card_code),
        stamps=StampCount(shown, program.stamps_needed),
        header=(card_stamps.top(text, program, member), *card_bonus.front(ctx, text, program, member)),
        secondary=tuple(field for field in secondary if field not in beyond),
        auxiliary=tuple(field for field in auxiliary if field not in beyond),
        back=_back(ctx, text, program, member, page_url, extras, beyond),
        voided=member.status is not MemberStatus.ACTIVE,
    )


def _beyond_front(fields: list[CardField]) -> list[CardField]:
    """Those for which the front has no room, the most important first."""
    if len(fields) <= MOST_ON_FRONT:
        return []
    return sorted(fields, key=lambda field: _FRONT_FIRST.index(field.key))[MOST_ON_FRONT:]


def _back(
    ctx: Context,
    text: Translator,
    program: ProgramView,
    member: MemberView,
    page_url: str,
    extras: Extras,
    beyond: list[CardField],
) -> tuple[CardField, ...]:
    """The back fields, with what found no room on the front. The news is the only field with a change message: it
    alone speaks on the lock screen. The most important come first: Google shows the last ones in one text."""
    fields = [
        CardField("news", text.gettext(_NEWS), member.news or program.welcome_text or program.name, "%@"),
        *card_nps.back(ctx, text, program, member, extras.survey),
        *card_credit.back(text, program, member.credits, extras.credit_codes, clock.now()),
        *beyond,
        *card_stamps.back(text, program, member),
        *card_tier.back(text, program, member),
        *card_referral.back(ctx, text, program, member, extras.referral),
        CardField("page", text.gettext(_OWN_PAGE), page_url),
        CardField("terms", text.gettext(_TERMS), program.terms_text),
        CardField("contact", text.gettext(_CONTACT), program.contact_text),
        CardField("website", text.gettext(_WEBSITE), program.website),
        CardField("privacy", text.gettext(_PRIVACY), f"{ctx.settings.base_url}/privacy/{program.slug}"),
    ]
    return tuple(field for field in fields if field.value)


def logo_bytes(ctx: Context, program: ProgramView) -> bytes | None:
    return programs.picture(ctx, program.logo_id) if program.logo_id else None


@dataclass(frozen=True, slots=True)
class OpenedCard:
    """Everything on a member's own page. `history` has the newest act first; `codes` are those of credits, where the
    programme wants them shown."""

    member: MemberView
    program: ProgramView
    history: list[EntryView]
    codes: dict[UUID, str]


def opened(ctx: Context, token: str) -> OpenedCard:
    """The card whose page this token opens. Raises Refused (404) for a token that opens nothing."""
    member = members.by_link(ctx, token)
    history = till.history(ctx, Actor(member.program_id), member.id)
    program = programs.get(ctx, member.program_id)
    return OpenedCard(member, program, history, card_credit.codes(ctx, program, member.credits))
