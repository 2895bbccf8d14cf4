"""The names under which numpy pickles numbers and arrays, in its versions 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# numpy's codes of number types: training scripts save numbers like the best accuracy with the weights.
NUMBERS = "?bhilqBHILQefdFDUS"


def numpy_names() -> Mapping[str, Any]:
    """The functions and types that build numbers and arrays, by the names in pickles."""
    import numpy

    scalar = numpy.float64(0).__reduce__()[0]
    array = numpy.zeros(1).__reduce__()[0]
    buffer = numpy.zeros(1).__reduce_ex__(5)[0]
    types = {type(numpy.dtype(code)) for code in NUMBERS} | {numpy.dtype(code).type for code in NUMBERS}
    return {
        "numpy.dtype": numpy.dtype,
        "numpy.ndarray": numpy.ndarray,
        **{f"numpy.{place}.multiarray.scalar": scalar for place in ("core", "_core")},
        **{f"numpy.{place}.multiarray._reconstruct": array for place in ("core", "_core")},
        **{f"numpy.{place}.numeric._frombuffer": buffer for place in ("core", "_core")},
        **{f"{kind.__module__}.{kind.__name__}": kind for kind in types},
    }
