"""ONNX models from a hub of the Hugging Face kind, once, into the user's cache."""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from encoder.common.atomic_files import replacing
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub.paths import user_cache

__all__ = ["fetch_onnx"]

HUB = "https://huggingface.co"
TIMEOUT_S = 30.0  # without a byte
BLOCK = 1 << 20
PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # no "..", nothing hidden
ABSENT = (401, 403, 404)  # the hub answers 401 for a repository that is private or not there


class _Absent(Exception):  # noqa: N818 - not an error by itself: settings may be absent
    """The hub has no such file."""


def fetch_onnx(address: str) -> Path:
    """`OWNER/REPOSITORY/FILE.onnx` -> its path in the user's cache, downloaded on first use.

    `FILE.toml` comes with it if the repository has one; where it has none, the error on loading
    says what to write. A model that is there is never looked up again. `$HF_ENDPOINT` names
    another hub. ConfigError for an address of another form, CheckpointError if there is no such
    file, BackendUnavailable without network; a download that breaks off leaves nothing behind.
    """
    parts = address.split("/")
    if len(parts) < 3 or not all(map(PART.fullmatch, parts)) or not address.endswith(".onnx"):
        raise ConfigError(
            f"cannot read the address {address!r}: write onnx:hf:OWNER/REPOSITORY/FILE.onnx"
        )
    target = user_cache().joinpath("hub", *parts)
    if target.is_file():
        return target
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(f"HF_ENDPOINT is {endpoint!r}: give an address that begins with https://")
    url = "/".join([endpoint, *parts[:2], "resolve/main", *parts[2:]])
    settings = target.with_suffix(".toml")
    # The model gets its name last: where it is, all that the hub has is there.
    with replacing(target) as model:
        try:
            _write(model, _blocks(url, target))
        except _Absent as error:
            raise CheckpointError(f"there is no public file {url}: check the address") from error
        if not settings.exists():  # one that the user wrote stays
            _fetch_settings(url.removesuffix(".onnx") + ".toml", settings)
    return target


def _fetch_settings(url: str, settings: Path) -> None:
    try:
        content = b"".join(_blocks(url, settings))
    except _Absent:
        return
    with replacing(settings) as partial:
        partial.write_bytes(content)


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    first = next(blocks, b"")  # before the file: nothing is made for an address that is wrong
    with path.open("wb") as handle:
        handle.write(first)
        handle.writelines(blocks)


def _blocks(url: str, target: Path) -> Iterator[bytes]:
    """The body of `url`, checked to be complete; _Absent if the hub has no such file."""
    missing = None
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            missing = int(response.headers.get("Content-Length", 0)) or None
            while block := response.read(BLOCK):
                missing = missing and missing - len(block)
                yield block
    except urllib.error.HTTPError as error:
        if error.code in ABSENT:
            raise _Absent from error
        raise _unreachable(url, target, f"status {error.code}") from error
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        raise _unreachable(url, target, str(getattr(error, "reason", error))) from error
    if missing:
        raise _unreachable(url, target, f"it broke off {missing} bytes before the end")


def _unreachable(url: str, target: Path, reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"cannot download {url} ({reason}): check the network, or put the file at {str(target)!r}"
    )
