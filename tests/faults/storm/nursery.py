"""Forks service processes from one that has imported everything: a start costs no import.

Orders come as JSON lines on standard input, and what became of the children goes to standard
output: `{"started": ID, "pid": N}`, `{"ended": PID, "code": N}`. It ends with its input, and its
children with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from typing import Any, Final, NoReturn

__all__: list[str] = []

_PR_SET_PDEATHSIG: Final = 1
_LOOK_S: Final = 0.02
_MODULES: Final = (
    "coterie_membership.service",
    "coterie_feedback.service",
    "coterie_recognition.service",
    "coterie_notifications.service",
    "coterie_chassis.cli",
    "tests.faults.storm.broken",
    "tests.faults.storm.witness",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)


def main() -> None:
    """Serve orders until there are no more."""
    for module in _MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    _say({"ready": True})
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], _LOOK_S)
        _tell_of_ends()
        if not readable:
            continue
        read = os.read(0, 1 << 20)
        if not read:
            return
        *orders, rest = (rest + read).split(b"\n")
        for order in orders:
            _start(json.loads(order))


def _start(order: dict[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        _become(order)
    _say({"started": order["id"], "pid": pid})


def _become(order: dict[str, Any]) -> NoReturn:
    """Turn into the ordered process; never returns."""
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(order["env"])
        _prepare(order)
        package, *arguments = order["command"]
        sys.argv = [package, *arguments]
        runpy.run_module(package, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it was stands in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(order: dict[str, Any]) -> None:
    from tests.faults.storm import broken, witness

    if order["broken"]:
        broken.VARIANTS[order["broken"]].apply()
    witness.install(order["witness"], order["skew_s"])


def _tell_of_ends() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
