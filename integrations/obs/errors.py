"""What can go wrong between Phosphene and OBS."""

from __future__ import annotations

from integrations.obs.server import Server
from pipeline.errors import PhospheneError


class ObsError(PhospheneError):
    """Base of them."""


class UnreachableError(ObsError):
    """There is nobody to talk to (yet)."""


class AuthFailedError(ObsError):
    """OBS wants another password."""

    def __init__(self, server: Server) -> None:
        said = (
            f"does not take the password of {server.password_from}"
            if server.password_from
            else "wants a password"
        )
        super().__init__(
            f"OBS at {server.address} {said}",
            "copy it from OBS (Tools → WebSocket Server Settings → Show Connect Info) into `obs.password`",
        )


class LostError(ObsError):
    """The connection ended: closed, broken or hung. It is of no more use."""


class NotReadyError(ObsError):
    """OBS answers but is loading: ask again later."""

    def __init__(self, request: str) -> None:
        super().__init__(f"OBS is not ready for {request}")


class RefusedRequestError(ObsError):
    """OBS did not do what was asked; the connection is as good as before. code: of obs-websocket."""

    def __init__(self, request: str, code: int, comment: str) -> None:
        self.request, self.code = request, code
        super().__init__(f"OBS refuses {request} ({code}{': ' + comment if comment else ''})")
