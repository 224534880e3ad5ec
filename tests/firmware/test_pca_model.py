"""The PCA9685 of the emulator takes new widths over at the STOP and shows them from the next frame on.

It once took every byte at once: a frame that began between the two bytes of a width showed a pulse of neither
(7 of 642,660 in an hour of noise, from 5 to 2,514 us).
"""

import shutil
import subprocess
from pathlib import Path

import pytest

EMULATOR = Path(__file__).parents[2] / "firmware" / "emulator"
DRIVER = r"""
#include <stdio.h>
#include "pca9685_model.h"
static void pulse(void *o, int chip, int output, uint64_t rise, double width) {
    (void)o; (void)chip; (void)rise;
    printf("%d %.1f\n", output, width / 16.0);
}
static uint64_t now;
static pca_model_t m = {.oscillator_hz = 25e6, .pulse = pulse};
static void bytes(const uint8_t *data, int n, uint64_t apart) {
    model_start(&m);
    for (int i = 0; i < n; i++) { now += apart; model_run(&m, now); model_write(&m, data[i], now); }
}
int main(void) {
    const uint8_t rate[] = {0xFE, 121}, wake[] = {0x00, 0x20};
    const uint8_t narrow[] = {0x06, 0, 0, 0xF6, 0}, wide[] = {0x06, 0, 0, 0x71, 1};
    model_power_on(&m);
    bytes(rate, 2, 360); model_stop(&m);
    bytes(wake, 2, 360); model_stop(&m);
    bytes(narrow, 5, 360); model_stop(&m);
    now += 16 * 50000; model_run(&m, now);
    bytes(wide, 4, 360);                    /* all but the last byte ... */
    now += 16 * 20000; model_run(&m, now);  /* ... and a frame begins */
    bytes(wide, 5, 360); model_stop(&m);
    now += 16 * 45000; model_run(&m, now);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: apt-get install gcc libc6-dev")
def test_half_a_width_never_shows(tmp_path: Path) -> None:
    (tmp_path / "driver.c").write_text(DRIVER)
    command = ["gcc", "-std=gnu99", "-I", str(EMULATOR), "driver.c", str(EMULATOR / "pca9685_model.c"), "-lm"]
    subprocess.run([*command, "-o", "driver"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, check=True).stdout.split()
    assert set(told[::2]) == {"0"}
    widths = [float(w) for w in told[1::2]]
    tick_us = 122 / 25
    assert widths[0] == pytest.approx(0xF6 * tick_us, abs=0.1)
    assert widths[-1] == pytest.approx(0x171 * tick_us, abs=0.1)
    assert {round(w / tick_us) for w in widths} == {0xF6, 0x171}
    assert len(widths) == 4
