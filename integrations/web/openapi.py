"""The OpenAPI document. A test compares it with the routes and runs generated requests against both."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from integrations.commands import command_adapter
from integrations.web import openapi_live
from integrations.web.openapi_parts import (
    ADDRESSES,
    APPLIED,
    OBJECT,
    PREFIX,
    RELOADED,
    STATE,
    TOKEN_OR_KEY,
    answer,
    operation,
)
from pipeline.messages import Event, LiveState


def paths() -> dict[str, dict[str, Any]]:
    """Address → method → operation."""
    binary = {"type": "string", "format": "binary"}
    client = {
        "name": "X-Phosphene-Client",
        "in": "header",
        "description": "Which front end sends it (web, cli; all else counts as api): the event names it.",
        "schema": {"type": "string"},
    }
    last_event = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Send only the events after this one.",
        "schema": {"type": "string"},
    }
    no_picture = {404: "There is no preview sink.", 503: "There is no picture, or too many streams are open."}
    ready = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    schema = {
        "type": "object",
        "properties": {"settings": OBJECT, "controls": {"type": "array", "items": OBJECT}},
        "required": ["settings", "controls"],
    }
    healthy = {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}
    stopping = {"type": "object", "properties": {"stopping": {"const": True}}, "required": ["stopping"]}
    reading = {
        "/healthz": operation(
            "healthz", "Whether the daemon answers.", {200: answer("It does.", healthy)}, security=[]
        ),
        "/readyz": operation(
            "readyz",
            "Whether the engine paints.",
            {200: answer("It does.", ready), 503: answer("Not yet.", ready)},
        ),
        "/metrics": operation(
            "metrics",
            "Prometheus figures.",
            {200: answer("Text format 0.0.4.", {"type": "string"}, "text/plain")},
        ),
        "/snapshot.png": operation(
            "snapshot",
            "The picture that is shown now.",
            {200: answer("PNG.", binary, "image/png")},
            security=TOKEN_OR_KEY,
            refusals=no_picture,
        ),
        "/stream.mjpeg": operation(
            "mjpeg",
            "The live picture for browsers; endless.",
            {200: answer("One JPEG a part.", binary, "multipart/x-mixed-replace")},
            security=TOKEN_OR_KEY,
            refusals=no_picture,
        ),
        "/stream.jpegs": operation(
            "jpegs",
            "The live picture for OBS and ffmpeg; endless.",
            {200: answer("JPEGs one after the other.", binary, "video/x-motion-jpeg")},
            security=TOKEN_OR_KEY,
            refusals=no_picture,
        ),
        "/camera.mjpeg": operation(
            "camera",
            "The camera's own picture, for before and after; endless. Only where `web.show_raw` allows it.",
            {200: answer("One JPEG a part.", binary, "multipart/x-mixed-replace")},
            refusals=no_picture | {403: "The settings do not allow it, or panic is on."},
        ),
        f"{PREFIX}/status": operation(
            "status", "Everything about the daemon.", {200: answer("Facts.", OBJECT)}
        ),
        f"{PREFIX}/state": operation("state", "The live state.", {200: answer("As last applied.", STATE)}),
        f"{PREFIX}/config": operation(
            "config", "The effective configuration.", {200: answer("Values.", OBJECT)}
        ),
        f"{PREFIX}/schema": operation(
            "schema", "The settings' JSON schema, and the live controls.", {200: answer("Both.", schema)}
        ),
        f"{PREFIX}/openapi.json": operation(
            "openapi", "This document.", {200: answer("OpenAPI 3.1.", OBJECT)}
        ),
        f"{PREFIX}/stream-key": operation(
            "streamKey",
            "The read-only key and the streams' addresses.",
            {200: answer("Addresses.", ADDRESSES)},
        ),
        f"{PREFIX}/events": operation(
            "events",
            "Events as they happen; endless.",
            {200: answer("Server-sent events, each one an Event.", {"type": "string"}, "text/event-stream")},
            refusals={503: "Too many listeners."},
            parameters=[last_event],
        ),
    }
    doing = {
        f"{PREFIX}/commands": operation(
            "command",
            "Apply one command at once.",
            {200: answer("The state after it.", APPLIED)},
            body={"$ref": "#/components/schemas/Command"},
            parameters=[client],
        ),
        f"{PREFIX}/reload": operation(
            "reload",
            "Read the configuration again.",
            {200: answer("The state after it.", RELOADED)},
            refusals={409: "It is being reloaded.", 422: "It is wrong; the old one is still in force."},
        ),
        f"{PREFIX}/stop": operation("stop", "Stop the daemon.", {202: answer("It stops.", stopping)}),
        f"{PREFIX}/stream-key/rotate": operation(
            "rotateStreamKey",
            "Make a new stream key; the old addresses go dead.",
            {200: answer("Addresses.", ADDRESSES)},
            refusals={422: "The new key cannot be kept."},
        ),
    }
    plain = {path: {"get": op} for path, op in reading.items()} | {
        path: {"post": op} for path, op in doing.items()
    }
    return plain | openapi_live.paths()


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1. Not to be changed by callers."""
    adapters: list[tuple[str, str, TypeAdapter[Any]]] = [
        ("Command", "validation", command_adapter()),
        ("LiveState", "serialization", TypeAdapter(LiveState)),
        ("Event", "serialization", TypeAdapter(Event)),
    ]
    schemas: dict[str, Any] = {
        "Error": {
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {"message": {"type": "string"}, "mend": {"type": "string"}},
                    "required": ["message", "mend"],
                }
            },
            "required": ["error"],
        }
    }
    for name, mode, adapter in adapters:
        schema = adapter.json_schema(mode=mode, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    for name in schemas["Command"]["discriminator"]["mapping"].values():
        command = schemas[name.rpartition("/")[2]]
        command["additionalProperties"] = False
        command["required"] = ["command", *(key for key in command.get("required", []) if key != "command")]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Phosphene",
            "version": "1",
            "description": f"The running daemon. `{PREFIX}/ws` is a WebSocket: send "
            '{"token": TOKEN} first; it pushes {"type": "state" | "event" | "status", …} and answers '
            '{"type": "command", "id": 1, "command": {…}}.',
        },
        "paths": paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "streamKey": {"type": "apiKey", "in": "query", "name": "key"},
            },
        },
    }
