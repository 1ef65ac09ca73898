"""Python programs that start at once: forked from a process that has imported the slow packages.

A command or a recipe takes a second or two to import torch and the like, and the tests run some
hundreds of them. Here one process imports them once and forks for each; the program, its arguments,
environment, folder, pipes and exit code are as those of a process of its own, and no module of this
project is imported beforehand. Where there is no fork, `run` starts processes.
"""

from __future__ import annotations

import array
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORKS = sys.platform == "linux"
SLOW = (
    "torch numpy scipy.cluster.hierarchy scipy.optimize scipy.sparse scipy.signal sklearn.cluster"
    " av typer rich.console rich.table rich.progress safetensors.torch pyannote.core"
)


def run(arguments, *, cwd, env, stdin=None, timeout=300):
    """`python ARGUMENTS` -> CompletedProcess with the bytes it wrote.

    arguments: `-m`, a module and its arguments, or the path of a Python script and its.
    """
    arguments = list(map(str, arguments))
    if not FORKS:
        return subprocess.run(
            [sys.executable, *arguments],
            input=stdin, capture_output=True, cwd=cwd, env=env, timeout=timeout,
        )  # fmt: skip
    fixed = {name: env.get(name) for name in ("OMP_NUM_THREADS", "PYTHONPATH", "OMP_WAIT_POLICY")}
    server = _server(tuple(sorted((k, v) for k, v in fixed.items() if v is not None)))
    pipes = [os.pipe() for _ in range(3)]
    theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
    words = {"arguments": arguments, "cwd": str(cwd), "env": dict(env)}
    _send(server, words, theirs)
    for end in theirs:
        os.close(end)
    written: dict[int, bytes] = {}
    threads = [threading.Thread(target=_feed, args=(pipes[0][1], stdin or b""))]
    for end in (pipes[1][0], pipes[2][0]):
        threads.append(threading.Thread(target=_drain, args=(end, written)))
    for thread in threads:
        thread.start()
    server.settimeout(timeout)
    code = json.loads(server.makefile("r").readline())
    for thread in threads:
        thread.join()
    out, err = written[pipes[1][0]], written[pipes[2][0]]
    return subprocess.CompletedProcess(arguments, code, out, err)


@cache
def _server(fixed):
    """The socket of a warm process with this environment; it ends when the socket is closed."""
    ours, theirs = socket.socketpair()
    subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env={**os.environ, **dict(fixed)},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    return ours


def _send(server, words, files):
    payload = json.dumps(words).encode()
    server.sendall(len(payload).to_bytes(4, "big"))
    socket.send_fds(server, [payload[:1]], files)
    server.sendall(payload[1:])


def _feed(end, content):
    with os.fdopen(end, "wb") as file:
        try:
            file.write(content)
        except BrokenPipeError:  # who reads has ended
            return


def _drain(end, written):
    with os.fdopen(end, "rb") as file:
        written[end] = file.read()


def _receive(client):
    """(words, three file descriptors), or None when the socket was closed."""
    head = _exactly(client, 4)
    if head is None:
        return None
    first, files, _, _ = socket.recv_fds(client, 1, 3)
    rest = _exactly(client, int.from_bytes(head, "big") - 1)
    return json.loads(first + rest), list(array.array("i", files))


def _exactly(client, size):
    parts = b""
    while len(parts) < size:
        piece = client.recv(size - len(parts))
        if not piece:
            return None
        parts += piece
    return parts


def _serve(client):
    """Fork for each request and tell its exit code; only a child returns, with its words."""
    while (request := _receive(client)) is not None:
        words, files = request
        child = os.fork()
        if child == 0:
            client.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            return words
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return None


def _become(words):
    """Go on as the program that was asked for."""
    # The files of the warm process remember what theirs were like, terminals and pipes among them.
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # noqa: SIM115
        2, "w", buffering=1, errors="backslashreplace", closefd=False
    )
    os.environ.clear()
    os.environ.update(words["env"])
    os.chdir(words["cwd"])
    if words["arguments"][0] == "-m":
        sys.path[0] = words["cwd"]
        sys.argv = words["arguments"][1:]
        runpy._run_module_as_main(sys.argv[0])  # what `python -m` does
    else:
        sys.argv = words["arguments"]
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


def _main():
    for name in SLOW.split():
        __import__(name)
    assert threading.active_count() == 1
    words = _serve(socket.socket(fileno=int(sys.argv[1])))
    if words is not None:
        _become(words)


if __name__ == "__main__":
    _main()
