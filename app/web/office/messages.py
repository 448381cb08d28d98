"""The SMS with each person: reading them, writing one by hand, and what to do about those that did not go out."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.delivery import Channel
from app.i18n import N_
from app.services import conversations, dead_rows, delivery_overview, programs, sms_by_hand, sms_spending
from app.services.conversations import Thread
from app.services.errors import InvalidForm
from app.services.sms_by_hand import MOST_PARTS
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from sms.delivery_states import State
from sms.phones import masked, shown
from sms.text import count_parts

STATES = {
    State.QUEUED: N_("Waiting to be sent"),
    State.SENDING: N_("Being sent"),
    State.UNKNOWN: N_("Nobody knows whether it was sent"),
    State.ACCEPTED: N_("Handed over"),
    State.SENT: N_("Sent"),
    State.FAILED: N_("Not sent"),
    State.UNDELIVERED: N_("Not delivered"),
    State.DELIVERED: N_("Delivered"),
}
# How each state looks: good, bad, or plain.
LOOKS = {
    State.DELIVERED: "good",
    State.FAILED: "bad",
    State.UNDELIVERED: "bad",
    State.UNKNOWN: "warn",
}


@blueprint.get("/messages")
@staff_only(*OFFICE)
def messages() -> str:
    here = actor()
    after = request.args.get("after", type=UUID)
    found, more = conversations.every(ctx(), here, after)
    program = programs.get(ctx(), here.program_id)
    return render_template(
        "office/messages.html",
        program=program,
        flagged=conversations.flagged(ctx(), here) if after is None else [],
        given_up=conversations.given_up(ctx(), here) if after is None else 0,
        spending=sms_spending.standing(ctx(), here.program_id),
        may_manage=here.may_manage,
        conversations=found,
        more=more,
        later=after is not None,
        phone=lambda number: _phone(number, program.country),
        states=STATES,
        looks=LOOKS,
    )


@blueprint.post("/messages/retry")
@staff_only(*MANAGERS)
def messages_retry_all() -> Response:
    """What may have got through is looked for at the provider first."""
    delivery_overview.revive_all(ctx(), actor().program_id, [Channel.SMS])
    return redirect(url_for("office.messages"), 303)


@blueprint.get("/messages/member/<uuid:member_id>")
@staff_only(*OFFICE)
def messages_member(member_id: UUID) -> str:
    return _page(conversations.with_member(ctx(), actor(), member_id))


@blueprint.get("/messages/<uuid:message_id>")
@staff_only(*OFFICE)
def messages_one(message_id: UUID) -> str:
    """By one of its messages, since an address holds no phone number."""
    return _page(conversations.with_sender(ctx(), actor(), message_id))


@blueprint.post("/messages/member/<uuid:member_id>")
@staff_only(*MANAGERS)
def messages_write(member_id: UUID) -> Response | str | tuple[str, int]:
    return _write(conversations.with_member(ctx(), actor(), member_id))


@blueprint.post("/messages/<uuid:message_id>")
@staff_only(*MANAGERS)
def messages_answer(message_id: UUID) -> Response | str | tuple[str, int]:
    return _write(conversations.with_sender(ctx(), actor(), message_id))


@blueprint.post("/messages/count")
@staff_only(*MANAGERS)
def messages_count() -> str:
    """What the text would cost, as it is typed, to the person of ?member= or of the message ?message=."""
    member_id, message_id = request.args.get("member", type=UUID), request.args.get("message", type=UUID)
    thread = None
    if member_id is not None:
        thread = conversations.with_member(ctx(), actor(), member_id)
    elif message_id is not None:
        thread = conversations.with_sender(ctx(), actor(), message_id)
    return _count(request.form.get("text", ""), thread)


@blueprint.post("/messages/<uuid:message_id>/settle")
@staff_only(*MANAGERS)
def messages_settle(message_id: UUID) -> Response:
    """What was flagged has been read; `answer` is 'stop' when it means: no more offers."""
    thread = conversations.with_sender(ctx(), actor(), message_id)
    conversations.settle(ctx(), actor(), thread, stop_offers=request.form.get("answer") == "stop")
    return redirect(_address(thread, message_id), 303)


@blueprint.post("/messages/<uuid:message_id>/retry/<int(max=9223372036854775807):row_id>")
@staff_only(*MANAGERS)
def messages_retry(message_id: UUID, row_id: int) -> Response:
    """Trying what is being tried already changes nothing; what may have got through is looked for first."""
    thread = conversations.with_sender(ctx(), actor(), message_id)
    dead_rows.revive(ctx(), actor().program_id, row_id)
    return redirect(_address(thread, message_id), 303)


def _write(thread: Thread) -> Response | str | tuple[str, int]:
    form = request.form.to_dict()
    if form.get("action") == "count":
        return _page(thread, form, counted=True)
    try:
        sms_by_hand.write(ctx(), actor(), thread, form, form.get("key", ""))
    except InvalidForm as invalid:
        return _page(thread, form, shown_errors(invalid)), 422
    return redirect(_address(thread, thread.key_id), 303)


def _address(thread: Thread, message_id: UUID | None) -> str:
    if thread.member_id is not None:
        return url_for("office.messages_member", member_id=thread.member_id, _anchor="newest")
    return url_for("office.messages_one", message_id=message_id, _anchor="newest")


def _page(
    thread: Thread, form: dict[str, str] | None = None, errors: dict[str, str] | None = None, *, counted: bool = False
) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    typed = form or {"kind": "service"}
    return render_template(
        "office/conversation.html",
        program=program,
        thread=thread,
        phone=_phone(thread.phone, program.country),
        form=typed,
        errors=errors or {},
        count=_count(typed.get("text", ""), thread) if counted or typed.get("text") else "",
        kinds=[
            ("service", text().gettext("A service message: something that this person needs to know")),
            ("marketing", text().gettext("An offer: only for those who agreed to get offers")),
        ],
        states=STATES,
        looks=LOOKS,
        may_manage=here.may_manage,
    )


def _count(typed: str, thread: Thread | None) -> str:
    """What is being typed costs, in a fragment of the page."""
    sent, count = sms_by_hand.written(typed)
    as_typed = count_parts(typed.replace("\r\n", "\n").strip())
    return render_template(
        "office/_sms_count.html",
        sent=sent,
        count=count,
        saved=as_typed.parts - count.parts,
        most=MOST_PARTS,
        cost_micro=sms_by_hand.cost_micro(ctx(), actor(), thread, count.parts) if thread is not None else 0,
        currency=programs.get(ctx(), actor().program_id).currency,
    )


def _phone(phone: str, country: str) -> str:
    """The number for those who may see it; for others only enough to tell two people apart."""
    return shown(phone, country) if actor().may_manage else masked(phone)
