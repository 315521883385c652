"""`phosphene open` and `phosphene url`."""

from __future__ import annotations

import webbrowser

from daemon import places
from daemon.client import connect
from daemon.commands import show
from daemon.exit_codes import ExitCode
from pipeline.errors import PhospheneError


def page_url(address: str) -> str:
    """The page's address with the token in its fragment, which browsers never send."""
    return f"{address}/#token={places.token()}"


def open_page() -> int:
    """In the user's browser."""
    client = connect()
    client.get("/status")
    if not webbrowser.open(page_url(client.address)):
        raise PhospheneError("no browser could be opened", "open the address that this prints: phosphene url")
    print(f"opened {client.address}")
    return ExitCode.OK


def print_url(picture: bool, rotate: bool, as_json: bool) -> int:
    """The page's address, or the picture's: bare JPEGs, which OBS shows without a lag (docs/obs.md)."""
    client = connect()
    if picture:
        addresses = client.post("/stream-key/rotate", {}) if rotate else client.get("/stream-key")
        url = client.address + addresses["jpegs"]
    else:
        client.get("/status")
        url = page_url(client.address)
    if as_json:
        show.as_object({"url": url})
    else:
        print(url)
    return ExitCode.OK
