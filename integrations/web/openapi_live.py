"""The part of the OpenAPI document about styles, the playlist and devices (see `openapi.py`)."""

from __future__ import annotations

from typing import Any

from integrations.web.openapi_parts import (
    BODY_REFUSALS,
    OBJECT,
    PREFIX,
    answer,
    operation,
)

NAME: dict[str, Any] = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "description": "The list's tag: refuse when somebody else has changed the bank since.",
    "schema": {"type": "string"},
}
STYLES = {
    "type": "object",
    "properties": {"tag": {"type": "string"}, "styles": {"type": "array", "items": OBJECT}},
    "required": ["styles"],
}
STYLE_VALUES: dict[str, Any] = {
    "type": "object",
    "description": "Keys of a style as in config.yaml; `settings` of /schema has their types and bounds.",
    "properties": {
        "prompt": {"type": "string", "maxLength": 4000},
        "negative_prompt": {"type": "string", "maxLength": 4000},
        "guidance": {"enum": ["none", "full", "self", "onetime"]},
        "guidance_scale": {"type": "number", "minimum": 0, "maximum": 30},
        "delta": {"type": "number", "minimum": 0, "maximum": 10},
        "strength": {"type": "number", "minimum": 0, "maximum": 1},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "loras": {"type": "object", "additionalProperties": {"type": "number", "minimum": -4, "maximum": 4}},
        "colour": {"type": "string"},
        "hotkey": {"type": "string"},
    },
    "additionalProperties": False,
}
NONE_SUCH = {404: "There is no such style, or this server has no bank."}
CHANGED = {409: "The name is taken.", 412: "The bank was changed since the tag was read."}
LIST = {200: answer("The bank after it.", STYLES)}
GIVEN: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
    ]
}
NO_DEVICES = {404: "This server has no cameras."}


def _values(**more: Any) -> dict[str, Any]:
    """The body of a style: its values and what else the operation takes."""
    required = {"required": [key for key, schema in more.items() if schema.pop("needed", False)]}
    made = {**STYLE_VALUES, "properties": {**STYLE_VALUES["properties"], **more}}
    return {**made, **required} if required["required"] else made


def styles() -> dict[str, dict[str, Any]]:
    """Address → method → operation, of the style bank."""
    text = {"type": "string", "minLength": 1, "maxLength": 64}
    changing: dict[str, Any] = {"refusals": NONE_SUCH | CHANGED, "parameters": [NAME, IF_MATCH]}
    pending = {"type": "object", "properties": {"pending": {"const": True}, "reason": {"type": "string"}}}
    picture = {"type": "string", "format": "binary"}
    bank = {
        "type": "object",
        "properties": {"styles": {"type": "object", "additionalProperties": STYLE_VALUES}},
        "required": ["styles"],
    }
    without_body = {422: BODY_REFUSALS[422]}
    return {
        f"{PREFIX}/styles": {
            "get": operation("styles", "The style bank in order.", {200: answer("Styles.", STYLES)}),
            "post": operation(
                "addStyle", "Add a style.", {201: answer("The bank after it.", STYLES)},
                body=_values(name={**text, "needed": True}, prompt={"type": "string", "needed": True},
                             before={
                    **text, "type": ["string", "null"], "description": "the style it is put in front of",
                }),
                refusals=NONE_SUCH | CHANGED, parameters=[IF_MATCH],
            ),
        },
        f"{PREFIX}/styles/{{name}}": {
            "get": operation(
                "style", "One style.", {200: answer("It.", OBJECT)}, refusals=NONE_SUCH, parameters=[NAME]
            ),
            "put": operation(
                "putStyle", "Write a style whole; made where there is none.", LIST,
                body=_values(prompt={"type": "string", "needed": True}), **changing,
            ),
            "patch": operation(
                "editStyle", "Change some values of a style, or its name.", LIST,
                body=_values(name={**text, "type": ["string", "null"], "description": "its new name"}), **changing,
            ),
            "delete": operation(
                "removeStyle", "Remove a style; a packaged one is hidden.", LIST,
                refusals=NONE_SUCH | CHANGED | without_body, parameters=[NAME, IF_MATCH],
            ),
        },
        f"{PREFIX}/styles/{{name}}/reset": {
            "post": operation(
                "resetStyle", "As in config.yaml again.", LIST,
                refusals=NONE_SUCH | CHANGED | without_body, parameters=[NAME, IF_MATCH],
            ),
        },
        f"{PREFIX}/styles/{{name}}/picture": {
            "get": operation(
                "stylePicture",
                "What the present model makes of a standard picture (of=demo) or of the camera's newest (of=live).",
                {
                    200: answer("JPEG.", picture, "image/jpeg"),
                    202: answer("It is being painted; an event `picture` says when it is there.", pending),
                    304: {"description": "As If-None-Match has it."},
                },
                refusals=NONE_SUCH | {422: "There is no such picture.", 503: "The engine cannot paint it now."},
                parameters=[
                    NAME,
                    {"name": "of", "in": "query", "schema": {"enum": ["demo", "live"]}},
                    {"name": "v", "in": "query", "schema": {"type": "string"}, "description": "for caches"},
                ],
            ),
        },
        f"{PREFIX}/style-order": {
            "put": operation(
                "orderStyles", "Put these first, in this order.", LIST,
                body={
                    "type": "object",
                    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
                    "required": ["names"],
                },
                refusals=NONE_SUCH | CHANGED, parameters=[IF_MATCH],
            ),
        },
        f"{PREFIX}/style-bank": {
            "get": operation(
                "exportStyles", "Every style, for another computer.",
                {200: answer("JSON, or YAML where `format` asks for it.", OBJECT)
                 | {"content": {"application/json": {"schema": bank}, "application/yaml": {}}}},
                refusals={404: "This server has no bank.", 422: "There is no such format."},
                parameters=[{"name": "format", "in": "query", "schema": {"enum": ["json", "yaml"]}}],
            ),
            "post": operation(
                "importStyles", "Add many styles; also as application/yaml. 512 KiB at most.", LIST, body=bank,
                refusals=NONE_SUCH | CHANGED,
                parameters=[
                    IF_MATCH,
                    {"name": "replace", "in": "query", "schema": {"enum": ["0", "1"]},
                     "description": "1: and no other styles"},
                ],
            ),
        },
    }  # fmt: skip


def playlist() -> dict[str, dict[str, Any]]:
    facts = {
        "type": "object",
        "properties": {
            "revision": {"type": "integer", "description": "grows with every change"},
            "status": {"enum": ["stopped", "playing", "paused"]},
            "at": {"type": "integer"},
            "left_s": {"type": "number"},
            "items": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["revision", "status", "at", "left_s", "items"],
    }
    values = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"type": "string"}, "maxItems": 500},
            "every_s": {"type": "number", "minimum": 0.1, "maximum": 86400},
            "over_s": {"type": "number", "minimum": 0, "maximum": 3600},
            "loop": {"type": "boolean"},
            "shuffle": {"type": "boolean"},
            "autostart": {"type": "boolean"},
        },
        "additionalProperties": False,
    }
    none = {404: "There is no playlist here."}
    return {
        f"{PREFIX}/playlist": {
            "get": operation(
                "playlist", "How the playlist stands.", {200: answer("Facts.", facts)}, refusals=none
            ),
            "put": operation(
                "setPlaylist", "Change its lines and options. The command `playlist` plays it.",
                {200: answer("Facts.", facts)}, body=values,
                refusals=none | {412: CHANGED[412]}, parameters=[IF_MATCH],
            ),
        }
    }  # fmt: skip


def devices() -> dict[str, dict[str, Any]]:
    found = {
        "type": "object",
        "properties": {key: {"type": "array", "items": OBJECT} for key in ("sources", "sinks", "cameras")},
        "required": ["sources", "sinks", "cameras"],
    }
    sinks = {
        "type": "object",
        "properties": {"sinks": {"type": "array", "items": OBJECT}},
        "required": ["sinks"],
    }
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}

    def body(key: str) -> dict[str, Any]:
        return {"type": "object", "properties": {key: GIVEN}, "required": [key]}

    return {
        f"{PREFIX}/devices": {
            "get": operation(
                "devices", "Sources, sinks and cameras: usable, or why not.", {200: answer("Facts.", found)},
                refusals=NO_DEVICES,
            )
        },
        f"{PREFIX}/source": {
            "post": operation(
                "setSource", "Take pictures from there from now on.", {200: answer("The source.", OBJECT)},
                body=body("source"), refusals=NO_DEVICES,
            )
        },
        f"{PREFIX}/sinks": {
            "get": operation("sinks", "Where pictures go.", {200: answer("Sinks.", sinks)}, refusals=NO_DEVICES),
            "post": operation(
                "addSink", "Send pictures there too.", {201: answer("The sink.", OBJECT)},
                body=body("sink"), refusals=NO_DEVICES,
            ),
        },
        f"{PREFIX}/sinks/{{id}}": {
            "delete": operation(
                "removeSink", "Send no more pictures there.", {200: answer("The sinks that are left.", sinks)},
                refusals={404: "There is no such sink.", 422: "It has to stay."}, parameters=[number],
            )
        },
    }  # fmt: skip


def midi() -> dict[str, dict[str, Any]]:
    none = {404: "There is no MIDI here."}
    target = {"type": ["string", "null"], "description": "a value (strength 0..1), an action, or nothing"}
    facts = {200: answer("How MIDI stands.", OBJECT)}
    return {
        f"{PREFIX}/midi": {
            "get": operation("midi", "The controller, what is bound, what is learned.", facts, refusals=none)
        },
        f"{PREFIX}/midi/learn": {
            "post": operation(
                "learnMidi",
                "Tell the next control that moves (event `midi`), and bind it where a target is given.",
                {202: answer("It waits.", OBJECT)},
                body={"type": "object", "properties": {"target": target}}, refusals=none,
            ),
            "delete": operation("endLearnMidi", "No longer wait for a control.", facts, refusals=none),
        },
        f"{PREFIX}/midi/bind": {
            "put": operation(
                "bindMidi", "Bind a control, or unbind it; kept in the style file.", facts,
                body={
                    "type": "object",
                    "properties": {"control": {"type": "string"}, "target": target},
                    "required": ["control"],
                },
                refusals=none,
            ),
        },
    }  # fmt: skip


def paths() -> dict[str, dict[str, Any]]:
    """Address → method → operation."""
    return {**styles(), **playlist(), **devices(), **midi()}
