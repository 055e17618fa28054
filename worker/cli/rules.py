"""What was set at the broker that takes away what the product puts into its queues.

Policies, limits and flags are told by the management API alone, and the broker's own
`consumer_timeout` by nothing that a client can ask.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from venues.base import HttpRequest
from worker.amqp import topology
from worker.cli.findings import Finding, State
from worker.http.transport import InDoubt, NotSent, Transport
from worker.jobs.poison import LONGEST_HOLD_S
from worker.settings import Egress

#: Milliseconds; the broker looks for messages that are held for too long once a minute.
LEAST_CONSUMER_TIMEOUT_MS = int((LONGEST_HOLD_S + 60.0) * 1000)
_ANY = float("inf")
#: By the word of a policy: below which value it hurts, and how.
_HURTS: Mapping[str, tuple[float, str]] = {
    "message-ttl": (_ANY, "what waits for longer (ms) is lost, or told as failed"),
    "expires": (_ANY, "a queue that has no consumer for so long (ms) is deleted"),
    "max-length": (_ANY, "what comes beyond it is refused, or takes another's place"),
    "max-length-bytes": (topology.STREAM_BYTES, "the same, in bytes"),
    "max-age": (_ANY, "what was told is forgotten, and may be told otherwise"),
    "dead-letter-routing-key": (_ANY, "ids of a job that is given up get no outcome"),
    "delivery-limit": (topology.DELIVERY_LIMIT, "jobs are given up sooner"),
    "consumer-timeout": (LEAST_CONSUMER_TIMEOUT_MS, "(ms) jobs are taken from their worker"),
}
_OURS = re.compile(r"cancel\..+|celery_delayed_\d+")
#: Where it costs what people read, and no cancel and no outcome on its way.
_AFTERWARDS = re.compile(r"cancel\.(rejected|record|[^.]+\.told)")
_NEEDED_FLAGS = {"quorum_queue", "stream_queue"}
#: From this version on a worker's own word, when it consumes, counts before policy and setting.
_TAKES_OUR_WORD = (4, 3)


class Unreadable(Exception):
    """The management API does not tell; the reason as its text."""


def rules(
    url: str, ca_file: str | None, vhost: str, timeout_s: float, version: str = ""
) -> Iterator[Finding]:
    """Yield what is set in a virtual host, as the management API at `url` tells it.

    `url` holds the login of a user with any of the tags for management; only administrators are
    told feature flags. `version` is the broker's.
    """
    path = quote(vhost, safe="")
    by_worker = takes_our_word(version)
    columns = "name,policy,operator_policy,effective_policy_definition"
    asked = (
        (
            "list_policies, list_operator_policies",
            f"queues/{path}?columns={columns}",
            partial(of_queues, by_worker=by_worker),
        ),
        ("list_vhost_limits", f"vhost-limits/{path}", of_limits),
        ("list_feature_flags", "feature-flags", of_flags),
    )
    for by_hand, name, read in asked if url else ():
        try:
            yield from read(_get(url, ca_file, name, timeout_s))
        except Unreadable as error:
            text = f"not read ({error}); see rabbitmqctl {by_hand}"
            yield Finding("rules of the broker", State.NOTE, text)
    if not url:
        text = "not read; CANCEL_MANAGEMENT_URL names the management API and who may ask it"
        yield Finding("rules of the broker", State.NOTE, text)
    if not by_worker:
        text = (
            f"no client is told; by rabbitmqctl environment {LEAST_CONSUMER_TIMEOUT_MS} or more"
        )
        yield Finding("consumer_timeout", State.NOTE, text)


def takes_our_word(version: str) -> bool:
    """Say whether a broker of this version lets each consumer say how long it may hold."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= _TAKES_OUR_WORD


def of_queues(
    queues: Iterable[Mapping[str, Any]], *, by_worker: bool = False
) -> Iterator[Finding]:
    """Yield the policies that hurt, each with the queues that it changes.

    `by_worker`: for how long a message may be held is what a worker says of it.
    """
    found: dict[tuple[str, Any, str], list[str]] = defaultdict(list)
    for queue in queues:
        by = [str(queue[word]) for word in ("policy", "operator_policy") if queue.get(word)]
        for word, value in (queue.get("effective_policy_definition") or {}).items():
            idle = by_worker and word == "consumer-timeout"
            if _OURS.fullmatch(queue["name"]) and _hurts(word, value) and not idle:
                found[word, value, " and ".join(by)].append(queue["name"])
    for (word, value, policy), names in found.items():
        later = all(_AFTERWARDS.fullmatch(name) for name in names)
        more = f" and {len(names) - 1} more" if names[1:] else ""
        yield Finding(
            f"policy {policy}",
            State.NOTE if later else State.BAD,
            f"{word} {value} for {names[0]}{more}: {_HURTS[word][1]}; exempt cancel.* from it",
        )
    if not found:
        yield Finding("policies of the broker", State.OK, "none that takes anything away")


def _hurts(word: str, value: Any) -> bool:
    least = _HURTS.get(word, (0.0,))[0]
    return least == _ANY or (isinstance(value, int) and value < least)


def of_limits(limits: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the limits of the virtual host; whether they are too low, only people know."""
    said = [f"{k} {v}" for one in limits for k, v in one["value"].items() if v >= 0]
    if said:
        yield Finding("limits of the virtual host", State.NOTE, ", ".join(said))


def of_flags(flags: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the feature flags that queues need and that are off."""
    off = {flag["name"] for flag in flags if flag["state"] != "enabled"} & _NEEDED_FLAGS
    for name in sorted(off):
        mend = "off; on the broker run: rabbitmqctl enable_feature_flag all"
        yield Finding(f"feature flag {name}", State.BAD, mend)


def _get(url: str, ca_file: str | None, name: str, timeout_s: float) -> Any:
    """Return what the API says.

    Raises:
        Unreadable: it does not, or not to this user. Its text holds nothing of the URL, as a
            password may stand where a host should.
    """
    parts = urlsplit(url)
    if not _is_readable(parts):
        raise Unreadable("CANCEL_MANAGEMENT_URL is no URL; percent-encode the password")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    base_url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    transport = Transport(base_url, Egress(ca_file=ca_file))
    try:
        reply = transport.send(HttpRequest("GET", f"/api/{name}", b"", headers), timeout_s)
    except (NotSent, InDoubt) as error:
        raise Unreadable(str(error)) from None
    finally:
        transport.close()
    if reply.status != 200 or not isinstance(reply.json, list):
        raise Unreadable(f"HTTP {reply.status}")
    return reply.json


def _is_readable(parts: SplitResult) -> bool:
    try:
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number stands where a port should
        return False
