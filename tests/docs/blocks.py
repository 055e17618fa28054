"""Reads the README: its commands in order, each with the output that the page promises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>background|rabbitmq) -->\n)?```(?P<kind>sh|text|json)\n(?P<body>.*?)```",
    re.DOTALL,
)
#: What differs from run to run: times, figures of time, ports, and the ids of jobs.
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"job [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "job <id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\d+ venue requests"), "<n> venue requests"),
    (re.compile(r"over (the embedded broker|RabbitMQ)"), "over <broker>"),
    (re.compile(r"\b\d+(\.\d+)? ms\b"), "<n> ms"),
    (re.compile(r"\b\d+\.\d+\b|(?<= )\d+$"), "<n>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of the page: `mark` says how they run, `shown` what they are said to print."""

    commands: str
    mark: str
    shown: str = ""


def blocks(page: Path) -> list[Block]:
    """Return the page's shell blocks in their order."""
    found: list[Block] = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["kind"] == "sh":
            found.append(Block(block["body"], block["mark"] or ""))
        elif block["kind"] == "text" and found:
            found[-1] = Block(found[-1].commands, found[-1].mark, block["body"])
    return found


def json_blocks(page: Path) -> list[str]:
    """Return the page's JSON blocks."""
    text = page.read_text(encoding="utf-8")
    return [block["body"] for block in _BLOCK.finditer(text) if block["kind"] == "json"]


def plain(line: str) -> str:
    """Return a line of output without what differs from run to run."""
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def missing(shown: str, printed: str) -> list[str]:
    """Return the lines that the page shows and the command did not print."""
    lines = {plain(line) for line in printed.splitlines()}
    return [line for line in shown.splitlines() if plain(line) not in lines]
