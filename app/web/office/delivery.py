"""Cards in wallets: how many there are, what is on its way to them, and what did not arrive."""

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.delivery import Channel, Wallet
from app.i18n import N_
from app.services import dead_rows, delivery_overview, programs
from app.services.delivery_overview import Person
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.office.frame import blueprint
from sms.phones import masked, shown

_CHANNELS = {
    Channel.APPLE: N_("Apple Wallet"),
    Channel.GOOGLE: N_("Google Wallet"),
    Channel.REFRESH: N_("All wallets"),
    Channel.TASK: N_("Long work"),
    Channel.CAMPAIGN: N_("Campaigns"),
}
_WALLETS = {Wallet.APPLE: N_("Apple Wallet"), Wallet.GOOGLE: N_("Google Wallet")}


@blueprint.get("/delivery")
@staff_only(*OFFICE)
def delivery() -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)

    def phone(person: Person) -> str:
        return shown(person.phone, program.country) if here.may_manage else masked(person.phone)

    return render_template(
        "office/delivery.html",
        program=program,
        delivery=delivery_overview.delivery(ctx(), here),
        channels=_CHANNELS,
        wallets=_WALLETS,
        phone=phone,
        may_manage=here.may_manage,
        again="again" in request.args,
    )


@blueprint.post("/delivery/<int(max=9223372036854775807):row_id>/retry")
@staff_only(*MANAGERS)
def delivery_retry(row_id: int) -> Response:
    """Trying what is being tried already changes nothing."""
    dead_rows.revive(ctx(), actor().program_id, row_id)
    return redirect(url_for("office.delivery", again=1), 303)


@blueprint.post("/delivery/retry")
@staff_only(*MANAGERS)
def delivery_retry_all() -> Response:
    delivery_overview.revive_all(ctx(), actor().program_id)
    return redirect(url_for("office.delivery", again=1), 303)
