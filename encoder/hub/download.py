"""ONNX models from a hub of the Hugging Face kind, once, into the user's cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from encoder.common.atomic_files import replacing
from encoder.common.config import read_toml
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub.onnx_file import is_model
from encoder.hub.paths import user_cache

__all__ = ["fetch_onnx"]

HUB = "https://huggingface.co"
TIMEOUT_S = 30.0  # without a byte
BLOCK = 1 << 20
MOST_BYTES = 2 << 30  # a protocol buffer has no more
MOST_SETTINGS = 1 << 16
PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # no "..", nothing hidden
PIN = re.compile(r"[0-9a-fA-F]{64}")
ABSENT = (401, 403, 404)  # the hub answers 401 for a repository that is private or not there


class _Absent(Exception):  # noqa: N818 - not an error by itself: settings may be absent
    """The hub has no such file."""


def fetch_onnx(address: str) -> Path:
    """`OWNER/REPOSITORY/FILE.onnx` -> its path in the user's cache, downloaded on first use.

    `FILE.toml` comes with it if the repository has one; where it has none, the error on loading
    says what to write. A model that is there is never looked up again. Behind an `@` may stand the
    SHA-256 of the file, in 64 digits: another file is refused then, on the way and in the cache.
    `$HF_ENDPOINT` names another hub. ConfigError for an address of another form, CheckpointError if
    there is no such file or it is no model, BackendUnavailable without network; a download that
    breaks off leaves nothing behind.
    """
    place, at, pin = address.partition("@")
    parts = place.split("/")
    formed = len(parts) >= 3 and all(map(PART.fullmatch, parts)) and place.endswith(".onnx")
    if not formed or bool(at) != bool(PIN.fullmatch(pin)):
        raise ConfigError(
            f"cannot read the address {address!r}: write onnx:hf:OWNER/REPOSITORY/FILE.onnx, and "
            "@ with the 64 digits of its SHA-256 behind it if only that file will do"
        )
    target = user_cache().joinpath("hub", *parts)
    if target.is_file() and is_model(content := target.read_bytes()):  # else it is fetched again
        if pin:
            _check_pin(content, pin, what=repr(str(target)))
        return target
    url = "/".join([_endpoint(), *parts[:2], "resolve/main", *parts[2:]])
    settings = target.with_suffix(".toml")
    try:
        content = _body(url, target, most=MOST_BYTES)
    except _Absent as error:
        raise CheckpointError(f"there is no public file {url}: check the address") from error
    if not is_model(content):
        raise CheckpointError(
            f"what {url} gives is no ONNX model, but perhaps a page to log in: check the address "
            "and the network; nothing of it was kept"
        )
    if pin:
        _check_pin(content, pin, what=url)
    # The model gets its name last: where it is, all that the hub has is there.
    with replacing(target) as model:
        model.write_bytes(content)
        if not settings.exists():  # one that the user wrote stays
            _fetch_settings(url.removesuffix(".onnx") + ".toml", settings)
    return target


def _endpoint() -> str:
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    if not _is_safe(endpoint):
        raise ConfigError(f"HF_ENDPOINT is {endpoint!r}: give an address that begins with https://")
    return endpoint


def _is_safe(url: str) -> bool:
    """https, or a server of this very computer: on the way from there nobody changes anything."""
    try:
        parts = urllib.parse.urlsplit(url)
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))


def _check_pin(content: bytes, pin: str, *, what: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != pin.lower():
        raise CheckpointError(
            f"{what} is another file than the one whose SHA-256 begins with {pin[:12]} (it has "
            f"{found[:12]}): check the digits, or delete it if it lies in your cache"
        )


def _fetch_settings(url: str, settings: Path) -> None:
    try:
        content = _body(url, settings, most=MOST_SETTINGS)
    except _Absent:
        return
    with replacing(settings) as partial:
        partial.write_bytes(content)
        try:
            read_toml(partial)
        except ConfigError as error:
            raise CheckpointError(
                f"what {url} gives is no TOML file: write {str(settings)!r} yourself"
            ) from error


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """The hub sends on to where its files lie, but never out of https."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not _is_safe(newurl):
            raise urllib.error.URLError(f"it is sent on to {newurl!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _body(url: str, target: Path, *, most: int) -> bytes:
    """The body of `url`, complete; _Absent if the hub has no such file, CheckpointError for one of
    more than `most` bytes."""
    missing, parts, size = None, [], 0
    too_large = CheckpointError(
        f"what {url} gives is larger than {most:,} bytes, as no file of its kind is: check the "
        "address; nothing of it was kept"
    )
    try:
        with urllib.request.build_opener(_SafeRedirects).open(url, timeout=TIMEOUT_S) as response:
            missing = int(response.headers.get("Content-Length", 0)) or None
            if missing and missing > most:
                raise too_large
            while block := response.read(BLOCK):
                missing = missing and missing - len(block)
                size += len(block)
                if size > most:
                    raise too_large
                parts.append(block)
    except urllib.error.HTTPError as error:
        if error.code in ABSENT:
            raise _Absent from error
        raise _unreachable(url, target, f"status {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:  # urllib's are OSErrors
        raise _unreachable(url, target, str(getattr(error, "reason", error))) from error
    if missing:
        raise _unreachable(url, target, f"it broke off {missing} bytes before the end")
    return b"".join(parts)


def _unreachable(url: str, target: Path, reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"cannot download {url} ({reason}): check the network, or put the file at {str(target)!r}"
    )
