"""What a sandbox venue is: its endpoints, settings and limits, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .messages import Call, Reply
from .options import Option
from .world import Account, World

Answer: TypeAlias = Callable[[World, Call], Reply]


def no_ids(_: Call) -> Sequence[str]:
    """Name no order."""
    return ()


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: who answers it, which limit it draws from, where its ids stand.

    A request weighs so much under the venue's limit "weight", and one under all others.
    """

    answer: Answer
    limit: str
    ids: Callable[[Call], Sequence[str]] = no_ids
    cancels: bool = False
    signed: bool = True
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One venue's paths, signatures and words; a file of this folder defines `VENUE`."""

    name: str
    #: how its paths begin; where that is another one's, too, the key tells whose a request is
    prefix: str | tuple[str, ...]
    #: endpoints by method and path; a path that ends in a slash takes one more segment
    routes: Mapping[tuple[str, str], Route]
    options: Mapping[str, Option]
    limits: Mapping[str, str]
    #: limits that every request draws from, and limits that only measure
    always: tuple[str, ...] = ("account",)
    watched: frozenset[str] = frozenset()
    #: the key that a request claims to be of
    api_key: Callable[[Call], str]
    #: the refusal of a request whose signature or time is wrong
    verify: Callable[[World, Call, Account], Reply | None]
    #: how the venue says throttle, ban, maintenance, clock, auth, permission, unknown_route
    refuse: Callable[[World, str], Reply]
    #: whether the venue could have given an id
    gives: Callable[[str], bool]
    #: hears of every request, and whether a limit refused it
    paced: Callable[[World, Call, bool], None] | None = None

    @property
    def limit_names(self) -> set[str]:
        """The names of all limits that there are."""
        return {route.limit for route in self.routes.values()} | {*self.limits, *self.always}

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint, if the venue has it."""
        route = self.routes.get((method, path))
        return route or self.routes.get((method, path.rpartition("/")[0] + "/"))
