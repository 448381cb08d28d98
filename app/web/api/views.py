"""The API's routes. Each call reads its body, asks one service, and answers with a schema."""

import json
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, render_template, url_for

from app.i18n import N_
from app.services import (
    code_redeeming,
    credit_use,
    limits,
    members,
    purchases,
    receipts,
    recognise,
    spending_proofs,
    till,
)
from app.services.context import Actor
from app.services.members import JoinRequest
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from app.web.access import ctx, key_only, public
from app.web.api import (
    bodies,
    code_schemas,
    program_answers,
    proof_schemas,
    purchase_schemas,
    reward_schemas,
    schemas,
)
from app.web.api.calls import CALLS
from app.web.api.openapi import document
from app.web.api.problems import KINDS
from app.web.api.reference import sections
from app.web.language import text
from app.web.security import csrf

blueprint = Blueprint("api", __name__, url_prefix="/api")
csrf.exempt(blueprint)  # a key in a header is nothing that a browser sends by itself

PAUSE = str(limits.API.get_expiry())  # seconds until the count starts anew, at the latest


@blueprint.get("/v1/program")
@key_only
def show_program() -> Response:
    return _json(program_answers.program(_actor()))


@blueprint.post("/v1/members")
@key_only
def join_member() -> Response:
    sent = bodies.read(schemas.NewMember)
    member, new = members.join(
        ctx(),
        _actor(),
        JoinRequest(
            phone=sent.phone,
            name=sent.name or "",
            email=sent.email or "",
            birth_date=sent.birth_date,
            city=sent.city or "",
            language=sent.language or "",
            via=sent.via or "",
            consents=sent.consents.given() if sent.consents else {},
            referral=sent.referral or "",
            answers=sent.answers or {},
        ),
        source="api",
    )
    response = _member(member, card_told=new)
    if new:
        response.status_code = 201
        response.headers["Location"] = url_for("api.show_member", card_code=member.card_code)
    return response


@blueprint.get("/v1/members/<card_code>")
@key_only
def show_member(card_code: str) -> Response:
    # Only cards are looked up by address: servers and proxies on the way write addresses into their logs.
    member, proof, coupon = recognise.by_card(ctx(), _actor(), card_code)
    return _member(member, proof=proof, card_told=bool(proof) and not coupon, coupon=coupon)


@blueprint.post("/v1/stamps")
@key_only
def give_stamps() -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(schemas.NewStamps)
    answer, repeated = till.give_stamps(
        ctx(),
        _actor(),
        sent.card_code or "",
        phone=sent.phone,
        count=1 if sent.count is None else sent.count,
        amount_minor=sent.amount_minor,
        receipt_no=sent.receipt_no or "",
        location=sent.location,
        card=sent.card,
        key=key,
    )
    return _json(schemas.StampsGiven.model_validate(_told(answer, card_sent=sent.card_code is not None)), repeated)


@blueprint.post("/v1/rewards/<uuid:id>/redeem")
@key_only
def redeem_reward(id: UUID) -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(reward_schemas.RedeemedAt, needed=False)
    answer, repeated = till.redeem_reward(
        ctx(),
        _actor(),
        id,
        proof=sent.proof or "",
        card_code=sent.card_code or "",
        bill_minor=sent.amount_minor,
        location=sent.location,
        key=key,
    )
    return _json(reward_schemas.RewardRedeemed.model_validate(_told(answer, card_sent=bool(sent.card_code))), repeated)


@blueprint.post("/v1/entries/<uuid:id>/undo")
@key_only
def undo_entry(id: UUID) -> Response:
    key = bodies.idempotency_key()
    bodies.read(schemas.Nothing, needed=False)
    answer, repeated = till.undo(ctx(), _actor(), id, key=key)
    return _json(schemas.EntryUndone.model_validate(_told(answer, card_sent=False)), repeated)


@blueprint.post("/v1/members/<uuid:id>/one-time-code")
@key_only
def send_one_time_code(id: UUID) -> Response:
    bodies.read(schemas.Nothing, needed=False)
    expires_at = spending_proofs.send(ctx(), _actor(), id)
    return _json(proof_schemas.OneTimeCodeSent(expires_at=expires_at))


@blueprint.post("/v1/members/<uuid:id>/proof")
@key_only
def confirm_one_time_code(id: UUID) -> Response:
    sent = bodies.read(proof_schemas.OneTimeCode)
    proof, expires_at = spending_proofs.confirm(ctx(), _actor(), id, sent.one_time_code)
    return _json(proof_schemas.ProofGiven(proof=proof, expires_at=expires_at))


@blueprint.post("/v1/members/<uuid:id>/credit/redeem")
@key_only
def use_credit(id: UUID) -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(proof_schemas.CreditBill)
    answer, repeated = credit_use.use(
        ctx(),
        _actor(),
        id,
        bill_minor=sent.amount_minor,
        proof=sent.proof or "",
        card_code=sent.card_code or "",
        receipt_no=sent.receipt_no or "",
        location=sent.location,
        key=key,
    )
    return _json(proof_schemas.CreditUsed.model_validate(answer), repeated)


@blueprint.post("/v1/codes/check")
@key_only
def check_code() -> Response:
    sent = bodies.read(code_schemas.CodeToCheck)
    found = code_redeeming.check(ctx(), _actor(), sent.code, sent.phone_last4, location=sent.location)
    return _json(code_schemas.CodeChecked.model_validate(found))


@blueprint.post("/v1/codes/redeem")
@key_only
def redeem_code() -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(code_schemas.CodeToRedeem)
    answer, repeated = code_redeeming.redeem(
        ctx(),
        _actor(),
        sent.code,
        amount_minor=sent.amount_minor,
        receipt_no=sent.receipt_no or "",
        location=sent.location,
        phone_last4=sent.phone_last4,
        key=key,
    )
    return _json(code_schemas.CodeRedeemed.model_validate(answer), repeated)


@blueprint.post("/v1/purchases")
@key_only
def record_purchase() -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(purchase_schemas.NewPurchase)
    answer, repeated = purchases.record(
        ctx(),
        _actor(),
        PurchaseRequest(
            amount_minor=sent.amount_minor,
            phone=sent.phone,
            card=sent.card,
            member_id=sent.member_id,
            receipt_no=sent.receipt_no or "",
            at=sent.at,
            lines=[
                purchases.Line(
                    line.name, line.product or "", line.quantity or "", line.amount_minor, line.warranty_months
                )
                for line in sent.lines or ()
            ],
            location=sent.location,
            currency=sent.currency or "",
        ),
        key=key,
    )
    response = _json(purchase_schemas.PurchaseRecorded.model_validate(answer), repeated)
    response.status_code = 200 if repeated else 201
    response.headers["Location"] = url_for("api.show_purchase", id=answer["purchase_id"])
    return response


@blueprint.get("/v1/purchases/<uuid:id>")
@key_only
def show_purchase(id: UUID) -> Response:
    return _json(purchase_schemas.Purchase.model_validate(receipts.find(ctx(), _actor(), id)))


@blueprint.post("/v1/purchases/<uuid:id>/undo")
@key_only
def undo_purchase(id: UUID) -> Response:
    key = bodies.idempotency_key()
    bodies.read(schemas.Nothing, needed=False)
    answer, repeated = purchases.undo(ctx(), _actor(), id, key=key)
    return _json(purchase_schemas.PurchaseUndone.model_validate(answer), repeated)


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    """The document, in its own order: jsonify would sort it by name."""
    found = json.dumps(document(ctx().settings.base_url), ensure_ascii=False, indent=1)
    return Response(found, content_type="application/json")


@blueprint.get("/docs")
@public
def docs() -> str:
    found = document(ctx().settings.base_url)
    return render_template("api/docs.html", document=found, sections=sections(found), kinds=KINDS)


@blueprint.get("/problems/<kind>")
@public
def problem(kind: str) -> tuple[str, int]:
    """What a problem's type means, for the person who makes the till."""
    found = KINDS.get(kind)
    if found is None:
        return render_template("refused.html", status=404, message=text().gettext(N_("There is no such problem."))), 404
    calls = [call for call in CALLS if kind in call.problems]
    return render_template("api/problem.html", name=kind, kind=found, calls=calls), 200


@blueprint.after_request
def say_when_to_come_back(response: Response) -> Response:
    if response.status_code == 429:
        response.headers.setdefault("Retry-After", PAUSE)
    return response


def _actor() -> Actor:
    found: Actor = g.api_actor
    return found


def _member(member: MemberView, *, card_told: bool, proof: str = "", coupon: UUID | None = None) -> Response:
    """`card_told` False: the card's code and link would let who knows the phone number pass for the customer."""
    values = {name: getattr(member, name, None) for name in schemas.Member.model_fields}
    values |= {"rewards": list(member.rewards), "credits": list(member.credits), "coupon": coupon}
    values |= {"stamp_cards": program_answers.stamp_counts(member), "proof": proof or None}
    told = program_answers.told_to_the_card(member) if card_told else {"card_code": None}
    return _json(schemas.Member.model_validate(values | told))


def _told(answer: dict[str, Any], *, card_sent: bool) -> dict[str, Any]:
    """The answer, with the card's code only for who has sent it: the code is as good as the card."""
    return answer if card_sent else answer | {"card_code": None}


def _json(answer: schemas.Answered, repeated: bool = False) -> Response:
    response = Response(answer.model_dump_json(), content_type="application/json")
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return response
