"""What compiled libraries behind ctypes have in common: signatures, and objects that are freed once."""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, Self

Signatures = Mapping[str, tuple[type | None, list[type]]]
"""Function -> (type of its result, types of its arguments)."""


def declare(library: ctypes.CDLL, signatures: Signatures) -> None:
    """Tell ctypes what the library's functions take and give."""
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


class NativeHandle:
    """An object of a library: freed by `close`, at the end of a `with` block, or with its last reference."""

    _handle: Any = None

    def __init__(self, handle: Any, free: Callable[[Any], object]) -> None:
        self._handle = handle
        self._free = free

    def close(self) -> None:
        """Free it; safe twice."""
        handle, self._handle = self._handle, None
        if handle:
            self._free(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
