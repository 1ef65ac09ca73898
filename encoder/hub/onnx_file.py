"""What the bytes of an ONNX file say before onnxruntime gets them: whether they are a model at all,
and whether it has weights in other files.

Of those a model names the paths, and onnxruntime would read them, wherever they lie. A protocol
buffer is read here as far as that takes, without the package `onnx`, which only export needs.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["has_external_weights", "is_model"]

_GRAPH = 7  # field of a model
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
# Messages that hold tensors: which fields are messages of which kind, by the numbers of onnx.proto.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "function": {7: "node", 11: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def is_model(content: bytes) -> bool:
    """Whether this is a whole protocol buffer with a graph: no web page, no text, no torn file."""
    try:
        return any(
            field == _GRAPH and isinstance(value, memoryview)
            for field, value in list(_fields(memoryview(content)))
        )
    except (IndexError, ValueError):
        return False


def has_external_weights(model: bytes) -> bool:
    """Whether any tensor of a model, in its graphs or functions, lies in another file.

    What is no model at all has none: onnxruntime says so.
    """
    waiting = [("model", memoryview(model))]
    try:
        while waiting:
            kind, message = waiting.pop()
            for field, value in _fields(message):
                inside = _INSIDE[kind].get(field)
                if inside and isinstance(value, memoryview):
                    waiting.append((inside, value))
                elif kind == "tensor" and (
                    field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value == 1)
                ):
                    return True
    except (IndexError, ValueError):
        return False
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field. IndexError or ValueError for what is no message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield field, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(message):
            raise IndexError("a field ends after its message")
        yield field, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
