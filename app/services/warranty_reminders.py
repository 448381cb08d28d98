"""Reminding of warranties that end soon."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from app import clock
from app.db.keeping import Warranty
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.purchases import Purchase
from app.i18n import N_, translator
from app.services import reaching, sms_texts
from app.services.context import Context

FROM_HOUR = 9  # of the programme's day: nobody is woken for a toaster
BATCH = 100
NEWS = N_("The warranty of %(name)s ends on %(day)s. The receipt is on your page.")


def remind(ctx: Context) -> bool:
    """Remind of up to BATCH warranties of each programme; True when none are left for now."""
    now = clock.now()
    with ctx.sessions() as session:
        due = session.scalars(
            select(Warranty.program_id).where(Warranty.remind_on <= (now + timedelta(days=1)).date()).distinct()
        ).all()
        zones = dict(session.execute(select(Program.id, Program.time_zone).where(Program.id.in_(due))).all())
    done = True
    for program_id, zone in zones.items():
        local = now.astimezone(ZoneInfo(zone))
        if local.hour < FROM_HOUR:
            continue
        with ctx.sessions() as session:
            query = select(Warranty.id, Warranty.member_id).where(
                Warranty.program_id == program_id, Warranty.remind_on <= local.date()
            )
            found = session.execute(query.order_by(Warranty.remind_on).limit(BATCH)).all()
        for warranty_id, member_id in found:
            _remind_one(ctx, warranty_id, member_id)
        done = done and len(found) < BATCH
    return done


def _remind_one(ctx: Context, warranty_id: object, member_id: object) -> None:
    now = clock.now()
    with ctx.sessions.begin() as session:
        member = (
            session.scalars(select(Member).where(Member.id == member_id).with_for_update(of=Member, key_share=True))
            .unique()
            .one()
        )
        kept = session.get(Warranty, warranty_id, with_for_update=True)
        if kept is None or kept.remind_on is None:
            return
        kept.remind_on = None
        program = session.get_one(Program, member.program_id)
        stands = session.get_one(Purchase, kept.purchase_id).undone_at is None
        today = now.astimezone(ZoneInfo(program.time_zone)).date()
        if member.status is not MemberStatus.ACTIVE or not stands or kept.ends_on < today:
            return
        text = translator(member.language)
        params = {"name": kept.name, "day": text.short_date(kept.ends_on)}
        reaching.tell(
            session,
            program,
            member,
            now,
            news=text.gettext(NEWS, **params),
            template=sms_texts.WARRANTY,
            params=params,
        )
