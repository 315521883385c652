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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults import campaign, front_faults, process_faults, scenes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a fault's name")
    arguments = parser.parse_args()
    outcomes: list[campaign.Outcome] = []
    faults = [
        fault
        for fault in (*process_faults.FAULTS, *front_faults.FAULTS)
        if arguments.only.lower() in fault.name.lower()
    ]
    with tempfile.TemporaryDirectory() as folder, scenes.painted_bars(Path(folder) / "home") as scene:
        for _ in range(arguments.times):
            for fault in faults:
                began = time.monotonic()
                outcome = campaign.inject(scene, fault)
                outcomes.append(outcome)
                print(
                    f"{fault.name}: gap {outcome.gap_s * 1e3:.0f} ms, again after {outcome.recovery_s:.1f} s "
                    f"({time.monotonic() - began:.0f} s) {'; '.join(outcome.wrong)}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    print(campaign.table(outcomes))
    print(json.dumps({"outcomes": campaign.as_json(outcomes)}))
    return int(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
