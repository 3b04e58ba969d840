"""Arrays of numbers and a header of JSON, small enough for a page: `script/unpack.js` is the other side.

    length of the header, 4 bytes · header, JSON of ASCII · arrays, each at a multiple of 8 bytes

gzip over it, base64 over that: letters alone, so no text of a model can end the element that holds it. Of numbers of
more than one byte all first bytes come first, then all second ones, which compresses half as well again.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ABSENT: Final = 65535  # a scaled number that is not known
_TYPES: Final = {"uint8": "u1", "uint16": "u2", "uint32": "u4", "float32": "f4"}
_LEVEL: Final = 6  # of gzip: 9 takes three times as long for one in a hundred


def pack(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Pack a header and arrays into letters.

    Args:
        told: what JSON can say; numbers that are none become null.
        arrays: name -> numbers of one dimension, of bytes, of 16 or 32 bits without sign, or float32.
    """
    places: dict[str, list[Any]] = {}
    body = bytearray()
    for name, array in arrays.items():
        places[name] = [_TYPES[array.dtype.name], len(body), len(array)]
        body += _planes(array)
        body += bytes(-len(body) % 8)
    header = json.dumps({"arrays": places, **told}, default=str, allow_nan=False).encode("ascii")
    header += b" " * (-(len(header) + 4) % 8)
    whole = struct.pack("<I", len(header)) + header + body
    return base64.b64encode(gzip.compress(whole, _LEVEL, mtime=0)).decode("ascii")


def scaled(values: Array, scale: float) -> Array:
    """Numbers as multiples of `scale`, uint16: from 0 to 65534, clipped; what is no number as `ABSENT`."""
    with np.errstate(invalid="ignore"):
        whole = np.clip(np.rint(values / scale), 0, ABSENT - 1)
    return np.where(np.isnan(values), ABSENT, whole).astype(np.uint16)


def indices(values: Array) -> Array:
    """Places in a table, in two bytes where they fit."""
    return values.astype(np.uint16 if len(values) == 0 or values.max() < ABSENT else np.uint32)


def finite(value: float | None) -> float | None:
    """The number, or None for one that JSON has no word for."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def _planes(array: Array) -> bytes:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(array), array.itemsize).T.tobytes()
