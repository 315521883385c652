"""OBS's virtual camera on Windows and macOS: what the system said, in words. It serves one program at a time.

Untested on both systems; the texts are those of pyvirtualcam 0.12 to 0.15.
"""

from __future__ import annotations

from typing import Final

from pipeline.errors import SinkError

FREE_IT: Final = (
    "in OBS: Stop Virtual Camera. To have OBS's scenes in a call with this picture in them, take virtual_camera out "
    "of `sinks` and run: phosphene obs install --picture stream"
)
INSTALL_IT: Final = (
    "install OBS (macOS: 30 or newer), start its virtual camera once and allow it in the system's settings, "
    "then stop it again in OBS"
)


def camera_fault(said: str) -> SinkError:
    """From what pyvirtualcam raised when it could not have the camera."""
    lower = said.lower()
    if "not found! did you install" in lower or "not installed" in lower:
        return SinkError("virtual_camera: OBS's virtual camera is not installed", INSTALL_IT)
    if "could not be started" in lower or "couldn't start stream" in lower:
        return SinkError(
            "virtual_camera: another program has OBS's virtual camera, most likely OBS itself", FREE_IT
        )
    return SinkError(f"virtual_camera: OBS's virtual camera cannot be used: {said}", INSTALL_IT)
