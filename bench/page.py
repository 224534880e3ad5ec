"""The page's numbers: control deadlines while it is open and records, frames drawn, first view, STOP to rest.

    python bench/page.py [FACE]

Twice: with a client on the same machine that only takes the frames, as when a laptop or a phone draws them; and with
a real Chromium that draws without a GPU on the processors that also run the simulated face, worse than any laptop.
Prints a table and writes bench/results/page.json.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from websockets.sync.client import connect

from animaface.app.recording.log import read_log
from animaface.app.stolen import Stolen
from animaface.sim.truth import read_truth

HERE = Path(__file__).parent
SECONDS = 30.0
STILL_RAD = 0.03


@contextlib.contextmanager
def dashboard(face: str, folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """The command in a process of its own -> (address, truth log, what it counted, filled at the end)."""
    truth = folder / "truth.bin"
    command = [
        sys.executable,
        "-m",
        "animaface.app.main",
        "dashboard",
        "--face",
        face,
        "--sim",
        "--no-sound",
        "--json",
    ]
    command += ["--listen", "127.0.0.1:0", "--truth", str(truth), "--recordings", str(folder / "tapes")]
    numbers: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield json.loads(child.stdout.readline())["url"], truth, numbers
        finally:
            child.terminate()
            numbers |= json.loads(child.stdout.read().splitlines()[-1])


def browser() -> Any:
    """A Chromium without a window and without a GPU."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader",
                     "--window-size=1280,800"):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    # with its path given, selenium does not ask the internet for one
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def told_of_ticks(stolen: Stolen, folder: Path) -> dict[str, Any]:
    """By the recording that was made meanwhile: which misses the host of a virtual machine answers for."""
    log = read_log(next((folder / "tapes").glob("*.mcap")))
    return stolen.told(log.time_s, log.late_s, log.tick_s)


def wait(page: Any, what: str) -> None:
    """Until the expression `what` is true in the page; half a minute at most."""
    end_s = time.monotonic() + 30.0
    while not page.execute_script(f"return {what}"):
        if time.monotonic() > end_s:
            raise SystemExit(f"never: {what}")
        time.sleep(0.05)


def stop_ms(page: Any, truth: Path) -> float:
    """From the key to the first moment after which the truth stands still."""
    from selenium.webdriver.common.action_chains import ActionChains

    pressed_s = time.monotonic()
    ActionChains(page).send_keys(" ").perform()
    time.sleep(3.0)
    log = read_truth(truth)
    moving = np.abs(log.shaft_rad - log.shaft_rad[-1]).max(axis=1) > STILL_RAD
    after = log.seen_s[moving & (log.seen_s > pressed_s)]
    return 1e3 * float(after[-1] - pressed_s) if len(after) else 0.0


def measure(face: str) -> dict[str, Any]:
    """With the real browser: drawing, first view, STOP, deadlines."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Stolen() as stolen,
        dashboard(face, Path(scratch)) as (url, truth, numbers),
    ):
        page = browser()
        try:
            page.get(url)
            wait(page, "animaface.state.vitals && animaface.state.stage")
            page.get(url)  # the second view: the browser itself has come up
            wait(page, "animaface.state.vitals && animaface.state.stage")
            view = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            out: dict[str, Any] = {"face": face, "load": round(os.getloadavg()[0], 1),
                                   "first_view_ms": round(page.execute_script(f"return {view}"))}  # fmt: skip
            page.find_element("id", "start").click()
            wait(page, "animaface.state.awake")
            page.execute_script("animaface.link.say('record', {on: true})")
            before = page.execute_script("return [animaface.state.stage.drawn, performance.now()]")
            end_s = time.monotonic() + SECONDS
            while time.monotonic() < end_s:
                if page.execute_script("return animaface.state.vitals.saying === ''"):
                    page.execute_script("animaface.link.say('demo')")
                time.sleep(0.5)
            after = page.execute_script("return [animaface.state.stage.drawn, performance.now()]")
            out["drawn_hz"] = round(1e3 * (after[0] - before[0]) / (after[1] - before[1]), 1)
            out["detail"] = round(page.execute_script("return animaface.state.stage.detail"), 2)
            page.execute_script("animaface.link.say('record', {on: false})")
            page.execute_script(
                "for (const name of ['jaw_open', 'eyes_yaw']) animaface.link.say('motor', {name, value: 1})"
            )
            time.sleep(2.0)
            out["stop_to_rest_ms"] = round(stop_ms(page, truth))
            out |= told_of_ticks(stolen, Path(scratch))
        finally:
            page.quit()
    return out | numbers


def served_elsewhere(face: str) -> dict[str, Any]:
    """The page is drawn by another machine: only what the face's own machine has to do for it."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Stolen() as stolen,
        dashboard(face, Path(scratch)) as (url, _, numbers),
        connect(url.replace("http", "ws") + "socket", max_size=None) as page,
    ):
        for message in ({"type": "start"}, {"type": "record", "on": True}):
            page.send(json.dumps(message))
        frames, end_s = 0, time.monotonic() + SECONDS
        while time.monotonic() < end_s:
            heard = page.recv()
            if isinstance(heard, bytes):
                frames += 1
                continue
            told = json.loads(heard)
            if told["type"] == "ask":
                page.send(json.dumps({"type": "alive", "n": told["n"]}))
            elif told["type"] == "vitals" and not told["saying"]:
                page.send(json.dumps({"type": "demo"}))
        page.send(json.dumps({"type": "record", "on": False}))
        time.sleep(3.0)
        ticks = told_of_ticks(stolen, Path(scratch))
    return {"load": round(os.getloadavg()[0], 1), "sent_hz": round(frames / SECONDS, 1), **ticks, **numbers}


def main() -> None:
    """Both runs, the table, the results."""
    face = sys.argv[1] if len(sys.argv) > 1 else "hybrid"
    apart, beside = served_elsewhere(face), measure(face)
    rows = Table("what", "drawn elsewhere", "Chromium without a GPU, same cores", "target", title="the page")
    both = (apart, beside)
    rows.add_row(
        "deadlines missed at 100 Hz, recording",
        *(f"{100 * n['missed_share']:.2f} %" for n in both),
        "under 0.5 %",
    )
    rows.add_row(
        "of those while the host of this virtual machine took nothing (what it took)",
        *(f"{n['missed_percent_while_calm']} % ({n['stolen_percent']} %)" for n in both),
        "",
    )
    rows.add_row("tick, 99th percentile", *(f"{n['tick_p99_ms']} ms" for n in both), "")
    skipped = (n["commands_late"] + n["commands_skipped"] for n in both)
    rows.add_row(
        "commands late or skipped",
        *(f"{k} of {n['commands']}" for k, n in zip(skipped, both, strict=True)),
        "under 1 %",
    )
    rows.add_row("frames a second", f"{apart['sent_hz']} sent", f"{beside['drawn_hz']} drawn", "30")
    rows.add_row("first view", "", f"{beside['first_view_ms']} ms", "under 1000 ms")
    rows.add_row("STOP key to a face that stands still (truth)", "", f"{beside['stop_to_rest_ms']} ms", "")
    rows.add_row("load of the machine", f"{apart['load']}", f"{beside['load']}", "")
    Console().print(rows)
    found = {"drawn elsewhere": apart, "browser on the same cores": beside}
    (HERE / "results" / "page.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
