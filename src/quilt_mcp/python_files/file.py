"""PinnedFile: a file of a revision, open for reading."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from quilt_mcp.domain.checksums import Hasher, checksum_for
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import NotSupported

_LEAST_AHEAD: Final = 64 << 10
_MOST_AHEAD: Final = 8 << 20
Fetch = Callable[[int, int], bytes]
"""The bytes [start, end), all of them."""
Refuse = Callable[[Hash], OSError]
"""The error for a file whose bytes have this hash and not the recorded one."""


class Opener(Protocol):
    """The filesystem of a file."""

    def open(self, path: str, mode: str) -> Any: ...

    def info(self, path: str) -> dict[str, Any]: ...


class Verifier:
    """Hashes what is read of a file from its start on, in order; what was read before, or comes too early, is passed over. Not
    shared between threads."""

    def __init__(self, size: int, recorded: Hash | None, refuse: Refuse) -> None:
        """A type of hash that is not known is not checked."""
        self._size, self._recorded, self._refuse = size, recorded, refuse
        self._hashed = 0
        self._error: OSError | None = None
        self._hasher: Hasher | None = None
        if recorded is not None:
            try:
                self._hasher = Hasher(checksum_for(recorded.type), size)
            except NotSupported:
                return

    def add(self, start: int, data: bytes) -> None:
        """Raises ContentMismatch with the last bytes of a file that is not as recorded, and from then on."""
        if self._error is not None:
            raise self._error
        if self._hasher is None or not start <= self._hashed < start + len(data):
            return
        self._hasher.update(memoryview(data)[self._hashed - start :])
        self._hashed = start + len(data)
        if self._hashed == self._size:
            hasher, self._hasher = self._hasher, None
            found = hasher.value()
            if found != self._recorded:
                self._error = self._refuse(found)
                raise self._error


class PinnedFile(io.BufferedIOBase):
    """Bytes by range: exactly what is asked for, and ahead of it only where a file is read in order. Verified when it is read
    from its start to its end in order.

    Threads may share it. One that seeks and then reads gets what it sought, whatever the others do in between (DuckDB reads so);
    a read without a seek goes on where the last one of any thread ended, as with any file.
    """

    mode = "rb"

    def __init__(self, fs: Opener, path: str, size: int, fetch: Fetch, verifier: Verifier) -> None:
        super().__init__()
        self.fs, self.path, self.size = fs, path, size
        self._fetch = fetch
        self._verifier = verifier
        self._lock = threading.Lock()
        self._own = threading.local()
        self._at = 0
        self._turn = 0
        """Counts the reads without a seek, by which seeks of before hold no more."""
        self._block = (0, b"")
        self._ahead = _LEAST_AHEAD
        self._last_end = 0

    @property
    def name(self) -> str:
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        """Opened anew, at its start."""
        return self.fs.open, (self.path, "rb")

    # -- where --

    def readable(self) -> bool:
        self._require_open()
        return True

    def seekable(self) -> bool:
        self._require_open()
        return True

    def tell(self) -> int:
        self._require_open()
        with self._lock:
            return self._sought() if self._has_sought() else self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._require_open()
        with self._lock:
            here = self._sought() if self._has_sought() else self._at
            base = {io.SEEK_SET: 0, io.SEEK_CUR: here, io.SEEK_END: self.size}.get(whence)
            if base is None or base + offset < 0:
                raise ValueError(f"A file of {self.size} bytes cannot be read at {offset} (whence {whence}).")
            self._at = base + offset
            self._own.sought = (self._at, self._turn)
            return self._at

    def _has_sought(self) -> bool:
        return getattr(self._own, "sought", (0, -1))[1] == self._turn

    def _sought(self) -> int:
        return self._own.sought[0]

    def _take(self, length: int) -> tuple[int, int]:
        """The range that a read is for. The position moves on."""
        with self._lock:
            if self._has_sought():
                start = self._sought()
                self._own.sought = (0, -1)
            else:
                start = self._at
                self._turn += 1
            end = max(start, self.size if length < 0 else min(start + length, self.size))
            self._at = end
            return start, end

    # -- what --

    def read(self, size: int | None = -1, /) -> bytes:
        self._require_open()
        start, end = self._take(-1 if size is None else size)
        try:
            return self._bytes(start, end)
        except BaseException:
            with self._lock:
                self._at = start
            raise

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(_LEAST_AHEAD if size < 0 else size)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    readinto1 = readinto

    def peek(self, size: int = 0, /) -> bytes:
        """What comes next, as much as is there without another request and at least a byte."""
        self._require_open()
        with self._lock:
            start = self._sought() if self._has_sought() else self._at
            offset, block = self._block
        if offset <= start < offset + len(block):
            return block[start - offset :]
        return self._bytes(start, min(self.size, start + max(size, 1)), is_read=False)

    def _bytes(self, start: int, end: int, *, is_read: bool = True) -> bytes:
        with self._lock:
            offset, block = self._block
            is_on = start in (self._last_end, 0)
            self._last_end = end if is_read else self._last_end
        head = block[start - offset : end - offset] if offset <= start < offset + len(block) else b""
        rest = start + len(head)
        data = head
        if rest < end or not self.size:
            data = head + self._fetched(rest, end, is_on)
        if is_read:
            with self._lock:
                self._verifier.add(start, data)
        return data

    def _fetched(self, start: int, end: int, is_on: bool) -> bytes:
        """Where reads follow on one another, more than is asked for, and more each time."""
        with self._lock:
            self._ahead = min(self._ahead * 2, _MOST_AHEAD) if is_on and start else _LEAST_AHEAD
            until = min(start + self._ahead, self.size)
        if not is_on or until <= end:
            return self._fetch(start, end)
        block = self._fetch(start, until)
        with self._lock:
            self._block = (start, block)
        return block[: end - start]

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path} is closed.")

    def close(self) -> None:
        self._block = (0, b"")
        super().close()

    def info(self) -> dict[str, Any]:
        return self.fs.info(self.path)
