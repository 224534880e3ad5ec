"""A virtual sound card for tests: a PulseAudio server of our own with a null sink and its monitor."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CARD, MONITOR = "virtual_card", "virtual_monitor"
_ALSA = """
pcm.{card} {{ type pulse server "unix:{socket}" device "{card}" hint {{ show on description "{card}" }} }}
pcm.{monitor} {{ type pulse server "unix:{socket}" device "{card}.monitor" hint {{ show on description "{monitor}" }} }}
"""


@pytest.fixture(scope="session")
def virtual_card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of a process that is to find the devices virtual_card (plays) and virtual_monitor (hears it)."""
    if shutil.which("pulseaudio") is None or not list(
        Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")
    ):
        if os.environ.get("CI"):
            pytest.fail("no pulseaudio with its ALSA plugin; scripts/system-packages test installs them")
        pytest.skip("no pulseaudio with its ALSA plugin (scripts/system-packages test)")
    home = tmp_path_factory.mktemp("pulse")
    socket, config = home / "native", home / "asound.conf"
    config.write_text(_ALSA.format(card=CARD, monitor=MONITOR, socket=socket))
    base = Path("/usr/share/alsa/alsa.conf")
    environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_DATA_HOME": str(home / "data"),
                   "ALSA_CONFIG_PATH": f"{base}:{config}", "PULSE_SERVER": f"unix:{socket}"}  # fmt: skip
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm", "--use-pid-file=no",
         "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
         "-L", f"module-null-sink sink_name={CARD} rate=48000"],
        env=environment, stdout=subprocess.DEVNULL, stderr=(home / "log").open("wb"),
    )  # fmt: skip
    try:
        end_s = time.monotonic() + 20.0
        while not socket.exists():
            assert server.poll() is None, (home / "log").read_text()
            assert time.monotonic() < end_s, (home / "log").read_text()
            time.sleep(0.05)
        yield environment
    finally:
        server.terminate()
        server.wait(10)
