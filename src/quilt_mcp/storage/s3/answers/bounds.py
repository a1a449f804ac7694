"""What botocore reads whole: bounded in size, and what only asks in time too."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from quilt_mcp.errors import NotSupported, StorageUnavailable

_ANSWER_BYTES: Final = 16 << 20
"""Several times the longest answer that S3 gives: a thousand keys of a thousand bytes."""
_ANSWER_SECONDS: Final = 60
_PIECE: Final = 64 << 10


def bound_answers(client: Any, exceptions: Any) -> None:
    """Of this boto3 client; ``exceptions`` are botocore's. Bodies of objects are read as they come, and not meant."""
    endpoint = client._endpoint
    endpoint.http_session = _BoundedSession(endpoint.http_session, exceptions)


class _BoundedSession:
    """botocore's session, which reads to the end whatever comes. Writes may be kept waiting by S3 (a large copy), reads not."""

    def __init__(self, session: Any, exceptions: Any) -> None:
        self._session = session
        self._exceptions = exceptions
        self.close = session.close

    def send(self, request: Any) -> Any:
        is_stream, request.stream_output = request.stream_output, True
        response = self._session.send(request)
        if not is_stream:
            only_asks = request.method in ("GET", "HEAD", "DELETE")
            with _as_botocore(request, self._exceptions):
                response._content = _read(response.raw, _ANSWER_SECONDS if only_asks else None)
        return response


@contextmanager
def _as_botocore(request: Any, told: Any) -> Generator[None]:
    """What is lost in mid-answer raises what it raises in botocore, which tries again for it."""
    lost = import_module("urllib3.exceptions")
    try:
        yield
    except lost.ReadTimeoutError as error:
        raise told.ReadTimeoutError(endpoint_url=request.url, error=error) from error
    except lost.ProtocolError as error:
        raise told.ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
    except lost.HTTPError as error:
        raise told.HTTPClientError(error=error) from error


def _read(raw: Any, seconds: float | None) -> bytes:
    content = bytearray()
    ends = None if seconds is None else time.monotonic() + seconds
    while piece := raw.read1(_PIECE):
        content += piece
        if len(content) > _ANSWER_BYTES:
            raw.close()
            raise NotSupported(
                f"The S3 server's answer has over {_ANSWER_BYTES >> 20} MiB, which none of S3 has.",
                next_step="Check AWS_ENDPOINT_URL, and tell whoever runs the server.",
            )
        if ends is not None and time.monotonic() > ends:
            raw.close()
            raise StorageUnavailable(
                f"The S3 server has not come to the end of one answer in {seconds} seconds.",
                next_step="Check the network and the server, then make the same call again.",
            )
    raw.release_conn()  # which an empty answer has not
    return bytes(content)
