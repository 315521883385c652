"""An action as a setting: one line of text that is checked when the configuration is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from integrations.actions import parse_action
from pipeline.errors import PhospheneError


def fault(message: str, mend: str) -> PydanticCustomError:
    """A validation error that carries its mend. Braces are kept as text."""
    return PydanticCustomError("phosphene", "{message}", {"message": message, "mend": mend})


def checked_action(text: str) -> str:
    """`text`, if it is an action. Raises the validation error that says what is."""
    try:
        parse_action(text)
    except PhospheneError as error:
        raise fault(error.message, error.mend) from error
    return text


Action = Annotated[str, AfterValidator(checked_action)]
"""One line, see `integrations.actions`."""
