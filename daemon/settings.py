"""The one schema: every setting with its default, bounds, help and when a change of it applies.

The command line's help, the page's controls, the JSON schema, `config.yaml`'s comments and validation use it.
What a source or sink takes is declared in that kind's own file (see `daemon.config.choice`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator
from pydantic_core import PydanticCustomError

from daemon.config.choice import Choice, SinkChoice, SourceChoice
from daemon.config.errors import KeyPath, Origin, did_you_mean
from daemon.config.playlist_settings import PlaylistSettings
from daemon.config.privacy_settings import BadgeSettings, SafetySettings
from daemon.config.style_settings import StyleSettings, in_order, style_name
from daemon.config.value_types import EngineKind, Loras, ModelSize, OutputSize, Steps, Threads
from daemon.config.web_settings import WebSettings
from daemon.demand import Activate
from daemon.picture.ladder import OnFault
from integrations.hotkeys.options import Options as HotkeySettings
from integrations.midi.options import Options as MidiSettings
from integrations.obs.options import Options as ObsSettings
from integrations.osc.options import Options as OscSettings
from pipeline.geometry import Fit, Upscale
from pipeline.messages import LiveState, Similarity, Style
from pipeline.options import Options, setting

# ---------------------------------------------------------------- sections


class ModelSettings(Options):
    """What paints. `model: NAME` alone is accepted."""

    name: str = setting(
        "builtin",
        "builtin, a local diffusers folder, a hub id (stabilityai/sd-turbo) or one .safetensors file",
        applies="rebuild",
        min_length=1,
    )
    vae: str | None = setting(
        None, "tiny VAE to use instead of the model's own: a folder or hub id", applies="rebuild"
    )
    loras: Loras = setting({}, "LoRAs fused at load, as {file or hub id: weight}", applies="rebuild")
    offline: bool = setting(False, "never look for a model on the network", applies="rebuild")
    allow_pickle: bool = setting(
        False,
        "read .ckpt, .pt and .bin files too, which can run any program hidden in them",
        applies="rebuild",
    )
    size: ModelSize = setting(
        "auto",
        "canvas the model paints on, multiples of 32; auto: the output's aspect, the model's own area",
        applies="rebuild",
    )


class OutputSettings(Options):
    """What every sink receives."""

    size: OutputSize = setting(
        "1280x720", "WIDTHxHEIGHT that every sink gets, even numbers", applies="rebuild"
    )
    fps: float = setting(
        30.0, "constant rate of every sink, frames a second", applies="rebuild", ge=1, le=240
    )
    fit: Fit = setting(
        "cover", "cover: cut the edges; contain: black bars; blur-fill: blurred bars", applies="prepare"
    )
    upscale: Upscale = setting(
        "sharp",
        "how the painting is enlarged: bilinear (cheapest), bicubic, sharp or lanczos",
        applies="rebuild",
    )


class DenoiserSettings(Options):
    """The stream batch (arXiv 2312.12491)."""

    t_index_list: Steps = setting(
        [45],
        "denoising steps on a grid of 50: 0 all noise, 49 almost none; more steps cost time",
        applies="live",
    )
    canvas_scale: float = setting(
        1.0,
        "share of the canvas' sides to paint on: smaller is faster and coarser",
        applies="live",
        ge=0.25,
        le=1,
    )
    frame_buffer_size: int = setting(
        1, "frames denoised side by side in one call", applies="rebuild", ge=1, le=8
    )
    add_noise: bool = setting(True, "add fresh noise between the steps", applies="rebuild")
    steadiness: float = setting(
        0.8,
        "how still the painting of a still scene stands: 0 off (it shimmers), 1 most",
        applies="live",
        ge=0,
        le=1,
    )
    prompt_switch: Literal["admitted", "immediate"] = setting(
        "admitted",
        "admitted: a frame keeps the prompt it began with; immediate: all frames in flight change",
        applies="rebuild",
    )


class SimilaritySettings(Options):
    """Frames that look like the last painted one are not painted again."""

    enabled: bool = setting(True, "skip frames that hardly differ from the last painted one", applies="live")
    metric: Similarity = setting(
        "tiles",
        "tiles: 8x8 grid, sees small and bright changes; global: cosine of whole frames",
        applies="live",
    )
    threshold: float = setting(
        0.98, "similarity above which frames begin to be skipped", applies="live", ge=0, lt=1
    )
    max_skip_frames: int = setting(10, "at most this many skipped in a row", applies="live", ge=0, le=10_000)


class EngineSettings(Options):
    """How and where a step is executed."""

    kind: EngineKind = setting(
        "auto",
        "auto: the fastest here; eager: plain PyTorch calls; the others: docs/engines.md",
        applies="rebuild",
    )
    device: str = setting(
        "auto",
        "auto, cpu, cuda, cuda:N, mps or xpu",
        applies="rebuild",
        pattern=r"^(auto|cpu|mps|xpu|cuda(:\d{1,2})?)$",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "auto (measured at start), float32, bfloat16 or float16", applies="rebuild"
    )
    threads: Threads = setting("auto", "CPU threads of the engine: auto or a number", applies="rebuild")
    fp8: Literal["none", "linear", "all"] = setting(
        "none",
        "layers in 8-bit numbers, on cards that have them: none, linear, or all (convolutions too); coarser",
        applies="rebuild",
    )


class DeadlineSettings(Options):
    """Rather coarser than late: what is given up while frames miss their time, least visible first."""

    fps: float = setting(
        0.0, "frames a second that 99 of 100 frames must be in time for; 0: off", applies="live", ge=0, le=240
    )
    least_threshold: float = setting(
        0.9, "the similarity threshold goes no lower", applies="live", ge=0, lt=1
    )
    least_steps: int = setting(1, "no fewer steps than this", applies="live", ge=1, le=8)
    least_scale: float = setting(
        0.5, "no smaller a share of the canvas' sides than this", applies="live", ge=0.25, le=1
    )


class LogSettings(Options):
    """The log of `phosphene logs`."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "debug, info, warning or error", applies="live"
    )


class Settings(Options):
    """Everything that can be set, whole."""

    model: ModelSettings = setting({}, "what paints", applies="rebuild")
    source: SourceChoice = setting("auto", "where pictures come from", applies="prepare")
    sinks: tuple[SinkChoice, ...] = setting(
        ["virtual_camera", "preview"], "where pictures go, any number", applies="prepare", max_length=16
    )
    output: OutputSettings = setting({}, "what every sink receives", applies="rebuild")
    denoiser: DenoiserSettings = setting({}, "the stream batch", applies="rebuild")
    similarity: SimilaritySettings = setting({}, "when not to paint a frame again", applies="live")
    engine: EngineSettings = setting({}, "how and where a step is executed", applies="rebuild")
    activate: Activate = setting(
        "always",
        "on_demand: camera closed and model idle while no program streams and nobody looks; always: open",
        applies="live",
    )
    deadline: DeadlineSettings = setting({}, "rather coarser than late", applies="live")
    on_fault: OnFault = setting(
        "slate",
        "shown after a fault: slate (a card with the reason), blur, or raw (your real face)",
        applies="live",
    )
    hold_s: float = setting(
        2.0, "seconds the last painted picture is held before that", applies="live", ge=0.1, le=3600
    )
    processes: bool = setting(
        True, "camera and engine in processes of their own; false: threads, for debugging", applies="rebuild"
    )
    web: WebSettings = setting({}, "page and HTTP API", applies="rebuild")
    obs: ObsSettings = setting({}, "OBS Studio: scenes, hotkeys, tools", applies="live")
    badge: BadgeSettings = setting({}, "says of painted pictures that they are", applies="live")
    safety: SafetySettings = setting({}, "a content check of your own", applies="rebuild")
    midi: MidiSettings = setting({}, "MIDI controllers (docs/midi.md)", applies="live")
    osc: OscSettings = setting({}, "OSC messages (docs/osc.md)", applies="live")
    hotkeys: HotkeySettings = setting(
        {}, "global keys: style, panic, next, … (docs/hotkeys.md)", applies="live"
    )
    log: LogSettings = setting({}, "the log", applies="live")
    style: str | None = setting(None, "style at start; null: the first of the bank", applies="live")
    playlist: PlaylistSettings = setting({}, "styles one after the other, by time", applies="live")
    style_order: tuple[str, ...] = setting(
        [], "styles that come first in the bank, in this order", applies="live", max_length=1000
    )
    styles: dict[str, StyleSettings] = setting({}, "the style bank, in order", applies="live")

    @field_validator("model", mode="before")
    @classmethod
    def _model_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @field_validator("sinks", mode="before")
    @classmethod
    def _one_sink(cls, given: Any) -> Any:
        return [given] if isinstance(given, str | dict | Choice) else given

    @field_validator("styles", mode="before")
    @classmethod
    def _without_removed(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {style_name(name): style for name, style in given.items() if style is not None}
        return given

    @model_validator(mode="after")
    def _ordered(self) -> Settings:
        if self.style_order:
            object.__setattr__(self, "styles", in_order(self.styles, self.style_order))
        return self

    @model_validator(mode="after")
    def _known_style(self) -> Settings:
        if self.style is not None and self.style not in self.styles:
            raise PydanticCustomError(
                "phosphene",
                "{message}",
                {
                    "message": f"there is no style {self.style!r}",
                    "mend": did_you_mean(self.style, self.styles, "use one of")
                    or "the bank is empty: add it under `styles:`",
                    "at": "style",
                },
            )
        return self

    def bank(self) -> dict[str, Style]:
        """The styles by name, in order."""
        return {name: style.named(name) for name, style in self.styles.items()}

    def first_state(self) -> LiveState:
        """What runs at start, before any command; its revision is 1 (0 means "not painted" in a frame)."""
        bank = self.bank()
        name = self.style if self.style is not None else next(iter(bank), None)
        return LiveState(
            style=bank[name] if name is not None else Style(),
            t_index_list=self.denoiser.t_index_list,
            canvas_scale=self.denoiser.canvas_scale,
            similarity=self.similarity.enabled,
            steadiness=self.denoiser.steadiness,
            similarity_metric=self.similarity.metric,
            similarity_threshold=self.similarity.threshold,
            max_skip_frames=self.similarity.max_skip_frames,
            revision=1,
        )


# ---------------------------------------------------------------- loading


@dataclass(frozen=True, slots=True)
class Loaded:
    """settings, and where each came from. path: the user's file that was read (None: there is none).

    origins: of every leaf (see `daemon.config.schema.leaves`); what no layer names has the schema's default.
    overrides, config: what `load` was called with. bank: the style file (see `daemon.bank.file`), there or not.
    """

    settings: Settings
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)
    path: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = None
    bank: Path | None = None

    def origin(self, path: KeyPath) -> Origin:
        """Where the value at `path` came from."""
        return self.origins.get(path, Origin("default"))

    def again(self, bank_text: str | None = None) -> Loaded:
        """The same layers, read anew, with `bank_text` in place of the style file. Raises ConfigError."""
        return load(self.overrides, self.config, bank_text=bank_text)


def load(
    cli_overrides: Mapping[str, Any] | None = None,
    config: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    bank_text: str | None = None,
) -> Loaded:
    """The effective settings: packaged default < user's file (or `config`) < its style file < PHOSPHENE_* <
    `cli_overrides`.

    `cli_overrides`: dotted key → value, as in {"output.size": "640x480", "sinks": ["preview"]}.
    `environment`: None reads the process's own. `bank_text`: taken for the style file's content.
    Raises ConfigError with every fault found.
    """
    from daemon.config.layers import load_layers

    return load_layers(cli_overrides or {}, config, environment, bank_text)
