"""What a member's card shows: from rows to the wallet-neutral card values, and from those to signed passes."""

from dataclasses import dataclass
from uuid import UUID

from app import clock
from app.db.people import MemberStatus
from app.i18n import LANGUAGES, N_, Translator, translator
from app.loyalty.card_codes import grouped
from app.services import card_credit, members, programs, till
from app.services.context import Actor, Context
from app.services.programs import LocationView, ProgramView
from app.services.recent import Recent
from app.services.views import EntryView, MemberView
from passes.artwork import pass_images
from passes.card import Card, CardField, CardLocation, CardLook, StampCount
from passes.colors import Color, label_on, parse, readable_on

WHITE = Color(255, 255, 255)
MOST_LOCATIONS = 10  # Apple shows a card at ten places at most
_NEWS = N_("News")
_STAMPS = N_("Stamps")
_NEXT_REWARD = N_("Full card gives")
_REWARDS = N_("Rewards to use")
_MEMBER = N_("Member")
_TERMS = N_("Terms")
_CONTACT = N_("Contact")
_WEBSITE = N_("Website")
_OWN_PAGE = N_("Your card's page")
_STATUS = N_("This card")
_BLOCKED = N_("Blocked. Please ask the staff.")
_LABELS = (
    *(_NEWS, _STAMPS, _NEXT_REWARD, _REWARDS, _MEMBER, _TERMS, _CONTACT, _WEBSITE, _OWN_PAGE, _STATUS),
    *card_credit.LABELS,
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
    """What all cards of the programme share in one language, as the programme is now."""

    def make() -> CardLook:
        places = programs.locations(ctx, program.id)
        return look(program, language, places, logo_bytes(ctx, program), ctx.settings.wallet_base_url)

    return _looks.get((ctx.settings.wallet_base_url, program.id, program.version, language), make)


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


def card(ctx: Context, program: ProgramView, member: MemberView, page_url: str) -> Card:
    """The member's card in the member's language."""
    text = translator(member.language)
    shown = min(member.stamps, program.stamps_needed)
    count = text.gettext(N_("%(have)s of %(needed)s"), have=shown, needed=program.stamps_needed)
    secondary = [CardField("next_reward", text.gettext(_NEXT_REWARD), program.reward_name)]
    if member.name:
        secondary.append(CardField("member", text.gettext(_MEMBER), member.name))
    auxiliary = []
    if member.status is MemberStatus.BLOCKED:
        auxiliary.append(CardField("status", text.gettext(_STATUS), text.gettext(_BLOCKED)))
    if member.rewards:
        names = ", ".join(dict.fromkeys(reward.name for reward in member.rewards))
        auxiliary.append(CardField("rewards", text.gettext(_REWARDS), f"{text.number(len(member.rewards))} × {names}"))
    auxiliary += card_credit.front(text, program, member.credits, clock.now())
    return Card(
        serial=str(member.card_id),
        authentication_token=ctx.derived_token("apple-pass", member.card_id),
        version=member.card_version,
        code=member.card_code,
        code_text=grouped(member.card_code),
        stamps=StampCount(shown, program.stamps_needed),
        header=(CardField("stamps", text.gettext(_STAMPS), count),),
        secondary=tuple(secondary),
        auxiliary=tuple(auxiliary),
        back=_back(ctx, text, program, member, page_url),
        voided=member.status is not MemberStatus.ACTIVE,
    )


def _back(
    ctx: Context, text: Translator, program: ProgramView, member: MemberView, page_url: str
) -> tuple[CardField, ...]:
    """The back fields. The news is the only field with a change message: it alone speaks on the lock screen."""
    codes = card_credit.codes(ctx, program, member.credits)
    fields = [
        CardField("news", text.gettext(_NEWS), member.news or program.welcome_text or program.name, "%@"),
        *card_credit.back(text, program, member.credits, codes, clock.now()),
        CardField("page", text.gettext(_OWN_PAGE), page_url),
        CardField("terms", text.gettext(_TERMS), program.terms_text),
        CardField("contact", text.gettext(_CONTACT), program.contact_text),
        CardField("website", text.gettext(_WEBSITE), program.website),
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
