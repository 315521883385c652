"""A setting whose shape depends on its `kind`: `{kind: webcam, fps: 60}`, in short `webcam` or `webcam:0`.

The shapes come from the files of a folder of kinds (see `pipeline.kinds`); only the chosen kind's file is
imported. In the short form the text after the first colon goes to the option that the kind's file names in
`ARGUMENT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from daemon.config.errors import did_you_mean
from pipeline import kinds
from pipeline.errors import PhospheneError
from pipeline.options import Options


@dataclass(frozen=True, slots=True)
class Choice:
    """kind: the name of the file that makes it. options: that file's `Options`, for its `create`."""

    kind: str
    options: Options

    def as_dict(self) -> dict[str, Any]:
        """The long form, JSON-ready."""
        return {"kind": self.kind, **self.options.model_dump(mode="json")}


def fault(message: str, mend: str = "") -> PydanticCustomError:
    """A validation error that carries its mend. Braces are kept as text."""
    return PydanticCustomError("phosphene", "{message}", {"message": message, "mend": mend})


def long_form(package: str, given: Any) -> dict[str, Any]:
    """The mapping that a short form stands for. An unknown kind is left be. Raises PydanticCustomError."""
    if isinstance(given, Choice):
        return given.as_dict()
    if isinstance(given, dict):
        return given
    what = package.rsplit(".", 1)[-1].removesuffix("s")
    if given is None and "null" in kinds.names(package):
        return {"kind": "null"}  # what YAML makes of the bare word
    if not isinstance(given, str):
        example = kinds.names(package)[-1]
        raise fault(f"a {what} is a kind or a mapping with a `kind`", f"write, say, `{{kind: {example}}}`")
    kind, colon, argument = given.partition(":")
    if not colon:
        return {"kind": kind}
    if kind not in kinds.names(package):
        return {"kind": kind}  # `_validate` says what is wrong with it
    name = getattr(kinds.load(package, kind), "ARGUMENT", None)
    if name is None:
        raise fault(
            f"the {what} {kind!r} takes nothing after a colon",
            f"write {kind!r} alone, or its options by name",
        )
    return {"kind": kind, name: argument}


@dataclass(frozen=True)
class FromFolder:
    """Annotates `Choice`: `Annotated[Choice, FromFolder("pipeline.sources")]`."""

    package: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate, serialization=core_schema.plain_serializer_function_ser_schema(Choice.as_dict)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shapes = []
        for kind in kinds.names(self.package):
            shape = kinds.load(self.package, kind).Options.model_json_schema()
            shape["properties"] = {"kind": {"const": kind}, **shape.get("properties", {})}
            shape["required"] = ["kind", *shape.get("required", [])]
            shape["title"] = kind
            shapes.append(shape)
        return {"oneOf": [*shapes, {"type": "string", "description": "KIND or KIND:ARGUMENT"}]}

    def _validate(self, given: Any) -> Choice:
        if isinstance(given, Choice):
            return given
        rest = dict(long_form(self.package, given))
        if "kind" not in rest:
            raise fault("the key 'kind' is missing", f"add it: one of {', '.join(kinds.names(self.package))}")
        kind = "null" if rest["kind"] is None else rest["kind"]
        del rest["kind"]
        if kind not in (known := kinds.names(self.package)):
            what = self.package.rsplit(".", 1)[-1].removesuffix("s")
            raise fault(f"there is no {what} {kind!r}", did_you_mean(str(kind), known))
        try:
            # A ValidationError passes through: pydantic puts this setting's path before each of its errors.
            options: Options = kinds.load(self.package, kind).Options.model_validate(rest)
        except PhospheneError as error:
            raise fault(error.message, error.mend) from error
        return Choice(kind, options)


SourceChoice = Annotated[Choice, FromFolder("pipeline.sources")]
SinkChoice = Annotated[Choice, FromFolder("pipeline.sinks")]
