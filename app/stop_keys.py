"""Space or Esc stop whatever moves, as Ctrl-C does: through every `finally`, so that the face rests and lets go."""

import contextlib
import os
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from typing import Final

_STOP: Final = re.compile(rb" |\x1b(?![\[O])")
_ESCAPE_S: Final = 0.03  # an arrow key begins with an Esc too; a lone Esc is followed by nothing for so long
_BACKGROUND_S: Final = 0.3


@contextlib.contextmanager
def stopped_by_keys() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread at Space or Esc while this block runs.

    Nothing happens where standard input is no terminal, or not ours to read (a job in the background).
    """
    fd = _terminal()
    if fd is None:
        yield
        return
    before = termios.tcgetattr(fd)
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.SIG_IGN:  # inherited from a script; whoever sits here must be heard
        signal.signal(signal.SIGINT, signal.default_int_handler)
    wake, woken = os.pipe()
    watcher = threading.Thread(target=_watch, args=(fd, wake), daemon=True)
    tty.setcbreak(fd, termios.TCSANOW)
    watcher.start()
    try:
        yield
    finally:
        os.write(woken, b"x")
        watcher.join(1.0)
        if interrupted is signal.SIG_IGN:
            signal.signal(signal.SIGINT, interrupted)
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, before)
        os.close(woken)
        os.close(wake)


def _terminal() -> int | None:
    try:
        fd = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return fd if os.isatty(fd) and _ours(fd) else None


def _ours(fd: int) -> bool:
    """Reading the terminal from the background would stop this process."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def _watch(fd: int, wake: int) -> None:
    while True:
        ready, _, _ = select.select([fd, wake], [], [])
        if wake in ready:
            return
        if not _ours(fd):
            if select.select([wake], [], [], _BACKGROUND_S)[0]:
                return
            continue
        try:
            data = os.read(fd, 64)
        except OSError:
            return
        if not data:
            return
        if data.endswith(b"\x1b") and select.select([fd], [], [], _ESCAPE_S)[0]:
            data += os.read(fd, 64)
        if _STOP.search(data):
            main = threading.main_thread().ident
            if main is not None:  # a real signal: it ends a wait, too
                signal.pthread_kill(main, signal.SIGINT)
            return
