"""For machines that watch: is the process alive, can it serve, and how is it doing."""

from hmac import compare_digest
from ipaddress import ip_address

from flask import Blueprint, Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.services import health
from app.web.access import ctx, public
from app.web.observe import Numbers

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def alive() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public
def ready() -> tuple[Response, int]:
    """200 when the database answers. Without Valkey we still serve, so it is told but does not decide."""
    answers = {"database": health.database_answers(ctx()), "valkey": health.valkey_answers(ctx())}
    parts = {part: "ok" if well else "unreachable" for part, well in answers.items()}
    return jsonify(parts), 200 if answers["database"] else 503


@blueprint.get("/metrics")
@public
def metrics() -> Response:
    """Prometheus numbers, for those with LEIMA_METRICS_TOKEN; without one, for this machine only."""
    token = ctx().settings.metrics_token.get_secret_value()
    if token:
        if not compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
            abort(403)
    elif ctx().settings.proxy_count or not ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104
        abort(403)
    numbers: Numbers = current_app.extensions["leima_numbers"]
    return Response(generate_latest(numbers.of_all_workers()), content_type=CONTENT_TYPE_LATEST)
