"""What becomes of a message whose workers died: tried now, set aside for a while, or given up.

Each death counts for every message that the worker held, and only one of them is guilty. If
all came back together, one poisonous job would take its neighbours with it to the limit. Set
aside for different times, the innocent ones come back while the guilty one is away. A job
that its worker survives goes back to the broker with its progress, and its deaths are
forgotten: an innocent job that takes long would otherwise be given up, and be published as
`unconfirmed` after `canceled`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from kombu.transport import native_delayed_delivery

from worker.amqp.topology import DELIVERY_LIMIT, UNROUTED

#: After this many deaths a message is quarantined, and again after as many more.
TRIES = 7
#: For how long, at random, in seconds: several times what a worker needs to start.
SHORTEST_S, LONGEST_S = 1, 20
#: Why a message is given up, in the broker's own word.
DELIVERED_IN_VAIN = "delivery_limit"
_DEATH = ("exchange", "queue", "reason")
#: A task holds its message no longer: the broker takes a message back after 30 minutes.
LONGEST_HOLD_S = 900.0
#: What the broker says where its `consumer_timeout` is shorter than that (RabbitMQ 3.10.8).
_TAKEN_BACK = re.compile(r"delivery acknowledgement .*timed out. Timeout value used: (\d+) ms")
#: A worker that holds a quarantined message for this long has survived it.
SUSPECT_HOLD_S = 3.0
#: How often a message was set aside; its count at the broker begins anew each time.
QUARANTINES = "x-cancel-spells"
_COUNT = "x-delivery-count"
#: By this exchange comes back what was set aside; producers publish to `cancel.jobs`.
_CAME_BACK_BY = native_delayed_delivery.CELERY_DELAYED_DELIVERY_EXCHANGE
#: Why a message is given up that waited for longer than its producer allowed.
EXPIRED = "expired"
#: What the broker writes into a message on its way. To publish a message again with its old
#: deaths loses it: RabbitMQ 3 drops one that expires a second time in the same queue.
BY_THE_BROKER = frozenset(
    {
        _COUNT,
        "x-acquired-count",
        "x-death",
        *(f"x-{end}-death-{what}" for end in ("first", "last") for what in _DEATH),
    }
)


class Disposition(StrEnum):
    """What to do with a message."""

    RUN = "run"
    DELAY = "delay"
    BURY = "bury"


class Past(NamedTuple):
    """How often a message was set aside, and delivered in vain since then."""

    vain: int = 0
    quarantines: int = 0


def past_of(headers: Mapping[str, Any], delivery_info: Mapping[str, Any]) -> Past:
    """Return what became of a message before.

    Somebody may publish a message once more with all headers that it had. So the broker's count
    is believed only of what the broker delivers again, when it writes the count anew, and our
    own only of what comes by the way on which we set it aside.
    """
    redelivered = bool(delivery_info.get("redelivered"))
    came_back = delivery_info.get("exchange") == _CAME_BACK_BY
    return Past(
        vain=_number(headers, _COUNT) if redelivered else 0,
        quarantines=_number(headers, QUARANTINES) if came_back else 0,
    )


def disposition(past: Past) -> Disposition:
    """Judge by how often the message was delivered in vain."""
    if past.vain + TRIES * past.quarantines >= DELIVERY_LIMIT:
        return Disposition.BURY
    return Disposition.DELAY if past.vain >= TRIES else Disposition.RUN


def longest_hold_s(*, quarantined: bool, attempt: int, most_s: float = LONGEST_HOLD_S) -> float:
    """Return for how long a task holds its message before it goes back with what is done.

    `attempt` counts from 1; a job that kills slowly is not acquitted without end. `most_s` is
    what the broker allows.
    """
    suspect = quarantined and attempt <= DELIVERY_LIMIT
    return min(SUSPECT_HOLD_S, most_s) if suspect else most_s


def allowed_hold_s(error: Exception, before_s: float) -> float:
    """Return for how long a message may be held, in seconds, by what ended a connection.

    The broker names its limit only then. A third of it leaves time for a job's begin and end.
    """
    said = _TAKEN_BACK.search(str(error))
    return min(before_s, int(said[1]) / 3000) if said else before_s


def delayed_headers(headers: Mapping[str, Any], past: Past) -> dict[str, Any]:
    """Return the headers of a message that is set aside once more."""
    kept = {key: value for key, value in headers.items() if key not in BY_THE_BROKER}
    return kept | {QUARANTINES: past.quarantines + 1}


def delay_route(routing_key: str, rng: random.Random) -> tuple[str, str]:
    """Return exchange and key that bring a message back to `routing_key` after a while."""
    wait_s = rng.randint(SHORTEST_S, LONGEST_S)
    first = native_delayed_delivery.level_name(native_delayed_delivery.MAX_LEVEL)
    return first, native_delayed_delivery.calculate_routing_key(wait_s, routing_key)


def last_death(headers: Mapping[str, Any]) -> str:
    """Return why a message left its queue last; its first death may have been a mere delay."""
    reason = _newest_death(headers).get("reason")
    return str(reason or DELIVERED_IN_VAIN)


def may_be_begun(headers: Mapping[str, Any]) -> bool:
    """Say whether a message that the broker gave up may have been begun by a worker.

    The broker does not say whether it was delivered before it expired. But no worker begins a
    message while it bears an expiration of its own, or one that matched no lane.
    """
    death = _newest_death(headers)
    never = "original-expiration" in death or death.get("queue") == UNROUTED
    return not (death.get("reason") == EXPIRED and never)


def _newest_death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    deaths = headers.get("x-death")
    newest = deaths[0] if isinstance(deaths, list) and deaths else None
    return newest if isinstance(newest, dict) else {}


def _number(headers: Mapping[str, Any], name: str) -> int:
    value = headers.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
