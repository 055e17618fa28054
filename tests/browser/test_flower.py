"""Flower as a person on watch sees it, in a real browser, after 1,000 ids went through."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import MANY, NAME, PLANTED, Watched, uuids
from tests.support.flower import PASSWORD, USER, FlowerProcess
from tests.support.producer import Outcomes, send
from tests.support.worker import ROOT

#: What signed requests carry: an HMAC-SHA256 in hex or base64, or the name of its parameter.
SIGNATURE = re.compile(
    r"\b[0-9a-f]{64}\b|\b[0-9a-f]{96}\b|\b[A-Za-z0-9+/]{43}=|(?i:signature|\bsign)\W{1,3}[0-9a-zA-Z]{16}"
)
WAIT_S = 20
#: The tasks of the two jobs of 20 ids.
BAGS = {"kill 20 @ ztdx/desk-2", "cancel 20 @ kuna/desk-3"}


def _open(chrome: Chrome, watched: Watched, path: str) -> None:
    where = watched.flower.url.replace("http://", f"http://{USER}:{PASSWORD}@")
    chrome.get(where + path)


def _rows(chrome: Chrome, names: set[str]) -> list[list[str]]:
    """Return the cells of the table on the page, once it has a row of each of these tasks."""

    def full(browser: Chrome) -> list[list[str]]:
        rows = browser.find_elements(By.CSS_SELECTOR, "table tbody tr")
        cells = [[c.text for c in row.find_elements(By.TAG_NAME, "td")] for row in rows]
        found = [row for row in cells if len(row) > 1]
        return found if names <= {row[0] for row in found} else []

    return WebDriverWait(chrome, WAIT_S, ignored_exceptions=[Exception]).until(full)


def _keep(chrome: Chrome, name: str) -> None:
    """Save a picture for the README, where CANCEL_SCREENSHOTS names a folder."""
    if folder := os.environ.get("CANCEL_SCREENSHOTS"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        chrome.save_screenshot(str(ROOT / folder / name))


# -- the worker ------------------------------------------------------------------------------


def test_the_worker_stays_alive_under_flower_and_answers_every_id(watched: Watched) -> None:
    ones = [o for o in watched.outcomes if o["job_id"].startswith("one-")]
    process = watched.worker.process

    assert {o["job_id"] for o in ones} == {f"one-{n}" for n in range(MANY)}
    assert process is not None
    assert process.poll() is None
    assert _answers_another(watched)


def _answers_another(watched: Watched) -> bool:
    later = Outcomes(watched.broker_url)
    job = {"job_id": "later", "account": "desk-1", "symbol": "BTC", "orders": ["77"]}
    send(watched.broker_url, [("kill.desk-1", job)])
    found = later.wait(1, WAIT_S, until=lambda: "77" in later.status())
    later.close()
    return [o["status"] for o in found if o["id"] == "77"] == ["not_found"]


def jobs_of(name: str) -> int:
    """Return how many of the many jobs a task ran, by the name that Flower shows."""
    found = re.fullmatch(r"cancel (1|(\d+) jobs, (\d+) ids) @ coinw/desk-1", name)
    return int(found[2] or 1) if found else 0


def test_flower_knows_every_task_and_its_end(watched: Watched) -> None:
    give_up = time.monotonic() + WAIT_S
    while True:
        done = [t for t in watched.flower.tasks() if t["state"] == "SUCCESS"]
        named = Counter(task["name"] for task in done)
        if sum(jobs_of(task["name"]) for task in done) >= MANY:
            break
        assert time.monotonic() < give_up, named
        time.sleep(0.2)
    assert {named[bag] for bag in BAGS} == {1}


# -- the pages -------------------------------------------------------------------------------


def test_rows_say_what_a_job_does_and_how_many_ids_ended_how(
    watched: Watched, chrome: Chrome
) -> None:
    _open(chrome, watched, "/tasks")
    rows = _rows(chrome, BAGS)
    by_name = {row[0]: row for row in rows}
    named = [h.text.lower() for h in chrome.find_elements(By.CSS_SELECTOR, "thead th")]
    _keep(chrome, "flower-tasks.png")

    assert list(filter(None, named)) == [
        "name",
        "state",
        "received",
        "runtime",
        "result",
        "worker",
    ]
    ones = [row for row in rows if jobs_of(row[0])]
    assert ones
    assert all(row[1] == "SUCCESS" for row in ones)
    counts = by_name["kill 20 @ ztdx/desk-2"][4]
    assert counts == "15 canceled, 3 filled, 1 rejected, 1 not_found"


def test_a_worker_is_shown_without_anything_to_press(watched: Watched, chrome: Chrome) -> None:
    _open(chrome, watched, f"/worker/{NAME}")
    WebDriverWait(chrome, WAIT_S).until(
        lambda page: page.find_element(By.ID, "workername").text == NAME
    )
    chrome.find_element(By.ID, "worker-tab-queues").click()
    WebDriverWait(chrome, WAIT_S).until(
        lambda page: "cancel.desk-1.kill" in page.find_element(By.ID, "tab-queues").text
    )
    _keep(chrome, "flower-worker.png")
    pressed = "#worker-shutdown, #worker-pool-grow, #worker-group, .task-timeout"

    assert not chrome.find_elements(By.CSS_SELECTOR, pressed)


def test_no_page_shows_a_secret_a_signature_or_an_order_id(
    watched: Watched, chrome: Chrome
) -> None:
    bag = next(t for t in watched.flower.tasks() if t["name"] == "kill 20 @ ztdx/desk-2")
    seen = []
    for path in ("/", "/tasks", "/broker", f"/worker/{NAME}", f"/task/{bag['uuid']}"):
        _open(chrome, watched, path)
        seen.append(chrome.page_source)
    also = ("/metrics", "/api/tasks", "/api/workers", f"/api/task/info/{bag['uuid']}")
    seen += [watched.flower.get(path, refresh=1).text for path in also]

    assert "bag-ztdx" in "".join(seen)
    _assert_clean("\n".join(seen))


def test_no_event_holds_a_secret_a_signature_or_an_order_id(watched: Watched) -> None:
    received = uuids(watched.events, "task-received")
    names = [task["name"] for task in watched.flower.tasks() if task["uuid"] in received]

    assert set(names) >= BAGS
    assert sum(map(jobs_of, names)) >= MANY
    _assert_clean(b"\n".join(watched.events).decode())


def test_no_log_holds_a_secret_or_a_signature(watched: Watched) -> None:
    logs = (watched.worker.log, watched.worker.log.with_suffix(".err"), watched.flower.log)

    for log in logs:
        _assert_clean(log.read_text(), but_ids=False)


def _assert_clean(text: str, *, but_ids: bool = True) -> None:
    for planted in PLANTED:
        assert planted not in text
    assert not SIGNATURE.search(text), SIGNATURE.findall(text)[:3]
    if but_ids:
        assert str(10**16)[:12] not in text
        assert "7c1b2f60-0d3c" not in text


# -- who may see and do what ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/tasks", "/api/workers", "/api/tasks"])
def test_without_the_password_nothing_is_shown(watched: Watched, path: str) -> None:
    assert requests.get(watched.flower.url + path, timeout=10).status_code == 401


def test_nobody_stops_a_worker_or_sends_a_task_from_here(watched: Watched) -> None:
    for path in (
        f"/api/worker/shutdown/{NAME}",
        f"/api/worker/pool/shrink/{NAME}",
        "/api/task/send-task/tasks.cancel_orders",
    ):
        reply = requests.post(
            watched.flower.url + path, auth=(USER, PASSWORD), data="{}", timeout=10
        )
        assert reply.status_code == 403, path
    assert watched.worker.process is not None
    assert watched.worker.process.poll() is None


def test_an_open_address_without_a_password_is_refused_in_one_line(tmp_path: Path) -> None:
    env = {"FLOWER_ADDRESS": "0.0.0.0", "FLOWER_BASIC_AUTH": ""}
    flower = FlowerProcess("amqp://guest:guest@127.0.0.1:1//", tmp_path / "flower.log", env)
    try:
        assert flower.launch().wait(30) == os.EX_CONFIG
    finally:
        flower.end()
    assert flower.log.read_text() == (
        "flower: 0.0.0.0 is open to others; set FLOWER_BASIC_AUTH=user:password"
        " or listen on 127.0.0.1\n"
    )
