"""One stack with two buckets and two users who see one each; one server for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from company import Company, Two, company

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import quilt_stack

HERE = Path(__file__).parent
PUSH = """
import quilt3
package = quilt3.Package()
with open("reads.csv", "w") as reads:
    reads.write("a,b\\n" + arguments["rows"])
with open("README.md", "w") as readme:
    readme.write(arguments["readme"])
package.set("data/reads.csv", "reads.csv")
package.set("README.md", "README.md")
package.set("data/only-" + arguments["owner"] + ".csv", "reads.csv")
package.set_meta({"owner": arguments["owner"]})
pushed = package.push("lab/reads", registry=arguments["registry"], message="pushed by " + arguments["owner"], force=True)
result = pushed.top_hash
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file share a stack and servers, so one worker runs them; but those that take long alone."""
    for item in items:
        if item.path.parent == HERE and item.path.name != "test_replicas.py":
            item.add_marker(pytest.mark.xdist_group(f"users {item.path.stem}"))


@pytest.fixture(scope="module")
def two(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    hers, his = moto.make_bucket(), moto.make_bucket()
    hashes: dict[str, str] = {}
    for owner, bucket in (("ada", hers), ("bob", his)):
        given = {"rows": f"{owner},1\n", "readme": f"# of {owner}\n", "owner": owner}
        home = tmp_path_factory.mktemp("pusher")
        hashes[owner] = Quilt3(home, moto).run(PUSH, registry=f"s3://{bucket}", **given)
    with quilt_stack(moto, [hers, his]) as stack:
        found = Two(stack, moto, hers, his, hashes)
        people(found)
        yield found


def people(two: Two) -> None:
    """Both, and whoever else the tests want."""
    two.stack.reset()
    two.stack.add_role("of-ada", {two.hers: "READ_WRITE"})
    two.stack.add_role("of-bob", {two.his: "READ_WRITE"})
    two.stack.add_role("of-both", {two.hers: "READ", two.his: "READ"})
    two.stack.add_user("ada", roles=("of-ada",))
    two.stack.add_user("bob", roles=("of-bob", "of-both"))


@pytest.fixture(scope="module")
def served(two: Two, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(two.stack, two.server, tmp_path_factory.mktemp("company"), "--allow-write") as found:
        yield found


@pytest.fixture(scope="module")
def impatient(two: Two, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """See ``company.IMPATIENT``; each user has two requests at work at most."""
    home = tmp_path_factory.mktemp("impatient")
    flags = ("--allow-write", "--max-body-bytes", "1000000")
    with company(two.stack, two.server, home, *flags, impatient=True, QUILT_MCP_USER_CALLS="2") as found:
        yield found
