"""Web clients that ask as fast as they can, that send nonsense, that connect and say nothing, and that hang up in the
middle of a picture: `python -m tests.faults.flood PORT SECONDS`, the token on standard input."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request

Address = tuple[str, int]
answered: list[int] = []
"""Status codes of the clients that ask."""


def ask(address: Address, token: str, until: float) -> None:
    while time.monotonic() < until:
        request = urllib.request.Request(
            f"http://{address[0]}:{address[1]}/api/v1/status", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as reply:
                reply.read()
                answered.append(reply.status)
        except urllib.error.HTTPError as refused:
            answered.append(refused.code)
        except OSError:
            pass


def nonsense(address: Address, token: str, until: float) -> None:
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as client:
            client.sendall(os.urandom(2000) + b"\r\n\r\n")
            client.recv(1000)


def silent(address: Address, token: str, until: float) -> None:
    with contextlib.ExitStack() as open_clients:
        for _ in range(100):
            with contextlib.suppress(OSError):
                open_clients.enter_context(socket.create_connection(address, 2))
        time.sleep(max(0.0, until - time.monotonic()))


def hang_up(address: Address, token: str, until: float) -> None:
    """Reset, as a crashed browser's connection is."""
    head = f"GET /stream.mjpeg HTTP/1.1\r\nHost: {address[0]}\r\nAuthorization: Bearer {token}\r\n\r\n"
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(head.encode())
            client.recv(5000)


def main() -> None:
    address, seconds = ("127.0.0.1", int(sys.argv[1])), float(sys.argv[2])
    token, until = sys.stdin.read().strip(), time.monotonic() + seconds
    clients = (ask, ask, nonsense, silent, hang_up, hang_up)
    threads = [threading.Thread(target=c, args=(address, token, until), daemon=True) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 5)
    print(json.dumps({"answered": len(answered), "codes": sorted(set(answered))}))


if __name__ == "__main__":
    main()
