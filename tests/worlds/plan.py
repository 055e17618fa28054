"""What a world is: its orders, the jobs that name them, how its venue behaves. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

#: The quantity of every order.
QUANTITY = 10
#: The venues that a seed alone draws; for the others it takes a seed and their name.
FIRST = ("coinw", "ztdx", "kuna")
#: An order that was placed long before the first job, in seconds from its coming.
LONG_AGO_S = -3600.0


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to an order at a time: `fill` (so much in all), `fire`, or an end."""

    at_s: float
    what: str  # fill, fire, cancel, expire, reject
    executed: int = 0


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """One order; times count from the coming of the first job."""

    venue_id: str
    symbol: str
    ord_type: str = "limit"
    client_id: str = ""
    placed_s: float = LONG_AGO_S
    changes: tuple[Change, ...] = ()
    #: What a fired trigger becomes: "" the same order, now resting; else it has ended, and a
    #: child of another id "rests", "fills" or was "refused".
    child: str = ""
    #: So many of its cancels are accepted and never done.
    swallowed: int = 0
    #: From when to when no list shows it.
    hidden_s: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Ask:
    """How a job names an order; empty words are left out."""

    id: str
    kind: str = ""
    ord_type: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A message of a producer; with `again_s` sent again, so long after its last outcome."""

    job_id: str
    asks: tuple[Ask, ...]
    at_s: float = 0.0
    kill: bool = True
    deadline_s: float = 30.0
    again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """From when to when each request meets a gateway: `form` is a status, or `empty`."""

    start_s: float
    end_s: float
    form: str


@dataclass(frozen=True, slots=True)
class Behaviours:
    """What the venues' pages leave open. The defaults are the plainest venue there is."""

    rtt_s: float = 0.02
    #: How far reads are behind the engine, at most, and how many replicas answer them.
    read_lag_s: float = 0.0
    replicas: int = 1
    #: How long a cancel takes from being accepted to its effect.
    cancel_s: float = 0.0
    #: What one bad id does to its batch: "" nothing, "nothing_done", "rest_done".
    spoils: str = ""
    #: How far the record of ended orders is behind the engine.
    record_lag_s: float = 0.0
    #: Rows of other orders in the record.
    record_rows: int = 0
    #: A page holds at most so many rows, whatever is asked for.
    page_cap: int = 100
    #: What a list says of its length: "given", "left_out", "zero", "page".
    total: str = "given"
    oldest_first: bool = False
    instrument_demanded: bool = False
    #: How an empty list is written: "[]", "null", "{}", "missing".
    empty: str = "[]"
    #: Other orders that rest; one of them leaves the list every so many seconds.
    resting: int = 0
    leaves_every_s: float = 0.0
    #: The spelling of states: "documented", "upper", "lower", "british".
    words: str = "documented"
    #: What reads say of orders that were canceled, expired or fired: a word that no page names.
    odd_word: str = ""
    #: Rows have fields of the names `code` and `error`.
    odd_fields: bool = False
    #: How it is said that an order does not exist: "", "other_text", "other_code".
    unknown_text: str = ""
    #: Replies hold rows of other orders.
    shows_others: bool = False
    outages: tuple[Outage, ...] = ()
    #: From when to when requests are rate-limited, and how long to wait is stated.
    throttled_s: tuple[float, float] = (0.0, 0.0)
    #: Share of requests that are lost on their way, or whose reply is.
    lost: float = 0.0
    #: Share of requests for which no connection is made.
    unreachable: float = 0.0
    #: Errors repeat the key and the signature, which look like this: "long", "uuid", "short".
    echoes: bool = False
    key_form: str = "long"
    #: An order is found under its own symbol only.
    symbol_decides: bool = False
    #: A list of client order ids is read.
    client_batch: bool = True
    #: A cancel's reply claims success of each order, whatever the engine does.
    boasts: bool = False
    #: A batch's reply names ids that have ended.
    names_ended: bool = True
    #: What a reply says of an order whose cancel was accepted and is not done yet.
    accepted_word: str = "NEW"
    #: The record has canceled orders that never traded.
    keeps_canceled: bool = False
    #: A batch of a stated type leaves orders of others alone.
    type_decides: bool = False
    batch_takes_triggers: bool = True
    single_takes_triggers: bool = True
    #: The list of one type shows orders of another as well.
    leaky: bool = False
    #: The order list by ids is an object with rows, not a list.
    rows_in_object: bool = False
    #: Success comes in an envelope.
    bare: bool = False
    #: A batch's rows name an order by this key.
    id_key: str = "id"
    #: An order that was canceled after a partial fill is called as one that was filled.
    part_is_closed: bool = False
    #: The cancel of a conditional order answers with the order, and not with "success".
    whole_object: bool = False
    #: What is refused of a batch stands at its end, and not in its place.
    misplaced: bool = False
    #: What is refused of a batch bears the id by which it was named.
    names_refused: bool = True
    #: A cancel of an order that has ended is told so, by a code of its own.
    tells_ended: bool = False
    #: Look-ups of open orders have forgotten all that have ended: the service was restarted.
    forgets_ended: bool = False
    #: The code of a batch is that of success, whatever its items say.
    top_is_fine: bool = False
    #: The ordinary cancel of conditional orders does not take those that trail.
    trails_apart: bool = False
    #: For so long look-ups show an order that was canceled and never traded, where they forget.
    kept_s: float = 600.0
    #: How counts of contracts are written: "numbers", "texts", "decimals".
    sizes: str = "numbers"
    #: An open order bears the mark of a cancel, as a part of it was canceled.
    marks_open: bool = False
    #: Look-ups by id do not know some orders that rest; the list of open orders shows them.
    overlooks: bool = False
    #: An order that rests since its trigger fired is called "triggered" for good.
    still_triggered: bool = False
    #: What waits for another order stands in that one's row, and look-ups do not know it.
    nests_children: bool = False
    #: A look-up by id has forgotten an order that fired.
    forgets_fired: bool = False
    #: What is refused of a batch is told in words, without a code.
    words_alone: bool = False
    #: A cancel that was done is answered with the engine's event.
    tells_events: bool = True
    #: Among what has ended, the record has conditional orders that fired.
    closed_has_fired: bool = True
    #: A look-up by id calls an order canceled that fired, and why stands in another field.
    fired_is_canceled: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """All of one world. The seed decides what is left to chance while it runs."""

    seed: int
    venue: str
    orders: tuple[OrderPlan, ...]
    jobs: tuple[JobPlan, ...]
    ways: Behaviours = Behaviours()
    verify: bool = False
    #: What the account chooses of the venue's options.
    chosen: tuple[tuple[str, str], ...] = ()


def unusual(item: Any) -> dict[str, Any]:
    """Return the fields of a plan that are not at their defaults."""
    return {
        field.name: getattr(item, field.name)
        for field in fields(item)
        if getattr(item, field.name) != field.default
    }
