"""The section `osc:` of the configuration."""

from __future__ import annotations

from integrations.integration import IntegrationOptions
from integrations.knobs import TargetText
from pipeline.options import setting


class Options(IntegrationOptions):
    """OSC messages over UDP. OSC knows no password: whoever reaches the port may do what it offers."""

    enabled: bool = setting(False, "listen for OSC messages", applies="live")
    host: str = setting(
        "127.0.0.1", "address to listen on; 127.0.0.1: this computer only", applies="live", min_length=1
    )
    port: int = setting(9130, "UDP port; 0: any free one", applies="live", ge=0, le=65535)
    bind: dict[str, TargetText] = setting(
        {},
        "more addresses, as {/1/fader1: strength 0..1, /1/push1: neon over 1s}",
        applies="live",
        max_length=500,
    )
