"""Limits: any L+1 requests inside W seconds, and the last one is refused."""

from __future__ import annotations

import time

import pytest

from venues.sandbox.client import LimitUse, SandboxClient
from venues.sandbox.limits import Limits, Quota

from .callers import coinw, kuna, order, ztdx

DRAW = ("coinw", "key", ("cancel_batch",))


def fresh(text: str = "10/1s") -> Limits:
    return Limits({"coinw": {"cancel_batch": text}})


def test_ten_fit_into_a_second_and_the_eleventh_does_not() -> None:
    limits = fresh()

    refused = [limits.draw(*DRAW, at_s=100.0 + i / 100) for i in range(11)]

    assert refused == [None] * 10 + ["cancel_batch"]


@pytest.mark.parametrize(("at_s", "refused"), [(100.999, "cancel_batch"), (101.0, None)])
def test_a_place_is_free_again_when_its_second_is_over(at_s: float, refused: str) -> None:
    limits = fresh()
    for _ in range(10):
        limits.draw(*DRAW, at_s=100.0)

    assert limits.draw(*DRAW, at_s=at_s) == refused


def test_the_window_slides_and_has_no_fixed_beginning() -> None:
    limits = fresh()
    times = [100.0, *(100.9 + i / 1000 for i in range(9)), 101.05, 101.06]

    refused = [limits.draw(*DRAW, at_s=t) for t in times]

    assert refused == [None] * 11 + ["cancel_batch"]


@pytest.mark.parametrize(("count_refused", "refused"), [(False, None), (True, "cancel_batch")])
def test_a_refused_request_uses_up_a_place_only_if_told(
    count_refused: bool, refused: str
) -> None:
    limits = fresh("1/1s")
    limits.count_refused = count_refused
    limits.draw(*DRAW, at_s=100.0)
    limits.draw(*DRAW, at_s=100.5)

    assert limits.draw(*DRAW, at_s=101.2) == refused


def test_a_request_refused_by_one_limit_uses_up_no_other() -> None:
    limits = Limits({"coinw": {"cancel_batch": "1/1s", "account": "2/1s"}})
    both = ("cancel_batch", "account")
    limits.draw("coinw", "key", both, 100.0)
    for i in range(5):
        assert limits.draw("coinw", "key", both, 100.1 + i / 100) == "cancel_batch"

    assert limits.draw("coinw", "key", ("account",), 100.2) is None


@pytest.mark.parametrize("text", ["10", "10/s", "ten/1s", "10/0s", "", "10/1m"])
def test_an_unreadable_quota_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="10/1s"):
        Quota.parse(text)


def use(sandbox: SandboxClient, limit: str) -> LimitUse:
    return next(u for u in sandbox.limits() if u.limit == limit)


def test_coinw_refuses_the_eleventh_batch_in_a_second(sandbox: SandboxClient) -> None:
    answers = [coinw(sandbox, "DELETE", "batchOrders", {"sourceIds": ["1"]}) for _ in range(11)]

    assert [a.json["code"] for a in answers] == [0] * 10 + [29001]
    assert answers[-1].status == 200
    assert answers[-1].json["msg"] == "API access frequently"
    seen = use(sandbox, "cancel_batch")
    assert (seen.requests, seen.throttled) == (11, 1)
    assert (seen.max_in_window, seen.max_counted) == (11, 10)


def test_a_refused_cancel_has_no_effect(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"coinw": {"cancel_one": "0/1s"}}})
    raw = order("coinw", 1)
    sandbox.seed([raw])

    coinw(sandbox, "DELETE", "order", {"id": raw["id"]})

    after = sandbox.order("coinw", raw["id"])
    assert (after.state, after.asked, after.canceled_times) == ("open", 1, 0)
    assert sandbox.requests()[-1].outcome == "throttled"


def test_interfaces_have_limits_of_their_own(sandbox: SandboxClient) -> None:
    for _ in range(10):
        coinw(sandbox, "DELETE", "batchOrders", {"sourceIds": ["1"]})

    assert coinw(sandbox, "DELETE", "order", {"id": "1"}).json["code"] == 9012


def test_a_second_later_there_is_room_again(sandbox: SandboxClient) -> None:
    for _ in range(5):
        coinw(sandbox, "GET", "orders/history")
    refused = coinw(sandbox, "GET", "orders/history").json["code"]
    time.sleep(2.0)

    assert refused == 29001
    assert coinw(sandbox, "GET", "orders/history").json["code"] == 0


def test_ztdx_answers_429_with_a_page(sandbox: SandboxClient) -> None:
    sandbox.settings({"ztdx.retry_after_s": 3})

    answers = [ztdx(sandbox, "GET", "openOrders") for _ in range(11)]

    assert [a.status for a in answers] == [200] * 10 + [429]
    assert b"<h1>429 Too Many Requests</h1>" in answers[-1].body
    assert answers[-1].headers["Retry-After"] == "3"


def test_kuna_answers_429(sandbox: SandboxClient) -> None:
    answers = [kuna(sandbox, "GET", "active") for _ in range(11)]

    assert [a.status for a in answers] == [200] * 10 + [429]


def test_a_key_can_have_limits_of_its_own(sandbox: SandboxClient) -> None:
    own = {"coinw": {"dummyKey0001": {"open_count": "2/1s"}}}
    sandbox.settings({"limits": {"coinw": "off"}, "key_limits": own})

    answers = [coinw(sandbox, "GET", "orders/openQuantity") for _ in range(3)]

    assert [a.json["code"] for a in answers] == [0, 0, 29001]


def test_limits_can_be_off_and_are_measured_all_the_same(sandbox: SandboxClient) -> None:
    sandbox.settings({"limits": {"ztdx": {"account": "off"}}})

    answers = [ztdx(sandbox, "GET", "openOrders") for _ in range(15)]

    assert {a.status for a in answers} == {200}
    assert use(sandbox, "account").max_in_window >= 11


def hurry(sandbox: SandboxClient, times: int) -> list[int]:
    return [coinw(sandbox, "GET", "orders/openQuantity").json["code"] for _ in range(times)]


def test_coinw_halves_the_limits_of_who_hurries(sandbox: SandboxClient) -> None:
    fast = {"open_count": "1000/1s", "account": "1000/1s"}
    sandbox.settings({"limits": {"coinw": fast}})

    hurry(sandbox, 61)
    codes = [coinw(sandbox, "DELETE", "order", {"id": "1"}).json["code"] for _ in range(6)]

    assert codes == [9012] * 5 + [29001]
    assert [i["kind"] for i in sandbox.incidents()] == ["escalation_warning"]
    assert use(sandbox, "cancel_one").share == 0.5


def test_coinw_bans_who_errs_on_if_so_set(sandbox: SandboxClient) -> None:
    sandbox.settings(
        {
            "limits": {"coinw": {"open_count": "1000/1s", "cancel_one": "0/1s"}},
            "coinw.escalation_bans": "on",
        }
    )

    hurry(sandbox, 61)
    for _ in range(61):
        coinw(sandbox, "DELETE", "order", {"id": "1"})
    banned = coinw(sandbox, "GET", "orders/openQuantity")

    kinds = [i["kind"] for i in sandbox.incidents()]
    assert kinds == ["escalation_warning", "escalation_ban"]
    assert (banned.status, banned.json["code"]) == (403, 29001)


@pytest.mark.parametrize(
    "settings",
    [
        {"coinw.escalation": "off"},
        {"coinw.escalation_counts": "errors"},
        {"limits": {"coinw": {"escalation": "off", "open_count": "1000/1s"}}},
    ],
)
def test_coinw_ladder_can_be_off(sandbox: SandboxClient, settings: dict[str, object]) -> None:
    fast = {"limits": {"coinw": {"open_count": "1000/1s"}}}
    sandbox.settings(fast | settings)

    hurry(sandbox, 65)

    assert sandbox.incidents() == []


def test_the_stamp_is_taken_after_half_the_way(sandbox: SandboxClient) -> None:
    sandbox.settings({"rtt_ms": 80})

    begun = time.monotonic()
    coinw(sandbox, "GET", "orders/openQuantity")
    ended = time.monotonic()

    (seen,) = sandbox.requests()
    assert begun < seen.received_s < seen.at_s < ended
    assert seen.at_s - seen.received_s >= 0.04
    assert ended - seen.at_s >= 0.04
    assert ended - begun < 0.2
