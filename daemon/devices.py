"""Sources, sinks and cameras of this computer: usable, or why not with what mends it."""

from __future__ import annotations

from typing import Any

from pipeline import kinds


def device_facts() -> dict[str, Any]:
    """{"sources": [{kind, problem}], "sinks": [{kind, problem}], "cameras": [{name, path, use, problem, …}]}.

    Looks at every device; may take a second.
    """
    return {"sources": _kinds("pipeline.sources"), "sinks": _kinds("pipeline.sinks"), "cameras": _cameras()}


def _kinds(package: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "problem": kinds.load(package, kind).available()} for kind in kinds.names(package)]


def _cameras() -> list[dict[str, Any]]:
    from pipeline.cameras import list_cameras
    from pipeline.errors import SourceError
    from pipeline.sources._camera_fault import known_fault

    try:
        found = list_cameras()
    except SourceError as error:
        return [{"name": "", "path": "?", "identity": "", "virtual": False, "use": "", "problem": str(error)}]
    cameras = []
    for camera in found:
        fault = known_fault(camera.name, camera.path)
        use = (
            "virtual camera, never taken by `source: auto`"
            if camera.is_virtual
            else f"source: webcam:{camera.path}"
        )
        cameras.append(
            {
                "name": camera.name,
                "path": camera.path,
                "identity": camera.identity,
                "virtual": camera.is_virtual,
                "use": use,
                "problem": f"{fault.message} → {fault.mend}" if fault else camera.problem or None,
            }
        )
    return cameras
