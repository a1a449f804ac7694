"""Option: one setting of the server. ``OPTIONS`` is the one list of them.

The command line makes its flags from it, the reference in the docs is generated from it, and ``Settings.load`` reads nothing
that it does not name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

BackendName = Literal["local", "iam", "quilt3", "platform"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. ``name`` is the field of Settings; ``flag`` None: only the environment may say it (secrets)."""

    name: str
    flag: str | None
    variable: str | None
    kind: Literal["text", "switch", "integer", "file", "folder", "folders", "names", "backend", "secret"]
    default: str
    meaning: str
    serve_only: bool = False


OPTIONS: tuple[Option, ...] = (
    Option(
        "default_registry",
        "--registry",
        "QUILT_DEFAULT_REGISTRY",
        "text",
        "quilt3's local registry folder",
        "Registry that calls without one use: a folder, file:///folder or s3://bucket.",
    ),
    Option(
        "allow_write",
        "--allow-write",
        "QUILT_ALLOW_WRITE",
        "switch",
        "off",
        "List and allow the tools that write.",
    ),
    Option(
        "agent_context",
        None,
        "QUILT_MCP_AGENT_CONTEXT",
        "switch",
        "off",
        "Note in the metadata of each written revision who wrote it, as agent_context.quilt.",
    ),
    Option(
        "roots",
        "--root",
        "QUILT_ROOT",
        "folders",
        "the working folder, unless that is the home folder or holds it",
        "Folder that sources are read from and packages installed into; may be given more than once "
        "(in the variable: separated by ':'). Registry folders in use are always readable.",
    ),
    Option(
        "backend",
        "--backend",
        "QUILT_BACKEND",
        "backend",
        "decided from what is found",
        "Use this backend or fail: local, iam, quilt3 or platform.",
    ),
    Option(
        "require_auth",
        None,
        "QUILT_REQUIRE_AUTH",
        "switch",
        "off",
        "Fail rather than fall back to the local registry when no credentials are found.",
    ),
    Option(
        "disable_quilt3_session",
        None,
        "QUILT_DISABLE_QUILT3_SESSION",
        "switch",
        "off",
        "Do not use the session that `quilt-mcp login` or `quilt3 login` saved.",
    ),
    Option(
        "anonymous",
        "--anonymous",
        "QUILT_ANONYMOUS",
        "switch",
        "off",
        "Read public buckets with unsigned requests, whatever credentials there are.",
    ),
    Option(
        "requester_pays",
        "--requester-pays",
        "QUILT_REQUESTER_PAYS",
        "switch",
        "off",
        "Agree to pay for requests to requester-pays buckets.",
    ),
    Option(
        "s3_proxy",
        "--s3-proxy",
        "QUILT_S3_PROXY",
        "switch",
        "off",
        "Reach S3 through the proxy of the Quilt stack, where only the stack is in reach. Slower, as one client alone can go "
        "that way.",
    ),
    Option(
        "allowed_buckets",
        None,
        "QUILT_ALLOWED_BUCKETS",
        "names",
        "whatever the credentials open",
        "The only buckets that may be read or written, separated by commas.",
    ),
    Option(
        "catalog_url",
        "--catalog",
        "QUILT_CATALOG_URL",
        "text",
        "none",
        "Quilt catalog that a token belongs to.",
    ),
    Option("jwt_token", None, "QUILT_JWT_TOKEN", "secret", "none", "Session token of the catalog."),
    Option("api_key", None, "QUILT_API_KEY", "secret", "none", "API key (qk_...) of the catalog."),
    Option(
        "api_key_file",
        None,
        "QUILT_API_KEY_FILE",
        "file",
        "none",
        "File whose first line is the API key, instead of QUILT_API_KEY. Only its owner may be allowed to read it (chmod 600).",
    ),
    Option(
        "through_stack",
        "--through-stack",
        "QUILT_THROUGH_STACK",
        "switch",
        "off, unless the stack gives no AWS credentials",
        "Ask a Quilt stack for packages and their bytes, and S3 for nothing: where only the stack is in reach.",
    ),
    Option(
        "cache_dir",
        "--cache-dir",
        "QUILT_MCP_CACHE_DIR",
        "folder",
        "the user's cache folder",
        "Where manifests and what was found out about them are kept. Safe to delete at any time.",
    ),
    Option(
        "cache_bytes",
        None,
        "QUILT_MCP_CACHE_BYTES",
        "integer",
        "2147483648",
        "Largest size of that cache in bytes.",
    ),
    Option(
        "max_response_tokens",
        "--max-response-tokens",
        "QUILT_MCP_MAX_RESPONSE_TOKENS",
        "integer",
        "16000",
        "Largest answer of a tool, in tokens estimated at 4 bytes each; at least 1000.",
    ),
    Option(
        "log_level",
        "--log-level",
        "QUILT_MCP_LOG_LEVEL",
        "text",
        "warning",
        "How much is logged to standard error: debug, info, warning or error.",
    ),
    Option(
        "http",
        "--http",
        None,
        "switch",
        "off (stdio)",
        "Serve streamable HTTP instead of stdio.",
        serve_only=True,
    ),
    Option(
        "host",
        "--host",
        "QUILT_MCP_HOST",
        "text",
        "127.0.0.1",
        "Address that --http listens on.",
        serve_only=True,
    ),
    Option(
        "port",
        "--port",
        "QUILT_MCP_PORT",
        "integer",
        "8000",
        "Port of --http; 0: any free one.",
        serve_only=True,
    ),
    Option(
        "single_user",
        "--single-user",
        "QUILT_MCP_SINGLE_USER",
        "switch",
        "off",
        "Serve --http without users' tokens, to this machine only.",
        serve_only=True,
    ),
    Option(
        "max_body_bytes",
        "--max-body-bytes",
        "QUILT_MCP_MAX_BODY_BYTES",
        "integer",
        "4194304",
        "Largest request that --http accepts, in bytes.",
        serve_only=True,
    ),
    Option(
        "http_token",
        None,
        "QUILT_MCP_HTTP_TOKEN",
        "secret",
        "made anew at each start, and printed",
        "What requests to --http --single-user carry as Authorization: Bearer; at least 16 characters.",
        serve_only=True,
    ),
    Option(
        "allowed_hosts",
        None,
        "QUILT_MCP_ALLOWED_HOSTS",
        "names",
        "the loopback names, with its port",
        "Further Host headers that --http answers, as a proxy sends them, separated by commas.",
        serve_only=True,
    ),
    Option(
        "allowed_origins",
        None,
        "QUILT_MCP_ALLOWED_ORIGINS",
        "names",
        "its own",
        "Further origins whose pages may ask --http, separated by commas.",
        serve_only=True,
    ),
)
