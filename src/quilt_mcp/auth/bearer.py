"""Bearer: the token that a stack is shown, and how another is had when it is no longer taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from quilt_mcp.errors import AuthenticationError

LOGIN: Final = "quilt-mcp login"
LOGIN_AT: Final = "quilt-mcp login https://your-catalog"
"""Where no catalog is configured yet, or the configuration is broken: it writes that, too."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a stack was shown, and the command that brings a new one; None where that is for another machine to run."""

    shown: str
    command: str | None

    def refused(self, host: str) -> AuthenticationError:
        if self.command is None:
            return AuthenticationError(
                f"The Quilt stack at {host} no longer accepts {self.shown}.",
                next_step="Make a new API key in the catalog, and put it where the client's configuration has the old one.",
                details={"host": host},
            )
        return AuthenticationError(
            f"The Quilt stack at {host} no longer accepts {self.shown}.",
            next_step=f"Run `{self.command}`.",
            details={"host": host, "command": self.command},
        )


class Bearer(Protocol):
    """One user of one stack. Its calls may block; they raise AuthenticationError where there is no token, StorageUnavailable."""

    @property
    def sign_in(self) -> SignIn: ...

    def token(self) -> str:
        """One that is good now, as far as can be known here."""
        ...

    def renew(self, refused: str, host: str) -> str:
        """Another than the one that ``host`` has refused."""
        ...


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token that was given to this server: there is no other."""

    value: str = field(repr=False)
    sign_in: SignIn

    def token(self) -> str:
        return self.value

    def renew(self, refused: str, host: str) -> str:
        raise self.sign_in.refused(host)
