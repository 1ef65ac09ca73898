"""A wheel made here, its pin, and a pip that knows no other."""

from __future__ import annotations

import hashlib
import os
import zipfile

from encoder.hub.package_data import PinnedPackage

NAME, VERSION = "tinyvoices", "1.0"
BUILD = "cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64"


def write_wheel(folder, members):
    """A wheel that pip accepts, whose code must not be run; members: content by name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-{VERSION}-{BUILD}.whl"
    about = f"{NAME}-{VERSION}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{NAME}/__init__.py", "raise SystemExit('not to be imported')")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
        )
        archive.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n",
        )
        archive.writestr(f"{about}/RECORD", "")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def pin(wheel, **more):
    content = wheel.read_bytes()
    known = {"name": NAME, "version": VERSION, "size": len(content)}
    return PinnedPackage(**{**known, "sha256": hashlib.sha256(content).hexdigest(), **more})


def only_from(folder, monkeypatch):
    """Let pip know nothing but the files in `folder`."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
