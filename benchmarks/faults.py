"""Every fault of the README's table, several times: the longest gap that a viewer saw, and when it was painted again.

    python -m benchmarks.faults [--times 3] [--only TEXT] [--json FILE]

Ends in one JSON line. Faults of cameras, virtual cameras, disks and clocks run in the guest kernel of
`tests/e2e/v4l2` (`--guest`); the rest runs here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults import campaign, desktop_faults, front_faults, process_faults, scenes, start_faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a fault's name")
    arguments = parser.parse_args()

    def chosen(faults: Sequence[campaign.Fault]) -> list[campaign.Fault]:
        return [fault for fault in faults if arguments.only.lower() in fault.name.lower()]

    outcomes: list[campaign.Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if around := chosen((*process_faults.FAULTS, *front_faults.FAULTS)):
            with scenes.painted_bars(home / "alone") as scene:
                outcomes += injected(scene, around, arguments.times)
        if beside := chosen(desktop_faults.FAULTS):
            if desktop_faults.MISSING:
                print(f"left out, {', '.join(desktop_faults.MISSING)} missing: OBS, hotkeys", file=sys.stderr)
            else:
                with desktop_faults.desktop(home / "desktop") as scene:
                    outcomes += injected(scene, beside, arguments.times)
        for number, at_start in enumerate(start_faults.FAULTS * arguments.times):
            if arguments.only.lower() in at_start.__name__.replace("_", " "):
                outcomes.append(said(at_start(home / f"start{number}")))
    print(campaign.table(outcomes))
    print(json.dumps({"outcomes": campaign.as_json(outcomes)}))
    return int(any(outcome.wrong for outcome in outcomes))


def injected(scene: campaign.Scene, faults: Sequence[campaign.Fault], times: int) -> list[campaign.Outcome]:
    return [said(campaign.inject(scene, fault)) for _ in range(times) for fault in faults]


def said(outcome: campaign.Outcome) -> campaign.Outcome:
    print(
        f"{outcome.fault}: gap {outcome.gap_s * 1e3:.0f} ms, again after {outcome.recovery_s:.1f} s "
        f"{'; '.join(outcome.wrong)}",
        file=sys.stderr,
        flush=True,
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
