"""Credentials are looked at in one place: what the code of the others may not even name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "quilt_mcp"
ENVIRONMENT = {
    "cli/__init__.py", "cli/completion/answers.py", "auth/decision.py", "auth/places.py", "server/watching/log.py",
    "cli/screen.py", "cli/clients/install.py", "preview/child.py", "environment.py", "python_files/options.py",
}  # fmt: skip
"""Who may open the environment: the settings are read from it once (by the command line, and where Python opens files), the
decision looks for AWS's variables there, what variables name is closed to tools, and secrets in it are struck out of the log. A
screen asks it for colours and a pager, an installation in a client where that client's configuration is, a child that decodes
files gets an empty one. ``environment`` tells every client of proxies and certificate authorities."""
NETWORK = {"environment.py"}
"""Names AWS's variable of certificate authorities, which is no secret."""
CLOSES = {
    "storage/local/credentials.py",
    "server/watching/log.py",
    "cli/clients/install.py",
    "preview/child.py",
    "sql/child.py",
}
"""Names credentials so as to refuse them, to strike them out, to tell a person that a client will not see them, or to leave them
out of a child's environment."""
AWS_CLIENTS = {
    "athena/clients.py",
    "storage/s3/clients.py",
    "auth/aws/credentials.py",
    "auth/aws/errors.py",
    "auth/aws/process.py",
}
"""Who may import AWS's libraries: the clients (which are given their keys) and the decision."""
SETTINGS_ONLY = re.compile(r"QUILT_(JWT_TOKEN|API_KEY|DISABLE_QUILT3_SESSION|REQUIRE_AUTH)")
FORBIDDEN_TEXT = re.compile(
    r"^AWS_[A-Z0-9_]+$|\bauth\.json\b|\bcredentials\.json\b|\.aws\b|^~/\.aws|169\.254\.|^(HOME|XDG_DATA_HOME)$"
)
FORBIDDEN_NAMES = {
    "get_credentials",
    "get_frozen_credentials",
    "load_credentials",
    "get_boto3_session",
    "logged_in",
    "Boto3CredentialProvider",
    "StsCredentialProvider",
    "jwt_token",
    "api_key",
}


def offences(relative: str, source: str) -> Iterator[str]:
    """What a module outside ``auth`` does that only the decision may do."""
    in_auth = relative.startswith("auth/")
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        where = f"{relative}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Attribute(attr="environ" | "environb" | "getenv" as name):
                if relative not in ENVIRONMENT:
                    yield f"{where} opens the environment ({name})"
            case ast.Attribute(attr=name) if name in FORBIDDEN_NAMES and not in_auth:
                yield f"{where} asks for credentials ({name})"
            case ast.Constant(value=str(text)) if id(node) not in prose:
                if FORBIDDEN_TEXT.search(text) and not in_auth and relative not in CLOSES | NETWORK:
                    yield f"{where} names where credentials are ({text})"
                if SETTINGS_ONLY.fullmatch(text) and not in_auth and relative not in {"option.py", *CLOSES}:
                    yield f"{where} names a setting of the decision ({text})"
            case ast.Call(func=function, args=[ast.Constant(value=str(text)), *_]) if (
                "import" in (called := ast.unparse(function)) or "module" in called
            ):
                yield from importing(relative, where, text)
            case ast.Import(names=names):
                for one in names:
                    yield from importing(relative, where, one.name)
            case ast.ImportFrom(module=str(module), level=0):
                yield from importing(relative, where, module)


def importing(relative: str, where: str, module: str) -> Iterator[str]:
    library = module.partition(".")[0]
    if library in {"boto3", "botocore"} and relative not in AWS_CLIENTS:
        yield f"{where} imports {module}"
    if library == "quilt3" or module.startswith("obstore.auth"):
        yield f"{where} imports {module}"


def test_nothing_but_the_decision_looks_at_credentials() -> None:
    found = [
        offence
        for path in sorted(PACKAGE.rglob("*.py"))
        for offence in offences(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nkey = os.environ['AWS_ACCESS_KEY_ID']",
        "from os import environ\nkey = environ.get('AWS_PROFILE')",
        "import os\nos.getenv('X')",
        "import boto3\nboto3.Session()",
        "from botocore.session import get_session",
        "import importlib\nimportlib.import_module('boto3')",
        "(folder / 'auth.json').read_text()",
        "open('~/.aws/credentials')",
        "session.get_credentials()",
        "import quilt3",
        "quilt3.logged_in()",
        "from obstore.auth.boto3 import Boto3CredentialProvider",
        "settings.api_key",
        "environ['QUILT_JWT_TOKEN']",
        "fetch('http://169.254.169.254/latest/meta-data')",
    ],
)
def test_each_way_around_the_decision_is_seen(source: str) -> None:
    assert list(offences("backends/iam.py", source))


def test_what_is_said_about_credentials_in_prose_is_no_offence() -> None:
    assert not list(
        offences("backends/iam.py", '"""Reads no auth.json."""\nmessage = "Set AWS_REGION, please."')
    )
