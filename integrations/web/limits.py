"""Bounds that keep one client from holding the daemon: rates, numbers, sizes and times."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from integrations.token_bucket import TokenBucket


@dataclass(frozen=True, slots=True)
class Limits:
    """What one daemon serves at most. Times in seconds, sizes in bytes, rates a second."""

    body: int = 64 * 1024
    body_s: float = 10.0
    header_s: float = 10.0
    connections: int = 256
    streams: int = 24
    listeners: int = 24
    stalled_s: float = 5.0
    requests_rate: float = 200.0
    requests_burst: float = 400.0
    refusals_rate: float = 5.0
    refusals_burst: float = 40.0
    event_queue: int = 256


class Rates:
    """One bucket a client address; the addresses kept are bounded, the longest unseen goes first."""

    def __init__(self, rate: float, burst: float, *, addresses: int = 1024) -> None:
        self._rate, self._burst, self._most = rate, burst, addresses
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether this address may go on now."""
        bucket = self._buckets.pop(address, None) or TokenBucket(self._rate, self._burst)
        self._buckets[address] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take()


class Seats:
    """A number of places; `with seats.take() as seated:` gives False when all are taken."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def take(self) -> Seat:
        return Seat(self)

    @property
    def free(self) -> bool:
        return self.taken < self._most


class Seat:
    """One place of `Seats`, held for the length of a `with`."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._seated = False

    def __enter__(self) -> bool:
        self._seated = self._seats.free
        self._seats.taken += self._seated
        return self._seated

    def __exit__(self, *_: object) -> None:
        self._seats.taken -= self._seated
        self._seated = False
