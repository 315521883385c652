"""What every operation of the OpenAPI document is made of."""

from __future__ import annotations

from typing import Any

PREFIX = "/api/v1"

ERROR = {"$ref": "#/components/schemas/Error"}
STATE = {"$ref": "#/components/schemas/LiveState"}
OBJECT = {"type": "object"}
APPLIED: dict[str, Any] = {
    "type": "object",
    "properties": {"revision": {"type": "integer"}, "state": STATE},
    "required": ["revision", "state"],
}
RELOADED = {**APPLIED, "properties": {**APPLIED["properties"], "reload": OBJECT}}
ADDRESSES = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("key", "mjpeg", "jpegs")},
    "required": ["key", "mjpeg", "jpegs"],
}
REFUSALS = {
    400: "The Host header or the body is damaged.",
    401: "The token is missing or wrong.",
    403: "Another site's page asked.",
    421: "The daemon does not answer to this host name.",
    429: "Too many requests.",
}
BODY_REFUSALS = {
    408: "The body did not arrive in time.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not declared to be JSON.",
    422: "The command is wrong, or cannot be applied. The state is unchanged.",
}
ANY_TOKEN: list[dict[str, list[str]]] = [{"token": []}]
TOKEN_OR_KEY: list[dict[str, list[str]]] = [{"token": []}, {"streamKey": []}]


def answer(
    description: str, schema: dict[str, Any] | None = None, media: str = "application/json"
) -> dict[str, Any]:
    content = {media: {"schema": schema}} if schema is not None else {media: {}}
    return {"description": description, "content": content}


def operation(
    name: str,
    summary: str,
    answers: dict[int, dict[str, Any]],
    *,
    security: list[dict[str, list[str]]] = ANY_TOKEN,
    refusals: dict[int, str] | None = None,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """One operation object; the refusals that any address can give are added."""
    errors = REFUSALS | (BODY_REFUSALS if body else {}) | (refusals or {})
    all_answers = {code: answer(text, ERROR) for code, text in errors.items()} | answers
    made: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "security": security,
        "responses": {str(code): all_answers[code] for code in sorted(all_answers)},
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if parameters:
        made["parameters"] = parameters
    return made
