"""What a process asks of the system to be on time; everything that is not granted is left out."""

import contextlib
import ctypes
import gc
import os
import resource
import sys

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_PRIORITY = 50
_SWITCH_S = 5e-4


def prepare() -> list[str]:
    """No collection of garbage, short switches between threads, memory locked, SCHED_FIFO -> what was granted."""
    granted = ["gc off", "switch interval"]
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, AttributeError):
            # locking future pages under a finite limit would make a later allocation fail
            if ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
                granted.append("memory locked")
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        granted.append("SCHED_FIFO")
    return granted
