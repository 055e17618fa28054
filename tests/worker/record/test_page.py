"""The page: it stands alone, whatever others wrote is text, and its bars are to scale."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from worker.record.page import MOST_BARS, Bar, Table, page

_VOID = {"meta", "!doctype"}


class Tags(HTMLParser):
    """Which elements a page has, that they end, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def written(word: str, bars: list[Bar] | None = None) -> str:
    shown = [Bar(word, 1.5, word, True, 2.0)] if bars is None else bars
    table = Table(word, [word], iter([[word, 7, None]]))
    return "".join(page(word, [word], [word], (word, shown), [table]))


@given(st.text() | st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>']))
def test_whatever_others_wrote_is_text(word: str) -> None:
    plain, found = Tags(written("word")), Tags(written(word))

    assert [tag for tag, _ in found.seen] == [tag for tag, _ in plain.seen]
    assert [set(attrs) for _, attrs in found.seen] == [set(attrs) for _, attrs in plain.seen]


def test_it_needs_neither_script_nor_network() -> None:
    found = Tags(written("word"))

    tags = {tag for tag, _ in found.seen}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    policy = next(a["content"] for t, a in found.seen if t == "meta" and "content" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "url(" not in written("word")
    assert "@import" not in written("word")


def test_a_text_that_turns_the_line_around_is_marked() -> None:
    assert "a\ufffdb" in written("a\u202eb")


def test_bars_are_to_scale_and_name_their_bound() -> None:
    bars = [Bar("desk-1", 2.0, "empty", True, 4.0), Bar("desk-2", 1.0, "unproven", False)]
    text = written("w", bars)

    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    space = "{http://www.w3.org/2000/svg}"
    long, short = (float(r.get("width") or 0) for r in svg.iter(f"{space}rect"))
    (line,) = svg.iter(f"{space}line")
    assert long == 2 * short
    assert float(line.get("x1") or 0) - 260 == 2 * long
    words = [each.text for each in svg.iter(f"{space}text")]
    assert words == ["desk-1", "2.00 s, empty", "desk-2", "1.00 s, unproven"]


def test_only_the_longest_are_drawn_and_that_is_said() -> None:
    bars = [Bar(f"desk-{n}", float(n), "empty", True) for n in range(MOST_BARS + 5)]

    text = written("Times", bars)

    assert text.count("<rect") == MOST_BARS
    assert f"the {MOST_BARS} longest of {MOST_BARS + 5}" in text
    assert ">desk-104<" in text
    assert ">desk-4<" not in text


def test_a_page_without_bars_and_gaps_says_so() -> None:
    text = "".join(page("t", [], [], ("p", []), []))

    assert "No gaps were found." in text
    assert "<svg" not in text
    assert "<svg" in written("w", [Bar("nothing took time", 0.0, "empty", True)])
