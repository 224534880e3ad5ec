"""The index of an MCAP file while it is written: packed bytes, so that a day of recording costs little memory.

mcap's writer keeps an object of more than a kilobyte for every chunk until the file ends: 3 MB an hour.
"""

from collections.abc import Iterator
from typing import Any, Final, Self

_KEPT_BY_MCAP: Final = "_Writer__chunk_indices"


class PackedIndex:
    """Takes the place of the writer's list of chunk indices: each is packed as the file will hold it."""

    def __init__(self) -> None:
        self._packed = bytearray()

    @classmethod
    def put_into(cls, writer: Any) -> Self | None:
        """Before the first chunk. None where this mcap keeps its index elsewhere: then it does so as it likes."""
        if getattr(writer, _KEPT_BY_MCAP, None) != []:
            return None
        index = cls()
        setattr(writer, _KEPT_BY_MCAP, index)
        return index

    def append(self, chunk: Any) -> None:
        """One chunk more."""
        from mcap.data_stream import RecordBuilder

        record = RecordBuilder()
        chunk.write(record)
        self._packed += record.end()

    def __iter__(self) -> Iterator[Self]:
        """All of them, as one that writes itself."""
        yield self

    def write(self, stream: Any) -> None:
        """Into the summary at the end of the file."""
        stream.write(bytes(self._packed))
