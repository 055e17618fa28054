"""Writes what the docs say from the code: schemas, AsyncAPI document, queue tables, glossary.

`python docs/generate.py [FOLDER]`; the folder is docs/ if left out.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from kombu import Exchange, Queue
from pydantic import BaseModel

from tests.venues.cases import Case, replies_of
from venues import all_venues
from venues.base import Venue, Verdict
from venues.words import CancelStatus, IdKind, OrderRef, OrdType, Priority, Purpose
from worker.amqp import topology
from worker.contract.heartbeat import HeartbeatMessage
from worker.contract.job import ROUTING_KEY_HEADER, JobMessage
from worker.contract.outcome import OutcomeMessage
from worker.contract.pause import PauseMessage
from worker.contract.receipt import Answer, ReceiptMessage
from worker.contract.report import ReportMessage, Result
from worker.orders.follow import FinalWord, ReplyContext, follow, next_route
from worker.orders.judge import Judgement, judge
from worker.orders.progress import Phase, came, new_progress
from worker.orders.routes import routes_of
from worker.record.consume import record_queue

ROOT = Path(__file__).resolve().parents[1]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: How AsyncAPI is told which dialect the schemas are written in.
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
#: Stands for the name of any account.
ACCOUNT = "<account>"
#: What an id is, or is part of, between the message that names it and the one that answers.
WAY_OF_AN_ID = (
    "worker.contract.job.JobMessage",
    "venues.words.CancelJob",
    "venues.words.OrderRef",
    "worker.jobs.submit.JobDelivery",
    "worker.lane.submission.Submission",
    "worker.orders.progress.Cohort",
    "worker.orders.progress.OrderProgress",
    "worker.lane.entry.Entry",
    "worker.lane.entry.Group",
    "worker.lane.entry.Sending",
    "venues.base.Batch",
    "venues.base.Answers",
    "worker.orders.judge.Judgement",
    "worker.orders.follow.NextStep",
    "venues.words.CancelOutcome",
    "worker.contract.outcome.OutcomeMessage",
)


#: What is written to `schema/`, by its name there.
SCHEMAS: Mapping[str, type[BaseModel]] = {
    "job": JobMessage,
    "outcome": OutcomeMessage,
    "report": ReportMessage,
    "receipt": ReceiptMessage,
    "heartbeat": HeartbeatMessage,
    "pause": PauseMessage,
}


def main(folder: Path) -> None:
    """Write every generated file, and the generated parts of pages."""
    (folder / "schema").mkdir(parents=True, exist_ok=True)
    for name, model in SCHEMAS.items():
        text = json.dumps(schema(name, model), indent=2, ensure_ascii=False)
        (folder / "schema" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / "asyncapi.yaml").write_text(_yaml(asyncapi()), encoding="utf-8")
    for name, tables in PAGES.items():
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        (folder / name).write_text(with_tables(page, tables), encoding="utf-8")


# -- JSON Schema -------------------------------------------------------------------------


def schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a message."""
    comes_in = model in (JobMessage, HeartbeatMessage, PauseMessage)
    mode: Any = "validation" if comes_in else "serialization"
    found = model.model_json_schema(mode=mode)
    return {"$schema": DIALECT, "$id": f"urn:cancel-worker:{name}:1", **found}


# -- tables of pages ---------------------------------------------------------------------


def with_tables(page: str, tables: Mapping[str, Callable[[], Iterable[str]]]) -> str:
    """Return the page with its tables written anew."""
    for name, rows in tables.items():
        lines = rows()
        mark = f"<!-- {name}, generated -->\n"
        table = mark + "\n".join(lines) + f"\n<!-- end of {name} -->"
        page, count = re.subn(
            f"{re.escape(mark)}.*?<!-- end of {name} -->",
            lambda _, t=table: t,
            page,
            flags=re.S,
        )
        if count != 1:
            raise SystemExit(f"the marks of {name} stand {count} times in their page")
    return page


def _exchange_rows() -> Iterable[str]:
    yield "| exchange | type | arguments |"
    yield "|---|---|---|"
    for exchange in exchanges():
        yield f"| `{exchange.name}` | {exchange.type} | {_arguments(exchange.arguments)} |"


def _queue_rows() -> Iterable[str]:
    yield "| queue | bound to, by key | arguments |"
    yield "|---|---|---|"
    for queue in queues():
        yield f"| `{queue.name}` | {_binding(queue)} | {_arguments(queue.queue_arguments)} |"


def exchanges() -> list[Exchange]:
    """Return every exchange that a worker declares."""
    return [
        topology.jobs_exchange(embedded=False),
        topology.OUTCOMES_EXCHANGE,
        topology.REPORTS_EXCHANGE,
        topology.RECEIPTS_EXCHANGE,
        topology.PAUSES_EXCHANGE,
        topology.UNROUTED_EXCHANGE,
        topology.REJECTED_EXCHANGE,
        topology.DEAD_EXCHANGE,
    ]


def queues() -> list[Queue]:
    """Return every queue that a worker declares, and the record's."""
    return [
        *topology.lane_queues(ACCOUNT, embedded=False),
        topology.owner_queue(ACCOUNT),
        topology.outcome_stream(ACCOUNT),
        topology.heartbeat_stream(ACCOUNT),
        topology.pause_stream(),
        topology.unrouted_queue(embedded=False),
        topology.rejected_queue(embedded=False),
        topology.dead_queue(),
        record_queue(embedded=False),
    ]


def _binding(queue: Queue) -> str:
    if queue.bindings:
        both = sorted((each.exchange.name, each.routing_key) for each in queue.bindings)
        return "; ".join(f"`{exchange}`, `{key}`" for exchange, key in both)
    if not queue.exchange.name:
        return "the default exchange, by its own name"
    key = f", `{queue.routing_key}`" if queue.routing_key else ""
    return f"`{queue.exchange.name}`{key}"


def _arguments(arguments: Mapping[str, Any] | None) -> str:
    words = (
        f"`{name}={json.dumps(value)}`" for name, value in sorted((arguments or {}).items())
    )
    return ", ".join(words).replace('"', "") or "none"


def _way_rows() -> Iterable[str]:
    yield "| | noun | is | in |"
    yield "|---|---|---|---|"
    for number, name in enumerate(WAY_OF_AN_ID, 1):
        module, _, noun = name.rpartition(".")
        file = module.replace(".", "/") + ".py"
        found = getattr(import_module(module), noun, None)
        if found is None:
            raise SystemExit(f"WAY_OF_AN_ID in docs/generate.py: {name} is gone")
        sentence = _first_sentence(found)
        yield f"| {number} | `{noun}` | {sentence} | [{file}](../{file}) |"


def _first_sentence(noun: type) -> str:
    paragraph = (inspect.getdoc(noun) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()), maxsplit=1)[0]


def _venues() -> Iterable[tuple[str, Venue]]:
    """Yield every venue under every choice of its options, with what to call it."""
    for name, venue in sorted(all_venues().items()):
        for each in venue.variants():
            yield " ".join([name, *each.chosen.values()]), each


def _lag_rows() -> Iterable[str]:
    yield "| venue | read lag | birth lag | record lag | hidden for |"
    yield "|---|---|---|---|---|"
    for name, venue in _venues():
        lags = venue.read_lag_s, venue.birth_lag_s, venue.record_lag_s, venue.hidden_s
        yield f"| {name} | " + " | ".join(f"{lag_s:g} s" for lag_s in lags) + " |"


def _proof_rows() -> Iterable[str]:
    yield "| venue | order | status | proof | no sooner than |"
    yield "|---|---|---|---|---|"
    for name, venue in _venues():
        for kind in sorted({kind for route in venue.routes for kind in route.id_kinds}):
            there_s = venue.birth_lag_s + venue.read_lag_s
            after = f"{there_s:g} s after the job" if kind is IdKind.CLIENT else "at once"
            words = "`canceled`, `filled`, `closed`"
            yield f"| {name} | `{kind}` | {words} | {_naming(venue, kind)} | {after} |"
            for seen in True, False:
                order = f"`{kind}`, " + ("seen open" if seen else "seen by nobody")
                yield f"| {name} | {order} | " + " | ".join(_absence(venue, kind, seen)) + " |"


def _naming(venue: Venue, kind: IdKind) -> str:
    """Return which routes may name the state of an order: by a code, or as fixtures show."""
    by_code = any(rule.ord_status for rule in venue.rules)
    recorded = {case.route.name for case in replies_of(venue) if _names_state(case)}
    cancels = [r for r in routes_of(venue, Purpose.CANCEL, kind) if r.trusted]
    naming = [route for route in cancels if by_code or route.name in recorded]
    looks = routes_of(venue, Purpose.LOOKUP, kind)
    return "the state, in " + ", ".join(f"`{route.name}`" for route in [*naming, *looks])


def _names_state(case: Case) -> bool:
    judged = judge(case.venue, case.batch, case.reply).values()
    return any(said.verdict is Verdict.STATE for said in judged)


def _absence(venue: Venue, kind: IdKind, seen_open: bool) -> tuple[str, str, str]:
    """Return what is told of an order that no look-up shows, why, and when.

    Its course is played, with a venue that answers at once.
    """
    ref = OrderRef("1", kind, "S", OrdType.LIMIT)
    progress = came(new_progress(ref), 0.0)._replace(seen_open=seen_open, type_known=seen_open)
    said, now, absent = Judgement(Verdict.ACCEPTED), 0.0, dict[str, None]()
    while True:
        route = next_route(progress, venue)
        course = follow(progress, said, ReplyContext(venue, route, now, now))
        if progress.phase is Phase.CONFIRM:
            absent[route.name] = None
        if isinstance(course, FinalWord):
            routes = ", ".join(f"`{name}`" for name in absent)
            told = f"`{course.status}`, `{course.reason}`"
            return told, f"absent from {routes}", f"{now:g} s after the job"
        progress, now, said = course.progress, now + course.delay_s, Judgement(Verdict.ABSENT)


PAGES = {
    "evidence.md": {"lags": _lag_rows, "proofs": _proof_rows},
    "contract.md": {"exchanges": _exchange_rows, "queues": _queue_rows},
    "glossary.md": {"way": _way_rows},
}


# -- AsyncAPI ----------------------------------------------------------------------------


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cancel worker",
            "version": "1.0.0",
            "description": "Cancel jobs in; a receipt, one honest outcome per order id and one "
            "report per job out. "
            "docs/contract.md says what the words mean.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "127.0.0.1:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ, as CELERY_BROKER_URL names it.",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages()},
    }


def _channels() -> dict[str, Any]:
    return {
        "jobs": {
            "address": "{priority}.{account}",
            "description": "Cancel jobs to the lane of an account.",
            "messages": {"job": {"$ref": "#/components/messages/job"}},
            "parameters": {"priority": _priority(), "account": _account()},
            "bindings": _keyed(topology.jobs_exchange(embedded=False)),
        },
        "jobsByBody": {
            "address": "{priority}",
            "description": "Cancel jobs of a producer that leaves the account to the body.",
            "messages": {"job": {"$ref": "#/components/messages/job"}},
            "parameters": {"priority": _priority()},
            "bindings": _keyed(topology.jobs_exchange(embedded=False)),
        },
        "heartbeats": {
            "address": f"{topology.ALIVE}.{{account}}",
            "description": "Heartbeats of producers, for an account with a dead man's switch.",
            "messages": {"heartbeat": {"$ref": "#/components/messages/heartbeat"}},
            "parameters": {"account": _account()},
            "bindings": _keyed(topology.jobs_exchange(embedded=False)),
        },
        "outcomes": {
            "address": "{venue}.{account}.{status}",
            "description": "The final word on each id; bind a queue of your own.",
            "messages": {"outcome": {"$ref": "#/components/messages/outcome"}},
            "parameters": {
                "venue": {"description": "A venue's name, or _ where it is not known."},
                "account": _account(),
                "status": {"enum": [str(status) for status in CancelStatus]},
            },
            "bindings": _keyed(topology.OUTCOMES_EXCHANGE),
        },
        "reports": {
            "address": "{venue}.{account}.{result}",
            "description": "What became of a whole job; bind a queue of your own.",
            "messages": {"report": {"$ref": "#/components/messages/report"}},
            "parameters": {
                "venue": {"description": "A venue's name."},
                "account": _account(),
                "result": {"enum": [str(result) for result in Result]},
            },
            "bindings": _keyed(topology.REPORTS_EXCHANGE),
        },
        "receipts": {
            "address": "{venue}.{account}.{answer}",
            "description": "Who asked for what, and whether a worker took it.",
            "messages": {"receipt": {"$ref": "#/components/messages/receipt"}},
            "parameters": {
                "venue": {"description": "A venue's name, or _ where it is not known."},
                "account": _account(),
                "answer": {"enum": [str(answer) for answer in Answer]},
            },
            "bindings": _keyed(topology.RECEIPTS_EXCHANGE),
        },
        "pauses": {
            "address": topology.PAUSES,
            "description": "Words on accounts: nothing routine leaves, or it does again.",
            "messages": {"pause": {"$ref": "#/components/messages/pause"}},
            "bindings": _keyed(topology.PAUSES_EXCHANGE),
        },
        "rejected": {
            "address": topology.REJECTED,
            "description": "Messages that are no jobs, byte for byte, for people to look at.",
            "messages": {"rejected": {"$ref": "#/components/messages/rejected"}},
            "bindings": _queued(topology.rejected_queue(embedded=False)),
        },
    }


def _priority() -> dict[str, Any]:
    return {"enum": [str(priority) for priority in Priority], "default": str(Priority.ROUTINE)}


def _account() -> dict[str, Any]:
    return {"description": "Name in the accounts file: [A-Za-z0-9_-]{1,64}."}


def _keyed(exchange: Exchange) -> dict[str, Any]:
    found = {"name": exchange.name, "type": exchange.type, "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": found, "bindingVersion": "0.3.0"}}


def _queued(queue: Queue) -> dict[str, Any]:
    found = {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False}
    return {"amqp": {"is": "queue", "queue": found, "bindingVersion": "0.3.0"}}


def _operations() -> dict[str, Any]:
    publish = {"amqp": {"deliveryMode": 2, "mandatory": True, "bindingVersion": "0.3.0"}}
    return {
        "receiveJob": _operation("receive", "jobs", "job"),
        "receiveJobByBody": _operation("receive", "jobsByBody", "job"),
        "receiveHeartbeat": _operation("receive", "heartbeats", "heartbeat"),
        "receivePause": _operation("receive", "pauses", "pause"),
        "sendOutcome": _operation("send", "outcomes", "outcome"),
        "sendReport": _operation("send", "reports", "report"),
        "sendReceipt": _operation("send", "receipts", "receipt"),
        "sendRejected": _operation("send", "rejected", "rejected") | {"bindings": publish},
    }


def _operation(action: str, channel: str, message: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _messages() -> dict[str, Any]:
    return {
        "job": {
            "name": "CancelJob",
            "contentType": "application/json",
            "headers": _headers("traceparent", "tracestate"),
            "payload": _payload("job"),
        },
        "heartbeat": {
            "name": "Heartbeat",
            "contentType": "application/json",
            "payload": _payload("heartbeat"),
        },
        "pause": {
            "name": "AccountPause",
            "contentType": "application/json",
            "payload": _payload("pause"),
        },
        "outcome": {
            "name": "CancelOutcome",
            "contentType": "application/json",
            "headers": _headers("traceparent", "tracestate"),
            "payload": _payload("outcome"),
        },
        "report": {
            "name": "CancelReport",
            "contentType": "application/json",
            "headers": _headers("traceparent", "tracestate"),
            "payload": _payload("report"),
        },
        "receipt": {
            "name": "JobReceipt",
            "contentType": "application/json",
            "headers": _headers("traceparent", "tracestate"),
            "payload": _payload("receipt"),
        },
        "rejected": {
            "name": "RejectedMessage",
            "headers": _headers("x-reason", "x-detail", ROUTING_KEY_HEADER),
            "payload": {"description": "The bytes that came, whatever they are."},
        },
    }


def _headers(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def _payload(name: str) -> dict[str, Any]:
    return {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./schema/{name}.json"}}


class _Plain(yaml.SafeDumper):
    """Writes what stands twice out twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - given by the parent
        return True


def _yaml(value: Any) -> str:
    head = "# Written by `make docs`; change the code, not this file.\n"
    return head + yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=96)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
