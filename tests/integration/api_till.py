"""A till that speaks the API. Every answer is held to the OpenAPI document."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from app.web.api.openapi import document
from app.web.api.problems import KINDS


class Till:
    """A till with a key. Each answer must be one that the OpenAPI document tells of."""

    def __init__(self, app: Flask, key: str, base_url: str) -> None:
        self.client = app.test_client()
        self.key = key
        self.document = document(base_url)

    def call(self, method: str, path: str, template: str = "", **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}"} | more.pop("headers", {})
        answer = self.client.open(path, method=method, headers=headers, **more)
        self._check(answer, method, template or path)
        return answer

    def join(self, **body: object) -> TestResponse:
        return self.call("POST", "/api/v1/members", json=body)

    def member(self, code: str) -> TestResponse:
        return self.call("GET", f"/api/v1/members/{quote(code)}", "/api/v1/members/{card_code}")

    def stamps(self, key: str | None = None, **body: object) -> TestResponse:
        return self.call("POST", "/api/v1/stamps", json=body, headers={"Idempotency-Key": key or str(uuid4())})

    def redeem(self, reward_id: object, key: str | None = None, **more: Any) -> TestResponse:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.call(
            "POST", f"/api/v1/rewards/{reward_id}/redeem", "/api/v1/rewards/{id}/redeem", headers=headers, **more
        )

    def undo(self, entry_id: object, key: str | None = None, **more: Any) -> TestResponse:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.call(
            "POST", f"/api/v1/entries/{entry_id}/undo", "/api/v1/entries/{id}/undo", headers=headers, **more
        )

    def purchase(self, key: str | None = None, **body: object) -> TestResponse:
        return self.call("POST", "/api/v1/purchases", json=body, headers={"Idempotency-Key": key or str(uuid4())})

    def show_purchase(self, purchase_id: object) -> TestResponse:
        return self.call("GET", f"/api/v1/purchases/{purchase_id}", "/api/v1/purchases/{id}")

    def undo_purchase(self, purchase_id: object, key: str | None = None, **more: Any) -> TestResponse:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.call(
            "POST", f"/api/v1/purchases/{purchase_id}/undo", "/api/v1/purchases/{id}/undo", headers=headers, **more
        )

    def _check(self, answer: TestResponse, method: str, template: str) -> None:
        told = self.document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in told, answer.text
        content = told[str(answer.status_code)]["content"]
        assert answer.mimetype in content
        schema = content[answer.mimetype]["schema"] | {"components": self.document["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.json)
        if answer.status_code >= 400:
            kind = answer.json["type"].rsplit("/", 1)[1]
            assert kind in content[answer.mimetype]["examples"]
            assert KINDS[kind].status == answer.status_code


def kind_of(answer: TestResponse) -> str:
    return str(answer.json["type"]).rsplit("/", 1)[1]


def refusal(answer: TestResponse) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, kind_of(answer)
