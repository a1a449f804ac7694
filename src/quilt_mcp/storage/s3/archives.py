"""Archives: objects of one bucket that are in an archive storage class: their state, what it is told as, and their restore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.listing import ARCHIVES, Archive
from quilt_mcp.errors import ObjectArchived, QuiltError, StorageUnavailable
from quilt_mcp.storage.s3.boto import BotoBucket, stat_of
from quilt_mcp.storage.store import ObjectStat

_EXPIRES: Final = re.compile(r'expiry-date="([^"]{1,60})"')
_NO_DATE: Final = datetime.max.replace(tzinfo=UTC)


class Archives:
    """See ``store.ArchiveKeeper``."""

    def __init__(self, bucket: BotoBucket) -> None:
        self._bucket = bucket

    async def stat(self, key: str, *, version: str | None = None) -> tuple[ObjectStat, Archive | None]:
        found = await self._bucket.call("head_object", key, VersionId=version)
        return stat_of(key, found["ContentLength"], found), archive_of(found)

    async def restore(self, key: str, *, version: str | None, archive: Archive, tier: str, days: int) -> bool:
        request: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier.capitalize()}}
        if not archive.comes_back:
            request["Days"] = days
        try:
            await self._bucket.call("restore_object", key, VersionId=version, RestoreRequest=request)
        except StorageUnavailable as error:
            if error.details.get("s3_code") != "RestoreAlreadyInProgress":
                raise
            return False
        return True

    async def explained(self, refusal: ObjectArchived, key: str, version: str | None) -> ObjectArchived:
        """The refusal of a read with what is known of the object: a HEAD more, where that is allowed."""
        archive = None
        with suppress(QuiltError):
            _, archive = await self.stat(key, version=version)
        if archive is None or archive.is_readable:  # it may not be asked about, or has changed meanwhile
            archive = Archive("GLACIER")
        return archived(PhysicalKey(self._bucket.name, key, version), archive)


def archive_of(head: Mapping[str, Any]) -> Archive | None:
    """What botocore's answer to a HEAD tells; None of an object that anybody can read."""
    storage_class, tier = str(head.get("StorageClass") or ""), head.get("ArchiveStatus")
    if storage_class not in ARCHIVES and not tier:
        return None
    restore = str(head.get("Restore") or "")
    if 'ongoing-request="true"' in restore:
        return Archive(storage_class, tier, restoring=True)
    return Archive(
        storage_class, tier, until=_expiry(restore) if 'ongoing-request="false"' in restore else None
    )


def _expiry(restore: str) -> datetime:
    told = _EXPIRES.search(restore)
    try:
        return parsedate_to_datetime(told[1]) if told else _NO_DATE
    except ValueError:
        return _NO_DATE


def archived(address: PhysicalKey, archive: Archive) -> ObjectArchived:
    """The error of who meets it."""
    if archive.restoring:
        message = f"{address} is in the archive ({archive.storage_class}), and its restore is under way."
        next_step = (
            f"Wait until object_read with uri={str(address)!r} and mode='info' tells state restored (minutes to two days, by "
            "the tier that was asked), then make this call."
        )
    else:
        message = f"{address} is in the archive ({archive.storage_class}), and its bytes cannot be read before it is restored."
        next_step = (
            f"Call object_restore with uri={str(address)!r}: it takes {archive.wait('standard')} and is charged for. Make this "
            "call when object_read with mode='info' tells state restored."
        )
    return ObjectArchived(
        message,
        next_step=next_step,
        details={"uri": str(address), **archive.told(), "bucket": address.bucket},
    )
