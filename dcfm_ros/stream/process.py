"""The common branch in a process of its own: nothing of the frames' but the cores and the memory's speed is shared.

The child is a fresh interpreter at idle priority with the engine in it. It ends with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.pace import Abandoned, Pace
from dcfm_ros.stream.parcel import Parcel, SharedMemory
from dcfm_ros.stream.priority import lower_priority
from dcfm_ros.stream.worker import describe

MAIN = "from dcfm_ros.stream.process import child; child({}, {}, {}, idle={})"
REAP_TIMEOUT_S = 0.5


def python_environment() -> dict[str, str]:
    """The environment in which another Python finds the modules that this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


class RemoteBranch:
    """A `CommonBranch` in a child process, for one calling thread; `close` is for any.

    idle: the child gives way to everything else on the machine.

    A child that ends by itself is an error of the call that finds it so; the next call starts another one.
    Raises DcfmError, when made, for an engine that cannot be sent to another process.
    """

    def __init__(self, branch: CommonBranch, *, idle: bool) -> None:
        self._branch = branch
        self._idle = idle
        self._lock = threading.Lock()
        self._closed = False
        self._child = self._start()

    def __call__(self, frame: KeyFrame, before: CommonFeature | None, pace: Pace) -> CommonFeature:
        with self._lock:
            if self._closed:
                raise Abandoned
            if self._child.ended:
                self._child = self._start()
            child = self._child
        try:
            return child.ask(frame, before)
        except (EOFError, OSError):
            if self._closed:
                raise Abandoned from None
            raise DcfmError(
                f"the process that computes key frames ended with exit status {child.end()}; the next one starts it anew"
            ) from None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._child.end()

    def _start(self) -> _Child:
        try:
            return _Child(self._branch, idle=self._idle)
        except (
            TypeError,
            AttributeError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:  # of pickling
            name = f"{self._branch.engine.name} on {self._branch.engine.device}"
            raise DcfmError(
                f"engine {name} cannot be sent to another process ({error}); use background: thread"
            ) from error


class _Child:
    """One child process, from its start to its end."""

    def __init__(self, branch: CommonBranch, *, idle: bool) -> None:
        self._out, self._in = SharedMemory(), SharedMemory()
        self._known: CommonFeature | None = None  # the child's last result, which it keeps
        parcel = self._out.pack(branch)
        self._pipe, theirs = Pipe()
        fds = theirs.fileno(), self._out.fd, self._in.fd
        self._process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(*fds, idle)],
            stdin=subprocess.PIPE,  # never written: its end tells the child that the parent has ended
            pass_fds=fds,
            env=python_environment(),
        )
        theirs.close()
        self._pipe.send(parcel)
        self._ready = False

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, frame: KeyFrame, before: CommonFeature | None) -> CommonFeature:
        """Raises EOFError or OSError when the child has ended, and what the common branch raises there."""
        if before is not None and before is self._known:
            before = replace(before, feature=None)
        if not self._ready:  # until then the engine still lies in the memory
            self._answer()
            self._ready = True
        self._pipe.send(self._out.pack((frame, before)))
        self._known = self._in.unpack(self._answer())
        return self._known

    def _answer(self) -> Parcel:
        error, parcel = self._pipe.recv()
        if error is not None:
            raise error
        return parcel

    def end(self) -> int:
        """Ends it at once, if it has not ended by itself; its exit status, negative: the signal that did it."""
        self._process.kill()
        status = self._process.wait(REAP_TIMEOUT_S)
        assert self._process.stdin is not None
        self._process.stdin.close()
        return status


def child(pipe_fd: int, requests_fd: int, results_fd: int, *, idle: bool) -> None:
    """The child's main function: answers until the pipe is closed."""
    # Ctrl-C reaches the whole group; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe, requests, results = Connection(pipe_fd), SharedMemory(requests_fd), SharedMemory(results_fd)
    known: CommonFeature | None = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            branch: CommonBranch = requests.unpack(pipe.recv())
        except Exception as error:
            pipe.send((DcfmError(f"the engine could not be rebuilt: {describe(error)}"), None))
            return
        if idle:  # only now: a machine with much to do would let the start last for ever
            lower_priority()
        pipe.send((None, None))
        while True:
            frame, before = requests.unpack(pipe.recv())
            if before is not None and before.feature is None:
                before = known
            try:
                known = branch(frame, before)
                parcel = results.pack(known)
            except Exception as error:
                pipe.send((_sendable(error), None))
            else:
                pipe.send((None, parcel))


def _end_with_parent() -> None:
    """Even in the middle of a common branch."""
    os.read(0, 1)
    os._exit(0)


def _sendable(error: Exception) -> Exception:
    """The error itself, or where it cannot travel one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return DcfmError(describe(error))
    return error
