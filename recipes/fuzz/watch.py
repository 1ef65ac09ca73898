"""One command on one set of spoilt files, watched: what it did, and whether that is allowed.

A case is a folder: `in/` holds what the command is given, `case.json` how it is called. Allowed is
a right answer (exit code 0, every output whole), or a refusal (exit code 2, one sentence and
nothing written). Whatever else happens is a fault, by name.
"""

from __future__ import annotations

import csv
import faulthandler
import io
import json
import math
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FOLDERS", "HANGS_S", "Case", "Outcome", "forbid_the_world", "line_of", "run_case"]

HANGS_S = 60.0  # after so long a command is ended
SLOW_S = 8.0  # of processor time; what is fed are kilobytes
MEMORY = 700 << 20  # bytes more than before
LONG_S = 900.0  # of sound, out of kilobytes
FOLDERS = ("in", "out", "home", "cache", "tmp")  # of a case
_PYTHON = {os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, *filter(None, sys.path))}
_READ = (*_PYTHON, "/usr", "/lib", "/proc", "/sys", "/dev", "/etc")
_NOT_OURS = re.compile(r"Warning|Traceback|Error|\.py:\d+|^\[")  # on stderr
_REACHES_OUT = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "urllib.",
    "ftplib.", "http.", "smtplib.", "pty.",
)  # fmt: skip


@dataclass
class Case:
    """A command with its files; paths are relative to the case's folder."""

    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)  # files that the command is asked for
    stdin: str = ""  # which file is the standard input
    changes: list[str] = field(default_factory=list)  # files that the command may change
    prints: str = ""  # what is printed: rttm, csv, json, or anything
    refused: bool = False  # a right answer would be a fault
    harm: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """The files and `case.json`."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        about = {key: value for key, value in asdict(self).items() if key != "files"}
        (folder / "case.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Case:
        """The case without the content of its files."""
        return cls(**json.loads((folder / "case.json").read_text(encoding="utf-8")))


@dataclass
class Outcome:
    """What came of a case: "right", "refused" or "fault", and which faults."""

    verdict: str
    faults: list[str]
    said: str  # the first lines of what was printed on stderr
    where: str  # the toolkit's own line in which it happened, of a traceback
    cpu_s: float
    memory: int  # bytes more than before, at most


_watched: dict[str, Any] = {"folder": None, "reached": []}


def forbid_the_world() -> None:
    """From now on this process notes what a command opens, starts or connects to outside."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    folder = _watched["folder"]
    if folder is None:
        return
    if event.startswith(_REACHES_OUT):
        _watched["reached"].append(event)
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        writes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        inside = path.startswith(folder + os.sep)
        if not inside and (path != os.devnull if writes else not path.startswith(_READ)):
            _watched["reached"].append(f"opened {path}")


def run_case(folder: Path, command: Callable[[], object]) -> Outcome:
    """Call `command`, as a console script does, on the case in `folder`, and judge it."""
    case = Case.read(folder)
    before = _content(folder)
    with _standing_in(folder, case) as streams:
        code, cpu_s, memory = _called(command, case.arguments, folder)
    stdout, stderr = (path.read_bytes().decode("utf-8", "replace") for path in streams)
    for path in streams:
        path.unlink()
    faults = [f"reached out: {event}" for event in dict.fromkeys(_watched["reached"])][:3]
    faults += _faults_of_end(code, stderr, quiet="-q" in case.arguments)
    faults += ["slow"] * (cpu_s > SLOW_S) + ["memory"] * (memory > MEMORY)
    faults += _faults_of_files(folder, case, before, code)
    if code == 0:
        faults += ["answered what is to be refused"] * case.refused
        faults += _faults_of_outputs(folder, case, stdout)
    verdict = "fault" if faults else "right" if code == 0 else "refused"
    return Outcome(verdict, faults, stderr[:2000], line_of(stderr), round(cpu_s, 3), memory)


@contextmanager
def _standing_in(folder: Path, case: Case) -> Iterator[tuple[Path, Path]]:
    """The process's own streams, folder and environment are the case's."""
    streams = folder / "stdout.txt", folder / "stderr.txt"
    stdin = os.open(folder / case.stdin if case.stdin else os.devnull, os.O_RDONLY)
    out, err = (
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND) for path in streams
    )
    kept = [os.dup(number) for number in range(3)]
    own = {
        "DIARIZE_HOME": "home", "HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp",
    }  # fmt: skip
    before, place, streams_before = (
        dict(os.environ),
        Path.cwd(),
        (sys.stdin, sys.stdout, sys.stderr),
    )
    os.environ.update({name: str(folder / value) for name, value in own.items()})
    os.chdir(folder)
    tempfile.tempdir = None
    for number, new in enumerate((stdin, out, err)):
        os.dup2(new, number)
        os.close(new)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        for number, (mode, errors) in enumerate(
            [("r", "strict"), ("w", "strict"), ("w", "backslashreplace")]
        )
    )
    try:
        yield streams
    finally:
        _watched["folder"] = None
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = streams_before
        for number, old in enumerate(kept):
            os.dup2(old, number)
            os.close(old)
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = None


def _called(
    command: Callable[[], object], arguments: list[str], folder: Path
) -> tuple[int, float, int]:
    """The exit code, the seconds of processor time, and the memory that it took."""
    sys.argv = ["diarize", *arguments]
    base = _start_of_memory()
    _watched.update(folder=os.path.realpath(folder), reached=[])
    faulthandler.dump_traceback_later(HANGS_S, exit=True, file=sys.stderr)
    start_s = time.process_time()
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except BaseException:  # what Python itself does with it
        traceback.print_exc()
        code = 1
    finally:
        cpu_s = time.process_time() - start_s
        faulthandler.cancel_dump_traceback_later()
        _watched["folder"] = None
    return (code if isinstance(code, int) else 1), cpu_s, max(0, _peak_of_memory() - base)


def _start_of_memory() -> int:
    with suppress(OSError):  # Linux forgets the peak
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_of_memory()


def _peak_of_memory() -> int:
    """Bytes; 0 where it is not known."""
    with suppress(OSError, AttributeError):
        status = Path("/proc/self/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) << 10 if found else 0
    return 0


def _faults_of_end(code: int, stderr: str, *, quiet: bool) -> list[str]:
    lines = stderr.splitlines()
    if code not in (0, 2):
        last = next((line for line in reversed(lines) if line.strip()), "")
        return [f"exit code {code}: {last.partition(':')[0][:60]}"]
    if code == 2 and not lines:
        return ["refused without a word"]
    if code == 2 and quiet and len(lines) != 1:
        return [f"{len(lines)} lines instead of a sentence"]
    # What is not quiet draws tables, too, when all is well.
    strays = [line for line in lines if not line.startswith("diarize: ")]
    if code == 0 and not quiet:
        strays = [line for line in strays if _NOT_OURS.search(line)]
    return [f"a stray line: {strays[0][:80]}"] if strays else []


def line_of(stderr: str) -> str:
    """The innermost line of the toolkit that a traceback names."""
    found = re.findall(r'File "[^"]*?((?:encoder|diarize)/[^"]*)", line (\d+)', stderr)
    first = stderr.startswith(("Timeout", "Fatal", "Current"))  # faulthandler begins inside
    return ":".join(found[0 if first else -1]) if found else ""


def _content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _faults_of_files(folder: Path, case: Case, before: dict[str, bytes], code: int) -> list[str]:
    after = _content(folder)
    faults = []
    for name in sorted(set(before) | set(after)):
        if before.get(name) == after.get(name) or name in ("stdout.txt", "stderr.txt"):
            continue
        named = any(name == output or name.startswith(f"{output}/") for output in case.outputs)
        changing = name.removesuffix(".damaged") in case.changes
        if named or changing or name.startswith(("home/", "cache/")):
            continue
        faults.append(f"{'left' if name not in before else 'changed'} {name}")
    if code == 2:
        written = [name for name in case.outputs if (folder / name).exists()]
        faults += [f"refused, and wrote {written[0]}"] if written else []
    return faults


def _faults_of_outputs(folder: Path, case: Case, stdout: str) -> list[str]:
    faults = []
    texts = {f".{case.prints}": stdout} if case.prints else {}
    for name in case.outputs:
        path = folder / name
        if not path.exists():
            faults.append(f"did not write {name}")
        elif path.is_file() and path.suffix in _CHECKS:
            texts[path.suffix] = path.read_bytes().decode("utf-8", "strict")
    for suffix, text in texts.items():
        try:
            wrong = _CHECKS[suffix](text)
        except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
            wrong = f"is not whole ({type(error).__name__})"
        faults += [f"{suffix[1:]} output {wrong}"] if wrong else []
    return faults


def _wrong_rttm(text: str) -> str:
    for line in text.splitlines():
        fields = line.split(" ")
        start_s, length_s = float(fields[3]), float(fields[4])
        if len(fields) != 10 or fields[0] != "SPEAKER":
            return "has other columns"
        if not (0 <= start_s < math.inf and 0 < length_s < math.inf):
            return "has times that cannot be"
    return ""


def _wrong_json(text: str) -> str:
    def refuse(constant: str) -> float:
        raise ValueError(constant)

    stored = json.loads(text, parse_constant=refuse)
    duration_s = stored.get("duration_s", 0.0) if isinstance(stored, dict) else 0.0
    if isinstance(duration_s, (int, float)) and duration_s > LONG_S:
        return f"is of more than {LONG_S:.0f} s"
    turns = stored.get("turns", []) if isinstance(stored, dict) else []
    if any(turn["end_s"] > duration_s + 0.01 for turn in turns):
        return "has turns beyond the end"
    return ""


def _wrong_csv(text: str) -> str:
    head, *rows = csv.reader(io.StringIO(text), strict=True)
    return "has ragged rows" if any(len(row) != len(head) for row in rows) else ""


_CHECKS: dict[str, Callable[[str], str]] = {
    ".rttm": _wrong_rttm,
    ".json": _wrong_json,
    ".csv": _wrong_csv,
}
