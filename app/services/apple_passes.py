"""Signed Apple passes of members' cards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app import clock
from app.i18n import N_, RIGHT_TO_LEFT
from app.logs import log
from app.services import card_stamps, card_tier, cards, members, programs
from app.services.card_state import CardState
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.pass_types import identity_of
from app.services.programs import ProgramView
from app.services.recent import Recent
from app.services.views import MemberView
from certs.identity import CertificateError, SigningIdentity
from passes.apple.errors import PassError
from passes.apple.package import PassTemplate
from passes.artwork import stamp_strip_files

_NOT_SIGNED = N_(
    "The shop's certificate for wallet cards is missing or no longer valid, so your card cannot be added to the wallet "
    "now. Please tell the staff. Your card works on its own page all the same."
)

# Keyed by the programme's version, so a change in the office shows at once, in every process. A look's pictures may
# take 700 KB, those of one number of stamps ~20 KB; looks and templates of a look share theirs.
_prepared: Recent[PassTemplate] = Recent(64)
_templates: Recent[PassTemplate] = Recent(512)
_programs: Recent[ProgramView] = Recent(256)
# Phones ask again for what they just got: after a lost answer, or each of a member's phones after one push.
_signed: Recent[bytes] = Recent(4096, heaviest=64 * 2**20, weight=len)


@dataclass(frozen=True, slots=True)
class SignedPass:
    """A .pkpass in pieces, and when the card changed last."""

    segments: list[bytes]
    changed_at: datetime


def apple_pass(ctx: Context, member: MemberView) -> SignedPass:
    """The member's card for Apple Wallet, signed now. Raises Refused (503) when the certificate does not allow it."""
    program = programs.get(ctx, member.program_id)
    return SignedPass(_signed_now(ctx, program, member, members.card_url(ctx, member)), member.card_changed_at)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to a phone that asks for its card. No `content`: the phone has it already."""

    content: bytes | None
    changed_at: datetime


def fetch(ctx: Context, card: CardState, seen: datetime | None) -> Fetched:
    """The card for a phone that holds it as it was at `seen`. Bytes are kept as long as neither card nor programme
    change. Raises Refused (503) when the certificate does not allow signing."""
    if seen is not None and seen >= card.changed_at:
        return Fetched(None, card.changed_at)
    key = (card.card_id, card.version, card.program_version)
    return Fetched(_signed.get(key, lambda: b"".join(_signed_state(ctx, card))), card.changed_at)


def _signed_state(ctx: Context, card: CardState) -> list[bytes]:
    program = _programs.get((card.program_id, card.program_version), lambda: programs.get(ctx, card.program_id))
    member = card.member or members.by_id(ctx, Actor(card.program_id), card.member_id, erased=True)
    link = ctx.derived_token("card-link", card.card_id, card.link_generation)
    return _signed_now(ctx, program, member, members.page_url(ctx, link))


def _signed_now(ctx: Context, program: ProgramView, member: MemberView, page_url: str) -> list[bytes]:
    with signing(member.card_id, program.id):
        template = _template(
            ctx, card_tier.dressed(program, member), member, identity_of(ctx, program.pass_type_identifier)
        )
        return template.segments(cards.card(ctx, program, member, page_url), clock.now())


@contextmanager
def signing(serial: UUID, program_id: UUID) -> Iterator[None]:
    """What a certificate or a value does not allow is logged, and refused in the customer's words: 503."""
    try:
        yield
    except (CertificateError, PassError) as error:
        log().error("card.not_signed", card_id=serial, program_id=program_id, reason=str(error))
        raise Refused("card-not-signed", _NOT_SIGNED, status=503) from error


def _template(ctx: Context, program: ProgramView, member: MemberView, identity: SigningIdentity) -> PassTemplate:
    """The prepared pass that this member shares with all who have as many stamps and speak the same language."""
    language = member.language
    (have, needed), *below = counts = card_stamps.drawn(program, member)
    shared = (ctx.settings.wallet_base_url, program.id, program.version, language, program.brand_color, identity)

    def prepare() -> PassTemplate:
        return PassTemplate.prepare(cards.program_look(ctx, program, language), identity)

    def make_template() -> PassTemplate:
        background, ink = cards.colors(program)[0], cards.accent(program)
        rtl = language in RIGHT_TO_LEFT
        strip = stamp_strip_files(have, needed, background, ink, ink, rtl=rtl, below=below)
        return _prepared.get(shared, prepare).with_strip(strip)

    return _templates.get((*shared, *counts), make_template)
