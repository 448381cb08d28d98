"""The office's start page."""

from flask import render_template

from app.services import delivery_overview, guard_desk, nps_desk, programs, referral_desk, sms_spending
from app.services import overview as numbers
from app.web.access import OFFICE, actor, ctx, staff_only
from app.web.office.frame import blueprint


@blueprint.get("")
@staff_only(*OFFICE)
def overview() -> str:
    here = actor()
    return render_template(
        "office/overview.html",
        program=programs.get(ctx(), here.program_id),
        set_up=numbers.set_up(ctx(), here),
        numbers=numbers.numbers(ctx(), here),
        spending=sms_spending.standing(ctx(), here.program_id),
        may_manage=here.may_manage,
        alerts=guard_desk.waiting(ctx(), here),
        held_friends=referral_desk.waiting(ctx(), here),
        let_down=nps_desk.waiting(ctx(), here),
        installed=delivery_overview.installed(ctx(), here),
    )
