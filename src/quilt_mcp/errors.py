"""Every failure a caller can meet, grouped by what the caller would do next.

    QuiltError
    ├── InputError                fix the input
    │   ├── InvalidName           invalid_name          package name or logical key is malformed
    │   ├── InvalidUri            invalid_uri           URI or physical key cannot be parsed
    │   ├── InvalidArgument       invalid_argument      an argument is unknown, missing or out of range
    │   ├── InvalidMetadata       invalid_metadata      metadata is not JSON, or too large for a record
    │   ├── DuplicateKey          duplicate_key         two sources claim one logical key, or rows of a table one key
    │   ├── NotAFile              not_a_file            a folder stands where a file is meant
    │   ├── TooLarge              too_large             asked for more than one answer may carry
    │   ├── InvalidWhere          invalid_where         a where that is not a list of simple comparisons
    │   ├── InvalidQuery          invalid_query         a search's query that cannot be read
    │   ├── InvalidSql            invalid_sql           SQL that does not parse, or does not fit its tables
    │   ├── SqlRefused            sql_refused           SQL that asks for what no query may
    │   ├── NotATable             not_a_table           rows are asked of a file that has none
    │   ├── TooCostly             too_costly            looking into the file takes more memory or time than a call may
    │   ├── WorkflowFailed        workflow_failed       the registry's workflow rejects the revision
    │   ├── WorkflowConfigInvalid workflow_config       the workflow configuration itself is broken
    │   ├── TabulatorInvalid      tabulator_config      the configuration of a Tabulator table is broken
    │   ├── StackRefused          stack_refused         a Quilt stack does not take a request, and says why
    │   └── NotFound
    │       ├── RegistryNotFound  registry_not_found
    │       ├── PackageNotFound   package_not_found
    │       ├── RevisionNotFound  revision_not_found
    │       ├── AmbiguousHash     ambiguous_hash        a short hash fits several revisions
    │       ├── EntryNotFound     entry_not_found
    │       ├── ObjectNotFound    object_not_found
    │       ├── TableNotFound     table_not_found
    │       ├── ColumnNotFound    column_not_found
    │       └── SourceNotFound    source_not_found      a source file of a new revision does not exist
    ├── AuthenticationError       sign_in               sign in
    ├── AccessError               ask for access
    │   ├── PermissionDenied      permission_denied     the store refused this identity
    │   ├── OutsideRoots          outside_roots         a local path lies outside the allowed folders
    │   ├── CredentialPlace       credential_place      a local path where credentials are kept
    │   ├── ReadOnly              read_only             writes are not switched on
    │   ├── Misconfigured         misconfigured         a setting of this server or of its network is wrong
    │   └── NotSupported          not_supported         this backend cannot do that
    ├── RetryableError            wait and retry
    │   ├── StorageUnavailable    storage_unavailable   the store failed, timed out or throttled
    │   ├── StorageFull           storage_full          no space left, or a quota is used up
    │   ├── StorageBusy           storage_busy          another process holds the lock
    │   ├── StackFailed           stack_failed          a Quilt stack failed in the middle of an answer
    │   └── OutcomeUnknown        outcome_unknown       the store fell silent as it was told to commit: look, then decide
    ├── ObjectArchived            object_archived       in an archive storage class: restore it first
    ├── Conflict                  resolve a conflict
    │   ├── StaleParent           stale_parent          the package moved on since the expected parent
    │   ├── ChangedMeanwhile      changed_meanwhile     what a stack keeps is no longer as it was seen
    │   ├── AlreadyExists         already_exists        the name is taken and overwrite was not asked for
    │   └── PreconditionFailed    precondition_failed   a conditional write lost (internal to the engine)
    ├── IntegrityError            the data is not what it says it is
    │   ├── CorruptManifest       corrupt_manifest      a manifest cannot be read or is hostile
    │   ├── HashMismatch          hash_mismatch         bytes differ from their recorded size or hash
    │   └── Undecodable           undecodable           a file is damaged, or is not what its name says
    └── InternalError             internal_error        report a bug

``code`` is stable and is what programs match on. ``next_step`` names the next call to make or command to run.
``details`` holds JSON values only. Nothing here may carry a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class QuiltError(Exception):
    """Base of every failure this project raises on purpose."""

    code: ClassVar[str] = "error"
    recovery: ClassVar[str] = "report"
    """What kind of act mends it: fix_input, sign_in, ask_access, retry, restore, resolve_conflict, check_data,
    report."""
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, next_step: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.details: dict[str, Any] = dict(details or {})


class InputError(QuiltError):
    code = "invalid_input"
    recovery = "fix_input"


class InvalidName(InputError):
    code = "invalid_name"


class InvalidUri(InputError):
    code = "invalid_uri"


class InvalidArgument(InputError):
    code = "invalid_argument"


class InvalidMetadata(InputError):
    code = "invalid_metadata"


class DuplicateKey(InputError):
    code = "duplicate_key"


class NotAFile(InputError):
    code = "not_a_file"


class TooLarge(InputError):
    code = "too_large"


class InvalidWhere(InputError):
    code = "invalid_where"


class InvalidQuery(InputError):
    code = "invalid_query"


class InvalidSql(InputError):
    code = "invalid_sql"


class SqlRefused(InputError):
    code = "sql_refused"


class NotATable(InputError):
    code = "not_a_table"


class TooCostly(InputError):
    code = "too_costly"


class WorkflowFailed(InputError):
    code = "workflow_failed"


class WorkflowConfigInvalid(InputError):
    code = "workflow_config"


class TabulatorInvalid(InputError):
    code = "tabulator_config"


class StackRefused(InputError):
    code = "stack_refused"


class NotFound(InputError):
    code = "not_found"


class RegistryNotFound(NotFound):
    code = "registry_not_found"


class PackageNotFound(NotFound):
    code = "package_not_found"


class RevisionNotFound(NotFound):
    code = "revision_not_found"


class AmbiguousHash(NotFound):
    code = "ambiguous_hash"


class EntryNotFound(NotFound):
    code = "entry_not_found"


class ObjectNotFound(NotFound):
    code = "object_not_found"


class TableNotFound(NotFound):
    code = "table_not_found"


class ColumnNotFound(NotFound):
    code = "column_not_found"


class SourceNotFound(NotFound):
    code = "source_not_found"


class AuthenticationError(QuiltError):
    code = "sign_in"
    recovery = "sign_in"


class AccessError(QuiltError):
    code = "access"
    recovery = "ask_access"


class PermissionDenied(AccessError):
    code = "permission_denied"


class OutsideRoots(AccessError):
    code = "outside_roots"


class CredentialPlace(AccessError):
    code = "credential_place"


class ReadOnly(AccessError):
    code = "read_only"


class Misconfigured(AccessError):
    code = "misconfigured"


class NotSupported(AccessError):
    code = "not_supported"


class RetryableError(QuiltError):
    code = "retry"
    recovery = "retry"
    retryable = True


class StorageUnavailable(RetryableError):
    code = "storage_unavailable"


class StorageFull(RetryableError):
    code = "storage_full"


class StorageBusy(RetryableError):
    code = "storage_busy"


class StackFailed(RetryableError):
    code = "stack_failed"


class OutcomeUnknown(RetryableError):
    code = "outcome_unknown"
    retryable = False


class ObjectArchived(QuiltError):
    code = "object_archived"
    recovery = "restore"


class Conflict(QuiltError):
    code = "conflict"
    recovery = "resolve_conflict"


class StaleParent(Conflict):
    code = "stale_parent"


class ChangedMeanwhile(Conflict):
    code = "changed_meanwhile"


class AlreadyExists(Conflict):
    code = "already_exists"


class PreconditionFailed(Conflict):
    code = "precondition_failed"


class IntegrityError(QuiltError):
    code = "integrity"
    recovery = "check_data"


class CorruptManifest(IntegrityError):
    code = "corrupt_manifest"


class HashMismatch(IntegrityError):
    code = "hash_mismatch"


class Undecodable(IntegrityError):
    code = "undecodable"


class InternalError(QuiltError):
    code = "internal_error"
