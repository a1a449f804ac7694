"""The stack's buckets, their configuration and their tabulator tables."""

from __future__ import annotations

from typing import Any

import yaml
from botocore.exceptions import ClientError

from parts.stack.graph.asking import Asking, invalid_input, operation_error
from parts.stack.graph.session import signed_in
from parts.stack.holdings import Failure
from parts.stack.state import new_bucket


def described(asking: Asking, name: str) -> dict[str, Any]:
    tables = asking.state.tables.get(name, {})
    return {
        **asking.state.buckets[name],
        "__typename": "BucketConfig",
        "tabulatorTables": [{"name": table, "config": text} for table, text in tables.items()],
        "collaborators": lambda info: _collaborators(asking, name),
        "associatedPolicies": lambda info: _policies(asking, name),
        "associatedRoles": lambda info: _roles(asking, name),
    }


def _collaborators(asking: Asking, bucket: str) -> list[dict[str, Any]]:
    found = []
    for user in asking.state.users.values():
        level = asking.state.permissions(user.role).get(bucket)
        if level:
            found.append({"collaborator": _collaborator(user), "permissionLevel": level})
    return found


def _collaborator(user: Any) -> dict[str, str]:
    return {"email": user.email, "username": user.name}


def _policies(asking: Asking, bucket: str) -> list[dict[str, Any]]:
    from parts.stack.graph import roles

    of_bucket = []
    for policy in asking.state.policies.values():
        of_bucket += [
            one for one in roles.policy(asking, policy)["permissions"](None) if one["name"] == bucket
        ]
    return of_bucket


def _roles(asking: Asking, bucket: str) -> list[dict[str, Any]]:
    from parts.stack.graph import roles

    of_bucket = []
    for role in asking.state.roles.values():
        level = asking.state.permissions(role.name).get(bucket)
        if level:
            of_bucket.append(
                {"bucket": described(asking, bucket), "role": roles.role(asking, role), "level": level}
            )
    return of_bucket


def bucket_configs(info: Any) -> list[dict[str, Any]]:
    """An administrator sees every one."""
    asking: Asking = info.context
    return [described(asking, name) for name in asking.state.buckets if asking.is_admin or asking.reads(name)]


def bucket_config(info: Any, name: str) -> dict[str, Any] | None:
    return next((one for one in bucket_configs(info) if one["name"] == name), None)


def buckets(info: Any) -> list[dict[str, Any]]:
    """What the role may read, an administrator's too."""
    asking: Asking = info.context
    return [described(asking, name) | {"__typename": "Bucket"} for name in asking.permissions]


def bucket(info: Any, name: str) -> dict[str, Any] | None:
    return next((one for one in buckets(info) if one["name"] == name), None)


def _answer(kind: str, **more: Any) -> dict[str, Any]:
    return {"__typename": kind, **more}


def _refused(input: dict[str, Any]) -> dict[str, Any] | None:
    arn = input.get("snsNotificationArn")
    if arn and not arn.startswith("arn:"):
        return _answer("SnsInvalid")
    if any(not ext.startswith(".") for ext in input.get("fileExtensionsToIndex") or ()):
        return _answer("BucketFileExtensionsToIndexInvalid")
    if not 0 <= (input.get("indexContentBytes") or 0) <= 1_000_000:
        return _answer("BucketIndexContentBytesInvalid")
    return None


def _configured(name: str, input: dict[str, Any]) -> dict[str, Any]:
    """The whole of it: what is not given is as in a new bucket."""
    given = {key: value for key, value in input.items() if value is not None and key != "delayScan"}
    return new_bucket(name) | given


def bucket_add(info: Any, input: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    name = input["name"]
    if name in asking.state.buckets:
        return _answer("BucketAlreadyAdded")
    try:
        asking.holdings.s3.head_bucket(Bucket=name)
    except ClientError:
        return _answer("BucketDoesNotExist")
    refused = _refused(input)
    if refused:
        return refused
    asking.state.buckets[name] = _configured(name, input)
    return _answer("BucketAddSuccess", bucketConfig=described(asking, name))


def bucket_update(info: Any, name: str, input: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    if name not in asking.state.buckets:
        return _answer("BucketNotFound")
    refused = _refused(input)
    if refused:
        return refused
    asking.state.buckets[name] = _configured(name, input)
    return _answer("BucketUpdateSuccess", bucketConfig=described(asking, name))


def bucket_remove(info: Any, name: str) -> dict[str, Any]:
    asking: Asking = info.context
    if asking.state.buckets.pop(name, None) is None:
        return _answer("BucketNotFound")
    asking.state.tables.pop(name, None)
    return _answer("BucketRemoveSuccess")


def _tables(asking: Asking, bucket: str) -> dict[str, str]:
    signed_in(asking)
    if bucket not in asking.state.buckets:
        raise Failure("BucketNotFound", f"there is no bucket {bucket}")
    if not asking.is_admin and not asking.writes(bucket):
        raise Failure("Forbidden", f"You may not write to {bucket}")
    return asking.state.tables.setdefault(bucket, {})


def set_table(info: Any, bucketName: str, tableName: str, config: str | None = None) -> dict[str, Any]:
    asking: Asking = info.context
    try:
        tables = _tables(asking, bucketName)
    except Failure as error:
        return operation_error(error)
    if config is None:
        if tables.pop(tableName, None) is None:
            return invalid_input("tableName", "NotFound", f"there is no table {tableName}")
        return described(asking, bucketName)
    complaint = _complaint(config)
    if complaint:
        return invalid_input("config", "InvalidConfig", complaint)
    tables[tableName] = config
    return described(asking, bucketName)


def rename_table(info: Any, bucketName: str, tableName: str, newTableName: str) -> dict[str, Any]:
    asking: Asking = info.context
    try:
        tables = _tables(asking, bucketName)
    except Failure as error:
        return operation_error(error)
    if tableName not in tables:
        return invalid_input("tableName", "NotFound", f"there is no table {tableName}")
    if newTableName in tables:
        return invalid_input("newTableName", "NotUnique", f"there is a table {newTableName}")
    tables[newTableName] = tables.pop(tableName)
    return described(asking, bucketName)


def _complaint(text: str) -> str | None:
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return f"not YAML: {error}"
    if not isinstance(read, dict):
        return "must be a mapping"
    missing = [key for key in ("schema", "source", "parser") if key not in read]
    if missing:
        return f"'{missing[0]}' is a required property"
    if read["source"].get("type") != "quilt-packages":
        return "source.type must be quilt-packages"
    if read["parser"].get("format") not in ("csv", "parquet"):
        return "parser.format must be csv or parquet"
    return None


ROOT = {
    "bucketConfigs": bucket_configs,
    "bucketConfig": bucket_config,
    "buckets": buckets,
    "bucket": bucket,
    "potentialCollaborators": lambda info: [_collaborator(one) for one in info.context.state.users.values()],
    "bucketAccessCounts": None,
    "objectAccessCounts": None,
    "bucketAdd": bucket_add,
    "bucketUpdate": bucket_update,
    "bucketRemove": bucket_remove,
    "bucketSetTabulatorTable": set_table,
    "bucketRenameTabulatorTable": rename_table,
}
