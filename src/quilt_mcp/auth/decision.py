"""The one decision: whose identity a call runs under, and so which backend serves it.

Nothing else in the tree looks at credentials. Candidates are asked in order, the first usable one wins, and each one
passed over is recorded with its reason, which ``status`` and ``doctor`` show.

A candidate that has served calls of this process and then *fails* (expired, refused, out of reach) is an error, never a reason
to go on under another identity; and so is a token given to this server that is none, or has expired. One that is *gone* (signed
out, a variable unset) is passed over like any other. A folder that was named as the default registry is served all the same, by
no identity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from getpass import getuser
from typing import Final
from urllib.parse import urlsplit

from quilt_mcp.auth.finding import Finding
from quilt_mcp.auth.identity import Asker, Candidate, Identity, Note, S3Access
from quilt_mcp.auth.sources import Sources, Token
from quilt_mcp.config import Settings, quilt3_local_registry
from quilt_mcp.errors import AuthenticationError, NotSupported, QuiltError, StorageUnavailable
from quilt_mcp.option import BackendName

ORDER: Final[tuple[BackendName, ...]] = ("platform", "quilt3", "iam", "local")
"""The order of the decision for a single user: what was given to this server stands before what is found on the machine."""
_BY_NAME: Final = "--backend or QUILT_BACKEND"
_ANONYMOUS: Final = "--anonymous (or QUILT_ANONYMOUS=1)"
_GIVEN: Final[BackendName] = "platform"
"""Whose credentials are given to this server, not found on the machine: that they cannot be used is an error from the start."""
_ONE_USER: Final = "Keep one of them: unset QUILT_JWT_TOKEN, or run `quilt-mcp logout`."
EXAMPLE_REGISTRY: Final = "s3://quilt-example"


def decide(settings: Settings, asker: Asker, environ: Mapping[str, str] | None = None) -> Identity:
    """One decision, as ``Decider.decide``, that remembers nothing."""
    return Decider(settings, environ).decide(asker)


class Decider:
    """Decides at each request, and holds on to what is costly to find. Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str] | None = None,
        *,
        sources: Sources | None = None,
    ) -> None:
        self._settings = settings
        self._environ = os.environ if environ is None else environ
        self._sources = Sources(self._environ) if sources is None else sources
        self._serves: BackendName | None = None
        self._looks = {
            "quilt3": self._quilt3,
            "platform": self._platform,
            "iam": self._iam,
            "local": self._local,
        }

    def decide(self, asker: Asker) -> Identity:
        """May block on the network: when a session has to be refreshed or a role assumed, bounded in time.

        Raises NotSupported for a backend asked for by name that this version lacks, AuthenticationError when
        credentials are asked for and none is usable, StorageUnavailable when the ones in use cannot be renewed.
        """
        if asker.transport == "http" and not self._settings.single_user:
            return self._of_request(asker)
        return self._noted(self._of_machine())

    def _of_machine(self) -> Identity:
        if self._settings.backend is not None:
            return self._asked_for(self._settings.backend)
        passed: list[Candidate] = []
        for kind in ORDER:
            finding = self._looks[kind]()
            if finding.found is not None:
                self._serves = kind
                return replace(finding.found, explanation=(*passed, Candidate(kind, True, finding.reason)))
            if finding.error is not None and kind in (self._serves, _GIVEN):
                if not self._default_is_folder():
                    raise finding.error
                # The folder asks for no identity. What needs one is refused until this one holds again, and goes to no other.
                passed.append(Candidate(kind, False, finding.reason, finding.fix))
                return self._folder_alone(passed, finding.error)
            passed.append(Candidate(kind, False, finding.reason, finding.fix))
        raise self._none_usable(passed)

    def _noted(self, identity: Identity) -> Identity:
        """With a note where a token and a saved session of one stack are two users': whoever set both may mean the other."""
        if identity.kind not in ("platform", "quilt3"):
            return identity
        users = self._sources.two_users(self._settings)
        if users is None:
            return identity
        used = "the token" if identity.kind == "platform" else "the session"
        text = (
            f"QUILT_JWT_TOKEN is {users[0]}'s and the saved session {users[1]}'s, both of one stack. "
            f"Calls go by {used}."
        )
        return replace(identity, notes=(Note("two_users", text, _ONE_USER),))

    def _folder_alone(self, passed: list[Candidate], error: QuiltError) -> Identity:
        finding = self._local()
        if finding.found is None:
            raise error
        return replace(finding.found, explanation=(*passed, Candidate("local", True, finding.reason)))

    def _default_is_folder(self) -> bool:
        registry = self._settings.default_registry
        return registry is not None and not registry.startswith("s3://")

    def _of_request(self, asker: Asker) -> Identity:
        """The request's own token or nothing: never the session, profile or folder of whoever runs the server."""
        finding = self._sources.request_token(self._settings, asker.token)
        if finding.found is None:
            raise AuthenticationError(finding.reason, next_step="Send 'Authorization: Bearer <token>'.")
        identity = self._of_token(finding.found)
        where = urlsplit(finding.found.access.catalog_url).netloc
        return replace(
            identity,
            principal=f"{asker.user} at {where}" if asker.user else identity.principal,
            scope=f"{identity.scope} {asker.role or ''}",
            explanation=(Candidate("platform", True, finding.reason),),
            may_write=asker.may_write,
        )

    def _asked_for(self, kind: BackendName) -> Identity:
        finding = self._looks[kind]()
        if finding.found is None:
            message = f"The {kind} backend was asked for by {_BY_NAME} and cannot be used. {finding.reason}"
            details = {"backend": kind, "command": finding.fix}
            if finding.error is not None and finding.error.retryable:
                raise StorageUnavailable(message, next_step=finding.error.next_step, details=details)
            if not finding.fix:
                raise NotSupported(message, next_step=f"Start without {_BY_NAME}.", details=details)
            next_step = f"{self._if_public()}Run `{finding.fix}`, or start without {_BY_NAME}."
            raise AuthenticationError(message, next_step=next_step, details=details)
        reason = f"It was asked for by {_BY_NAME}. {finding.reason}"
        others = (
            Candidate(one, False, f"Not looked for: {kind} was asked for by name.")
            for one in ORDER
            if one != kind
        )
        return replace(finding.found, explanation=(Candidate(kind, True, reason), *others))

    def _none_usable(self, passed: list[Candidate]) -> AuthenticationError:
        commands = list(dict.fromkeys(one.fix for one in passed if one.fix))
        if self._settings.require_auth:
            last = "or unset QUILT_REQUIRE_AUTH to use the local registry"
        else:
            last = "or set QUILT_DEFAULT_REGISTRY to a folder"
        tried = " ".join(f"{one.kind}: {one.reason}" for one in passed)
        return AuthenticationError(
            f"No usable credentials were found. {tried}",
            next_step=f"{self._if_public()}Run one of {', '.join(f'`{command}`' for command in commands)}, {last}.",
            details={
                "candidates": [{"kind": one.kind, "reason": one.reason, "fix": one.fix} for one in passed]
            },
        )

    def _if_public(self) -> str:
        registry = self._settings.default_registry or ""
        if not registry.startswith("s3://") or self._settings.anonymous:
            return ""
        return f"If {registry} is public, start with {_ANONYMOUS}. Otherwise: "

    def _quilt3(self) -> Finding[Identity]:
        settings = self._settings
        if settings.disable_quilt3_session:
            return Finding("QUILT_DISABLE_QUILT3_SESSION is set.", "unset QUILT_DISABLE_QUILT3_SESSION")
        if (other := self._other_wish("quilt3")) is not None:
            return other
        finding = self._sources.quilt3()
        if (session := finding.found) is None:
            return Finding(finding.reason, finding.fix, error=finding.error)
        access = session.access
        registry, named = self._default_registry(access.s3, session.default_registry)
        where = urlsplit(access.catalog_url or access.registry_url).netloc
        principal = f"{session.user or 'quilt3 session'} at {where}"
        return Finding(
            f"quilt3 is signed in at {where}.{named}",
            found=Identity(
                "quilt3", principal, registry, (), access, f"{access.catalog_url} {access.registry_url}"
            ),
        )

    def _platform(self) -> Finding[Identity]:
        settings = self._settings
        finding = self._sources.token(settings)
        if finding.found is None:
            return Finding(finding.reason, finding.fix, error=finding.error)
        if (other := self._other_wish("platform")) is not None:
            return other
        return Finding(finding.reason, found=self._of_token(finding.found))

    def _of_token(self, token: Token) -> Identity:
        where = urlsplit(token.access.catalog_url).netloc
        principal = f"{token.user} at {where}"
        scope = f"{token.access.catalog_url} {token.digest}"
        return Identity("platform", principal, self._settings.default_registry, (), token.access, scope)

    def _iam(self) -> Finding[Identity]:
        settings = self._settings
        if (other := self._other_wish("iam")) is not None:
            return other
        aws = self._sources.aws
        access = aws.access(anonymous=settings.anonymous)
        registry, named = self._default_registry(access)
        if settings.anonymous:
            reason = f"--anonymous or QUILT_ANONYMOUS asks for unsigned requests.{named}"
            return Finding(reason, found=Identity("iam", "anonymous", registry, (), access))
        finding = aws.find(by_name=settings.backend == "iam")
        if finding.found is None:
            return Finding(finding.reason, finding.fix, error=finding.error)
        reason = f"{finding.reason}{named}"
        return Finding(reason, found=Identity("iam", finding.found, registry, (), access))

    def _local(self) -> Finding[Identity]:
        settings = self._settings
        if settings.require_auth and settings.backend is None:
            return Finding("QUILT_REQUIRE_AUTH is set, and the local registry asks for no identity.")
        registry = settings.default_registry or quilt3_local_registry()
        if registry.startswith("s3://"):
            return Finding(f"The default registry is {registry}, and the local backend serves folders only.")
        where = (
            "QUILT_DEFAULT_REGISTRY or --registry" if settings.default_registry else "quilt3's local registry"
        )
        return Finding(
            f"Needs no credentials; the registry is {where}.",
            found=Identity("local", f"local user {_user_name(self._environ)}", registry, ()),
        )

    def _other_wish(self, kind: BackendName) -> Finding[Identity] | None:
        """A setting that plainly asks for another backend than ``kind``, unless ``kind`` was asked for by name."""
        settings = self._settings
        if settings.anonymous and kind != "iam" and settings.backend is None:
            return Finding(
                "--anonymous or QUILT_ANONYMOUS asks for unsigned requests.", "unset QUILT_ANONYMOUS"
            )
        return None

    def _default_registry(self, access: S3Access, configured: str | None = None) -> tuple[str, str]:
        """The registry that is named (``configured``: by quilt3), and ''. Where none is: the public example on AWS, quilt3's
        local one where another server stands for S3; and a sentence that says so."""
        named = self._settings.default_registry or configured
        if named is not None:
            return named, ""
        registry = EXAMPLE_REGISTRY if access.endpoint_url is None else quilt3_local_registry()
        return (
            registry,
            f" No registry is named (--registry or QUILT_DEFAULT_REGISTRY), so the default is {registry}.",
        )


def _user_name(environ: Mapping[str, str]) -> str:
    for variable in ("LOGNAME", "USER"):
        if name := environ.get(variable):
            return name
    try:
        return getuser()
    except (OSError, KeyError, ImportError):
        # A container may run under a number that no account has.
        return str(os.getuid())
