"""From what botocore raises while it finds credentials to our errors, each with the one command that mends it."""

from __future__ import annotations

from typing import Any, Final

from quilt_mcp.errors import AuthenticationError, QuiltError, StorageUnavailable


def explain(error: Exception, profile: str) -> QuiltError:
    """What botocore raised while finding credentials, as an error with the one command that mends it.

    Of botocore's own words only error codes and names are passed on: what a credential process printed may hold secrets.
    """
    from botocore.exceptions import ClientError  # pyright: ignore[reportMissingTypeStubs]

    kind = type(error).__name__
    option = "" if profile == "default" else f" --profile {profile}"
    if kind in {"UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "SSOError"}:
        return sign_in(
            f"The AWS SSO sign-in of profile {profile} has expired, or was never made.",
            f"aws sso login{option}",
        )
    if kind.startswith("Login"):
        return sign_in(f"The AWS sign-in of profile {profile} has expired.", f"aws login{option}")
    if kind == "PartialCredentialsError":
        return sign_in(f"The AWS profile {profile} has half of a key pair only.", f"aws configure{option}")
    if kind in {"InvalidConfigError", "InfiniteLoopConfigError", "ConfigParseError", "ProfileNotFound"}:
        return sign_in(
            f"The AWS profile {profile} is not configured right ({kind}).", f"aws configure list{option}"
        )
    if isinstance(error, ClientError):
        return _refused(error, profile, option)
    if kind == "CredentialRetrievalError":
        return sign_in(
            f"What gives the AWS credentials (a process or a container) failed, for profile {profile}.",
            f"aws sts get-caller-identity{option}",
        )
    if kind == "TimeoutError":
        return StorageUnavailable(
            f"The credential_process of the AWS profile {profile} does not come to an end ({error}).",
            next_step="Run its command in a terminal to see what it waits for, then make the same call again.",
            details={"profile": profile},
        )
    if kind == "RefreshWithMFAUnsupportedError":
        return sign_in(f"The AWS profile {profile} asks for an MFA code.", "aws sts get-session-token")
    if kind in _UNREACHABLE:
        return StorageUnavailable(
            f"What gives the AWS credentials of profile {profile} cannot be reached ({kind}).",
            next_step="Check the network and the proxy, then try again.",
            details={"profile": profile},
        )
    return sign_in(
        f"The AWS credentials of profile {profile} cannot be had ({kind}).",
        f"aws sts get-caller-identity{option}",
    )


_UNREACHABLE: Final = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "HTTPClientError",
    "ProxyConnectionError",
    "SSLError",
    "MetadataRetrievalError",
}


def _refused(error: Any, profile: str, option: str) -> QuiltError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or code in {"Throttling", "TooManyRequestsException", "RequestLimitExceeded"}:
        return StorageUnavailable(
            f"AWS {error.operation_name} failed for profile {profile} ({code}).", next_step="Try again later."
        )
    if error.operation_name == "GetRoleCredentials":
        if code == "UnauthorizedException":
            return sign_in(f"The AWS SSO sign-in of profile {profile} has expired.", f"aws sso login{option}")
        return sign_in(
            f"AWS SSO does not give profile {profile} its role ({code}).", f"aws configure sso{option}"
        )
    return sign_in(
        f"AWS refused {error.operation_name} for profile {profile} ({code}).",
        f"aws sts get-caller-identity{option}",
    )


def sign_in(message: str, command: str) -> AuthenticationError:
    return AuthenticationError(message, next_step=f"Run `{command}`.", details={"command": command})
