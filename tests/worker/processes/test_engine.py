"""What accounts share at one address, whichever of them is used first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from venues import all_venues
from venues.base import Quota
from venues.credential import Credential
from worker.processes.engine import Engine
from worker.settings import Account
from worker.stats import NO_OBSERVER

STRICT, WIDE = Quota(20, 10.0, "address"), Quota(50, 10.0, "address")
HERE, THERE = "http://127.0.0.1:1", "http://127.0.0.1:2"


def account(
    name: str, quotas: Mapping[str, Quota], venue: str = "coinw", base_url: str = HERE
) -> Account:
    return Account(
        name=name,
        venue=all_venues()[venue],
        credential=Credential(api_key=f"key-{name}", api_secret=f"secret-{name}"),
        base_url=base_url,
        quotas=quotas,
    )


def engine(*accounts: Account) -> Engine:
    by_name = {each.name: each for each in accounts}
    return Engine(by_name, lambda _: None, NO_OBSERVER.venue_call, lambda _: None)


def address_of(found: Engine, name: str) -> object:
    return found.of(name).lane._tokens._paces.get("address")


@pytest.mark.parametrize("first", ["wide", "strict"])
def test_the_strictest_word_on_an_address_counts_whoever_comes_first(first: str) -> None:
    found = engine(account("wide", {"address": WIDE}), account("strict", {"address": STRICT}))
    found.of(first)
    shared = address_of(found, "wide")

    assert shared is address_of(found, "strict")
    assert getattr(shared, "quota", None) == STRICT
    found.close()


def test_what_is_at_another_address_or_of_another_venue_shares_nothing() -> None:
    found = engine(
        account("here", {"address": WIDE}),
        account("there", {"address": STRICT}, base_url=THERE),
        account("other", {"address": STRICT}, venue="ztdx"),
        account("off", {}),
    )
    paces = [address_of(found, name) for name in ("here", "there", "other", "off")]

    assert [getattr(pace, "quota", None) for pace in paces] == [WIDE, STRICT, STRICT, None]
    found.close()
