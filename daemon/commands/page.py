"""`phosphene open` and `phosphene url`."""

from __future__ import annotations

import ipaddress
import socket
import webbrowser
from urllib.parse import urlsplit

from daemon import places
from daemon.client import connect
from daemon.commands import show
from daemon.exit_codes import ExitCode, Refused
from pipeline.errors import PhospheneError


def page_url(address: str) -> str:
    """The page's address with the token in its fragment, which browsers never send."""
    return f"{address}/#token={places.token()}"


def lan_address(host: str, port: int) -> str:
    """The page's address for other devices of the network, as in "http://192.168.1.7:8520".

    host: what the daemon listens on. Raises Refused where that is this computer only.
    """
    if host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback):
        raise Refused(
            f"the page listens on {host}, which other devices cannot reach",
            "set web.host: 0.0.0.0 in config.yaml, then: phosphene restart",
        )
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (compared, not bound)
        host = own_address()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def own_address() -> str:
    """This computer's address in its network. Sends nothing: connecting a datagram socket only chooses a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of documentation (RFC 5737)
            found: str = probe.getsockname()[0]
        except OSError:
            raise PhospheneError(
                "this computer has no network", "connect it to the phone's, then try again"
            ) from None
    return found


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def show_qr() -> int:
    """The page's address with its token as a QR code, for a phone in the same network."""
    import segno

    client = connect()
    client.get("/status")
    run = places.running()
    assert run is not None
    address = lan_address(run.host, urlsplit(client.address).port or 80)
    print("For a device in this network. Whoever scans it can do everything the page can:")
    segno.make(page_url(address), error="l").terminal(compact=True)
    print(address)
    return ExitCode.OK


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
