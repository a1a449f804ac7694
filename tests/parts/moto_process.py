"""The process that runs moto[server], with what it lacks beside AWS put right where our tests stand on it.

1. CompleteMultipartUpload answers ChecksumSHA256 as ``<base64>-<parts>``: quilt3 8.0 reads it, moto 5.2.5 leaves it out.
2. HeadObject says that a multipart checksum is one (``-<parts>``, COMPOSITE): without that, it reads as the SHA256 of the whole.
3. A SHA256 in the header of PutObject or UploadPart that does not fit the body is refused with BadDigest.
4. That header alone (without ``x-amz-sdk-checksum-algorithm``, as obstore sends it) is kept as the object's checksum.
5. A folder of a versioned bucket whose objects are all deleted is not listed any more.
6. GetObjectAttributes tells the parts and their sizes when asked for them.
7. A key may hold line breaks.
8. A listing of versions looks at the keys that it may list, and does not copy, for good, every version in the bucket.

9. Long listings are written out past the serializer of all operations, which takes a quarter of a millisecond for each key.
10. No request waits until moto has listed the folder of its own modules, nor a write until every version of its key is compared
    with every other.
11. A restore that takes time (moto's state ``s3::keyrestore``) is under way from the moment it is asked for, and the answer to
    that is no web page.

Prints its port as one line, and ends when its standard input closes, so it never outlives the test that started it.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import sys
import threading
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

from moto import backends
from moto.moto_server import werkzeug_app
from moto.s3 import models, responses, utils
from moto.s3.exceptions import S3ClientError
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


class BadDigest(S3ClientError):
    code = "BadDigest"

    def __init__(self) -> None:
        super().__init__("The SHA256 you specified did not match the calculated checksum.")


class Corrected(responses.S3Response):
    def serialized(self, action_result: Any) -> Any:
        result = action_result.result
        match self.data.get("Action"):
            case "CompleteMultipartUpload":
                composite = composite_of(self.backend.get_object(result["Bucket"], result["Key"]))
                if composite:
                    result |= {"ChecksumSHA256": composite, "ChecksumType": "COMPOSITE"}
            case "GetObjectAttributes" if "ObjectParts" in self.headers.get("x-amz-object-attributes", ""):
                key, _ = self._get_key(validate_storage_class=False)
                if key.multipart:
                    parts = [key.multipart.parts[number] for number in key.multipart.partlist]
                    result["ObjectParts"] = {
                        "TotalPartsCount": len(parts),
                        "IsTruncated": False,
                        "Parts": [
                            {"PartNumber": number, "Size": part.contentsize}
                            for number, part in enumerate(parts, 1)
                        ],
                    }
            case "ListObjectsV2" | "ListObjectVersions" as listing:
                many, one, root = _LISTINGS[listing]
                if len(result[many]) > _LONG_LISTING:
                    items = "".join(written(one, item) for item in result.pop(many))
                    status, headers, body = super().serialized(action_result)
                    return status, headers, body.replace(f"</{root}>", f"{items}</{root}>")
        return super().serialized(action_result)

    def head_object(self, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
        status, answered, body = super().head_object(bucket_name, query, key_name, headers)
        if answered.get("x-amz-checksum-sha256"):
            version = query.get("versionId", [None])[0]
            composite = composite_of(self.backend.head_object(bucket_name, key_name, version_id=version))
            if composite:
                answered |= {"x-amz-checksum-sha256": composite, "x-amz-checksum-type": "COMPOSITE"}
        return status, answered, body

    def _key_response_post(self, request: Any, body: bytes, bucket: str, query: Any, key: str) -> Any:
        status, headers, content = super()._key_response_post(request, body, bucket, query, key)
        return status, headers | ({"content-type": "application/xml"} if "restore" in query else {}), content

    def put_object(self) -> Any:
        self._refuse_a_wrong_sum()
        return super().put_object()

    def upload_part(self) -> Any:
        self._refuse_a_wrong_sum()
        return super().upload_part()

    def _refuse_a_wrong_sum(self) -> None:
        claimed = self.headers.get("x-amz-checksum-sha256")
        if claimed and claimed != base64.b64encode(hashlib.sha256(self.body or b"").digest()).decode():
            raise BadDigest

    def _get_checksum(self, response_headers: dict[str, Any]) -> tuple[str, str | None]:
        algorithm, value = super()._get_checksum(response_headers)
        claimed = self.headers.get("x-amz-checksum-sha256")
        if not algorithm and claimed:
            response_headers["x-amz-checksum-sha256"] = claimed
            return "SHA256", claimed
        return algorithm, value


_LONG_LISTING = 3


_LISTINGS = {
    "ListObjectsV2": ("Contents", "Contents", "ListBucketResult"),
    "ListObjectVersions": ("Versions", "Version", "ListVersionsResult"),
}
_ESCAPED = {"\r": "&#13;"}


def written(name: str, value: Any) -> str:
    """As XML; in it a list is its element again and again."""
    match value:
        case dict():
            text = "".join(written(inner, it) for inner, it in value.items())
        case list():
            return "".join(written(name, it) for it in value)
        case bool():
            text = "true" if value else "false"
        case _:
            text = escape(str(value), _ESCAPED)
    return f"<{name}>{text}</{name}>"


def composite_of(key: Any) -> str | None:
    if key is None or key.checksum_algorithm != "SHA256" or key.checksum_type != "COMPOSITE":
        return None
    return f"{key.checksum_value}-{key.checksum_parts}"


_list_objects = models.S3Backend.list_objects


def list_living_objects(self: Any, bucket: Any, *arguments: Any, **named: Any) -> Any:
    kept = dict(bucket.keys).items()  # a copy: others put and delete meanwhile
    living = {name: of[-1] for name, of in kept if of and not isinstance(of[-1], models.FakeDeleteMarker)}
    return _list_objects(self, SimpleNamespace(keys=living), *arguments, **named)


_list_object_versions = models.S3Backend.list_object_versions


def list_named_versions(self: Any, bucket_name: str, *, prefix: str = "", **named: Any) -> Any:
    kept = dict(self.get_bucket(bucket_name).keys).items()
    asked = [(name, versions) for name, versions in kept if name.startswith(prefix)]
    bucket = SimpleNamespace(keys=SimpleNamespace(iterlists=lambda: asked))
    backend = SimpleNamespace(get_bucket=lambda _: bucket)
    return _list_object_versions(backend, bucket_name, prefix=prefix, **named)


def set_versions(self: Any, name: str, versions: list[Any]) -> None:
    staying = {id(version) for version in versions}
    for version in self.getlist(name, []):
        if id(version) not in staying and isinstance(version, models.FakeKey):
            version.dispose()
    dict.__setitem__(self, name, versions)


_restore = models.FakeKey.restore


def restore_in_time(self: Any, days: int) -> None:
    if self.expiry_date is None:
        self._status, self._time_progressed = "IN_PROGRESS", datetime.datetime.now()
    _restore(self, days)


class AnyCharacter(werkzeug_app.RegexConverter):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.regex = f"(?s:{self.regex})"


def end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


class Handler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """A server under test has nothing to say for each request."""


def main() -> None:
    responses.S3Response = Corrected  # before the first request, when moto's table of URLs takes the class
    models.S3Backend.list_objects = list_living_objects
    models.FakeKey.__deepcopy__ = lambda self, _: (
        self
    )  # a listing of versions only notes on each whether it is the latest
    models.S3Backend.list_object_versions = list_named_versions
    models.FakeKey.restore = restore_in_time
    utils._VersionedKeyStore.setlist = set_versions
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    werkzeug_app.RegexConverter = AnyCharacter
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
