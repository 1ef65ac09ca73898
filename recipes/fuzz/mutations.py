"""Ways to spoil a file: bytes as a disk or a liar changes them, text as people and programs do.

Each takes the file's content and a generator of random numbers; `spoilt` draws one to three of
them. `others` are whole files that pieces may come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

__all__ = ["EXTREME_NUMBERS", "spoilt", "spoilt_text"]

Spoil: TypeAlias = Callable[[Random, bytes, Sequence[bytes]], bytes]

_HEAD = 400  # bytes in which most of what a header says lies
_NAMED = re.compile(rb"[A-Za-z ]{4}")  # what a chunk, a box or an atom is called, beside its size
_LIES = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF)
_LIES += (0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 44100, 1000)
EXTREME_NUMBERS = (
    "0", "-0", "-1", "1", "0.5", "2", "3600", "1e6", "1e9", "1e12", "1e18", "1e300", "1e308",
    "1.7e308", "1e309", "-1e308", "1e-9", "1e-300", "5e-324", "1e-99999999999999999999",
    "1e99999999999999999999", "nan", "inf", "-inf", "9" * 30, "9" * 5000, "0x10", "1_000", "1,5",
    "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "True",
)  # fmt: skip
_WORDS = (
    "", " ", "\t", "a" * 3000, "\u0000", "\ufeff", "\u202e", "e\u0301", "é", "\ud83d\ude00",
    "SPEAKER_00", "../../x", "/dev/zero", "/etc/passwd", "~nobody/x", "\x1b[2J", '"', "'", '"""',
    "a b", "a\rb", "\x85", "\u2028", "=1+1", "[[", "{", "%s", "x" * 300 + ".wav", ".", "-", "--",
    "<NA>", "NULL",
)  # fmt: skip


def spoilt(
    rng: Random, content: bytes, others: Sequence[bytes] = (), *, most: int = 3
) -> tuple[bytes, list[str]]:
    """The content after some random harm, and the harm's names; never longer than 4 MB."""
    names = []
    for _ in range(rng.choice([1, 1, 2, most])):
        how = rng.choice(_HARM)
        content = how(rng, content, others)[: 4 << 20]
        names.append(how.__name__.strip("_"))
    return content, names


def spoilt_text(
    rng: Random, content: bytes, others: Sequence[bytes] = (), *, most: int = 4
) -> tuple[bytes, list[str]]:
    """The same for text, in lines and fields; one time in five as bytes."""
    if rng.random() < 0.2:
        return spoilt(rng, content, others)
    names = []
    for _ in range(rng.choice([1, 1, 2, most])):
        how = rng.choice(_TEXT_HARM)
        content = how(rng, content, others)[: 1 << 20]
        names.append(how.__name__.strip("_"))
    return content, names


def _at(rng: Random, content: bytes) -> int:
    """A place, as often in the header as anywhere else."""
    end = min(_HEAD, len(content)) if rng.random() < 0.5 else len(content)
    return rng.randrange(end + 1)


def _flip(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 4, 16, 50])):
        if data:
            data[min(_at(rng, data), len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(data)


def _run(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A run of bytes is zero, all ones or noise."""
    at, size = _at(rng, content), rng.choice([1, 4, 16, 64, 512, 4096])
    filling = rng.choice([b"\0" * size, b"\xff" * size, rng.randbytes(size)])
    return content[:at] + filling + content[at + size :]


def _cut(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return content[: _at(rng, content)]


def _behead(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return content[_at(rng, content) :]


def _lose(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    at = _at(rng, content)
    return content[:at] + content[at + rng.choice([1, 3, 100, 1000, 4096, 20_000]) :]


def _repeat(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    at = _at(rng, content)
    piece = content[at : at + rng.choice([1, 8, 188, 1000, 8000])]
    return content[:at] + piece * rng.choice([2, 2, 3, 40]) + content[at + len(piece) :]


def _insert(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    at = _at(rng, content)
    return content[:at] + rng.randbytes(rng.choice([1, 2, 7, 64, 5000])) + content[at:]


def _lie(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A number beside a name of four letters, or anywhere in the header, is another."""
    width, order = rng.choice([1, 2, 4, 4, 4, 8]), rng.choice(["little", "big"])
    number = rng.choice([*_LIES, len(content), len(content) // 2, rng.getrandbits(32)])
    names = [found.start() for found in _NAMED.finditer(content[: 1 << 16])]
    at = _at(rng, content)
    if names and rng.random() < 0.7:
        at = max(0, rng.choice(names) + rng.choice([4, 4, 4, 8, 12, -4, -8, 16, 20, 24]))
    number &= (1 << 8 * width) - 1
    return content[:at] + number.to_bytes(width, order) + content[at + width :]


def _join(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Another file follows, or the same once more."""
    other = rng.choice([content, *others])
    return content + other if rng.random() < 0.7 else other + content


def _splice(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of this, the end of another."""
    other = rng.choice([content, *others])
    return content[: _at(rng, content)] + other[_at(rng, other) :]


_HARM: tuple[Spoil, ...] = (
    *(_flip, _flip, _run, _cut, _behead, _lose, _repeat, _insert),
    *(_lie, _lie, _lie, _join, _splice),
)


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True) or [b""]


def _lose_line(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    lines = _lines(content)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _repeat_line(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    lines = _lines(content)
    at = rng.randrange(len(lines))
    return b"".join([*lines[:at], *[lines[at]] * rng.choice([2, 2, 3, 100]), *lines[at + 1 :]])


def _shuffle_lines(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    lines = _lines(content)
    rng.shuffle(lines)
    return b"".join(lines)


def _other_line(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    lines = _lines(content)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(_lines(rng.choice([content, *others]))))
    return b"".join(lines)


def _field(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A field is another number or word, or missing, or once more."""
    parts = re.split(rb"([\s,=]+)", content)
    at = rng.randrange(0, len(parts), 2)
    value = rng.choice([*EXTREME_NUMBERS, *_WORDS])
    parts[at] = value.encode("utf-8", "surrogatepass")
    return b"".join(parts)


def _number(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A number is an extreme one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    if not found:
        return _field(rng, content, others)
    one = rng.choice(found)
    number = rng.choice(EXTREME_NUMBERS).encode()
    return content[: one.start()] + number + content[one.end() :]


def _separators(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    old, new = rng.choice([b"\t", b" ", b",", b"\n"]), rng.choice([b"\t", b" ", b",", b";", b"\r"])
    return content.replace(old, new, rng.choice([1, 1, 10_000]))


def _encoding(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    text = content.decode("utf-8", "replace")
    how = rng.choice(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp037", "crlf"])
    if how == "crlf":
        return content.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\n\n", b"\x0b"]))
    return text.encode(how, "replace")


def _flood(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A character many times, where it hurts most."""
    at = _at(rng, content)
    flood = rng.choice([b'"', b"[", b"{", b"(", b"'", b"\\", b"9", b"\t", b"#", b"a.", b"\xff"])
    return content[:at] + flood * rng.choice([1, 3, 2000, 50_000]) + content[at:]


_TEXT_HARM: tuple[Spoil, ...] = (
    *(_lose_line, _repeat_line, _shuffle_lines, _other_line, _field, _field, _field),
    *(_number, _number, _number, _separators, _encoding, _flood, _cut, _join),
)
