"""`python -m daemon`, and the file that `phosphene start` and the services run by its path.

Run by path, the packages are taken from where this file is, never from the folder it was started in.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from daemon.cli.main import main  # (only now that sys.path is right)

if __name__ == "__main__":
    main()
