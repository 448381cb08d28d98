"""What SMS providers post to us: people's messages, and reports of ours. Every answer is valid for the provider."""

from uuid import UUID

from flask import Blueprint, Response, abort, request

from app.logs import log
from app.services import sms_incoming, sms_sending
from app.services.sms_incoming import Incoming
from app.web.access import ctx, public
from app.web.security import csrf
from sms.twilio_webhooks import SIGNATURE, SIGNATURE_SETTINGS, TWIML_TYPE, WebhookError, inbound, status_report, twiml

blueprint = Blueprint("sms", __name__, url_prefix="/sms")
csrf.exempt(blueprint)  # the provider signs what it posts


@blueprint.post("/twilio/inbound")
@public
def twilio_inbound() -> Response:
    """Somebody texted the shop. The reply goes out as a message of its own, so that its delivery is known too."""
    _verify()
    try:
        message = inbound(request.form)
    except WebhookError as error:
        log().warning("sms.inbound_malformed", reason=str(error))
        abort(400)
    incoming = Incoming("twilio", message.message_sid, message.sender, message.body, message.opt_out is not None)
    sms_incoming.receive(ctx(), incoming)
    return Response(twiml(), content_type=TWIML_TYPE)


@blueprint.post("/twilio/status/<uuid:message_id>")
@public
def twilio_status(message_id: UUID) -> Response:
    """A report of one of our messages: proof that it was accepted, even when the answer to our request was lost."""
    _verify()
    try:
        report = status_report(request.form)
    except WebhookError as error:
        log().warning("sms.status_malformed", reason=str(error))
        abort(400)
    known = sms_sending.reported(ctx(), message_id, report, request.form.to_dict())
    if not known:
        log().warning("sms.status_of_unknown_message")
    return Response(status=204)


def _verify() -> None:
    """Only what the provider signed. The address is the public one: proxies change what a request says of itself."""
    url = ctx().settings.base_url + request.full_path.rstrip("?")
    signature, settings = request.headers.get(SIGNATURE), request.headers.get(SIGNATURE_SETTINGS)
    if not ctx().twilio_keys.signed(url, request.form.to_dict(), signature, settings):
        abort(403)
