"""The page's numbers: control deadlines while it is open and records, frames drawn, first view, STOP to rest.

    python bench/page.py [FACE]

A real Chromium without a GPU draws beside the simulated face, on the same processors: worse than any laptop.
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

from animaface.sim.truth import read_truth

HERE = Path(__file__).parent
SECONDS = 30.0
STILL_RAD = 0.03


@contextlib.contextmanager
def dashboard(face: str, folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
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
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader",
                     "--window-size=1280,800"):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    # with its path given, selenium does not ask the internet for one
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def wait(page: Any, what: str) -> None:
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
    after = log.time_s[moving & (log.time_s > pressed_s)]
    return 1e3 * float(after[-1] - pressed_s) if len(after) else 0.0


def measure(face: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch, dashboard(face, Path(scratch)) as (url, truth, numbers):
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
        finally:
            page.quit()
    return out | numbers


def main() -> None:
    found = measure(sys.argv[1] if len(sys.argv) > 1 else "hybrid")
    rows = Table("what", "measured", "target", title="the page")
    rows.add_row(
        "deadlines missed at 100 Hz, page open and recording",
        f"{100 * found['missed_share']:.2f} %",
        "under 0.5 %",
    )
    rows.add_row("tick, 99th percentile", f"{found['tick_p99_ms']} ms", "")
    rows.add_row(
        "commands late or skipped",
        f"{found['commands_late'] + found['commands_skipped']} of {found['commands']}",
        "under 1 %",
    )
    rows.add_row("drawn, software WebGL", f"{found['drawn_hz']} a second", "30 on a laptop")
    rows.add_row("first view", f"{found['first_view_ms']} ms", "under 1000")
    rows.add_row("STOP key to a face that stands still (truth)", f"{found['stop_to_rest_ms']} ms", "")
    rows.add_row("load of the machine at the start", f"{found['load']}", "")
    Console().print(rows)
    (HERE / "results" / "page.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
