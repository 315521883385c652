"""Errors that a user can mend: each says what is wrong and what mends it."""

from __future__ import annotations


class PhospheneError(Exception):
    """Something the user can act on.

    `message` says what is wrong and where; `mend` is the command or the change that puts it right ("" when
    there is none). `str()` joins both, so an uncaught one still reads well.
    """

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message, mend)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.mend}" if self.mend else self.message


class SourceError(PhospheneError):
    """A camera or file cannot be opened, or stopped delivering."""


class SinkError(PhospheneError):
    """A virtual camera or file cannot be opened, or refused a frame."""


class ModelError(PhospheneError):
    """A model, tiny VAE or LoRA cannot be found, read or used."""


class EngineError(PhospheneError):
    """The denoiser cannot run with these settings on this machine."""
