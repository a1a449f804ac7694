"""One address form: each spelling of a package, a file in it, an object or a folder means the same in every tool."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from serving import Connect, Place, PlaceOnS3, connected, failure, result

pytestmark = pytest.mark.anyio
FILE = "docs/notes.txt"
CATALOG = "https://catalog.example"
FLOWERS = "data/flowers.csv"


async def text_of(client: Client, **arguments: Any) -> str:
    return (await result(client, "object_read", **arguments))["data"]["text"]


@pytest.mark.sampled(1)
async def test_a_file_of_a_package_is_read_by_each_spelling_case_A5(connect: Connect, place: Place) -> None:
    top_hash = place.hashes["demo/flowers"][-1]
    uri = place.uri("demo/flowers")
    async with connect() as client:
        for spelling in (
            f"demo/flowers/{FILE}",
            f"demo/flowers@{top_hash}/{FILE}",
            f"demo/flowers@{top_hash[:6].upper()}/{FILE}",
            f"demo/flowers@latest/{FILE}",
            f" demo/flowers:latest/{FILE} ",
            f"{uri}&path={FILE}",
            f"{uri}&path=/{FILE}".replace("quilt+file", "Quilt+FILE"),
        ):
            for more in ({}, {"registry": place.url}, {"path": FILE}):
                assert await text_of(client, uri=spelling, **more) == "first notes\n", (spelling, more)
            assert (await result(client, "object_link", uri=spelling))["data"]["kind"] == "file"
            browsed = await result(client, "package_browse", package=spelling)
            assert [one["path"] for one in browsed["data"]["entries"]] == [FILE]
        for package in (
            "demo/flowers",
            "demo/flowers/",
            f"demo/flowers@{top_hash[:8]}",
            uri,
            f"{uri}&path=/",
        ):
            assert await text_of(client, package=package, path=FILE) == "first notes\n"
            assert await text_of(client, uri=package, path=FILE) == "first notes\n"
            assert (
                await text_of(client, package=package, path=f"/{FILE}", registry=place.url) == "first notes\n"
            )
            assert (await result(client, "package_browse", package=package))["data"]["totals"]["entries"] == 4
            assert (await result(client, "package_verify", package=package))["data"]["checked"][
                "entries"
            ] == 4
        for folder in ("demo/flowers/docs/", "demo/flowers/docs"):
            assert (await result(client, "package_verify", package=folder))["data"]["checked"]["entries"] == 1
            log = await result(client, "package_log", package=folder)
            assert (
                log["uri"].partition("#")[2] == f"package=demo/flowers&path={folder.partition('flowers/')[2]}"
            )


@pytest.mark.sampled(1)
async def test_two_paths_that_differ_are_an_error_that_names_both(connect: Connect, place: Place) -> None:
    async with connect() as client:
        for arguments in (
            {"package": "demo/flowers/README.md", "path": FILE},
            {"uri": f"{place.uri('demo/flowers')}&path=README.md", "path": FILE},
        ):
            error = await failure(client, "object_read", **arguments)
            assert "README.md" in error["message"]
            assert FILE in error["message"]
        for arguments, said in (
            ({}, "Neither"),
            ({"uri": "x", "package": "demo/flowers"}, "Both"),
            ({"uri": (place.here / "source").as_uri(), "path": "x"}, "path belongs to a package"),
            ({"uri": "./source", "registry": place.url}, "registry belongs to a package"),
            ({"uri": f"{CATALOG}/b/bucket/tree/x", "path": "x"}, "path belongs to a package"),
            ({"uri": place.uri("demo/flowers"), "registry": "s3://other"}, "registry says s3://other"),
        ):
            error = await failure(client, "object_read", **arguments)
            assert (error["code"], said in error["message"]) == ("invalid_argument", True), error


@pytest.mark.sampled(1)
async def test_a_local_file_is_read_by_each_spelling_case_A4(connect: Connect, place: Place) -> None:
    (place.here / "plain").mkdir(exist_ok=True)
    (place.here / "plain" / "a b#1.txt").write_text("plain\n")
    path = "plain/a b#1.txt"
    async with connect() as client:
        for spelling in (
            path,
            f"./{path}",
            str(place.here / path),
            (place.here / path).as_uri(),
            (place.here / path).as_uri().replace("file:", "FILE:"),
            f"file://localhost{(place.here / path).as_uri().removeprefix('file://')}",
        ):
            assert await text_of(client, uri=spelling) == "plain\n", spelling
            found = await result(client, "object_link", uri=spelling)
            assert found["data"]["url"] == (place.here / path).as_uri()
        folder = (place.here / "plain").as_uri()
        for spelling in ("plain", "plain/", "./plain", str(place.here / "plain"), folder, f"{folder}/"):
            [listed] = (await result(client, "object_list", location=spelling))["data"]["objects"]
            assert listed["uri"] == (place.here / path).as_uri(), spelling
        assert (await result(client, "object_list", location="."))["data"]["objects"]
        assert "'..'" in (await failure(client, "object_list", location="../x"))["message"]


@pytest.mark.sampled(1)
async def test_the_first_root_is_what_relative_paths_are_below(connect: Connect, place: Place) -> None:
    first, second = place.home / "first root", place.home / "second root"
    for root, text in ((first, "1"), (second, "2")):
        root.mkdir(exist_ok=True)
        (root / "f").write_text(text)
    async with connect("--root", str(first), "--root", str(second), "--allow-write") as client:
        assert await text_of(client, uri="f") == await text_of(client, uri="./f") == "1"
        await result(client, "package_create", package="r/r", sources="f", files=[], overwrite=True)
        assert await text_of(client, package="r/r", path="f") == "1"
        installed = await result(client, "package_install", package="demo/flowers", dest="in", dry_run=True)
        assert installed["data"]["dest"] == str(first / "in")
        put = await result(client, "object_put", uri="new/x", text="x", dry_run=True)
        assert put["uri"] == (first / "new" / "x").as_uri()


@pytest.mark.sampled(1)
async def test_registries_may_be_folders_below_the_first_root(connect: Connect, place: Place) -> None:
    (place.here / "mine" / "registry").mkdir(parents=True, exist_ok=True)
    async with connect("--allow-write") as client:
        for spelling in ("mine/registry", "./mine/registry/", str(place.here / "mine" / "registry")):
            found = await result(client, "packages_list", registry=spelling)
            assert found["data"]["registry"] == (place.here / "mine" / "registry").as_uri()
            copied = await result(
                client, "package_copy", package="demo/flowers", to="c/c/", to_registry=spelling, dry_run=True
            )
            assert copied["uri"].startswith(f"quilt+{found['data']['registry']}#")
        error = await failure(client, "packages_list", registry="mine")
        assert "s3://mine" in error["next_step"]
        assert "./mine" in error["next_step"]
        assert (await failure(client, "packages_list", registry="  "))["code"] == "invalid_uri"


@pytest.mark.sampled(1)
async def test_a_text_that_names_a_package_and_a_file_is_never_guessed(
    connect: Connect, place: Place
) -> None:
    (place.here / "demo" / "odd").mkdir(parents=True, exist_ok=True)
    (place.here / "demo" / "odd" / "empty").write_text("a file's")
    (place.here / "demo" / "none").mkdir(parents=True, exist_ok=True)
    (place.here / "demo" / "none" / "f").write_text("only a file")
    async with connect("--allow-write") as client:
        error = await failure(client, "object_read", uri="demo/odd/empty")
        assert place.url in error["next_step"]
        assert "./demo/odd/empty" in error["next_step"]
        assert await text_of(client, uri="./demo/odd/empty") == "a file's"
        assert await text_of(client, uri="demo/odd/sneaky.txt") != ""
        assert await text_of(client, uri="demo/none/f") == "only a file"
        assert len((await result(client, "object_list", location="demo/none"))["data"]["objects"]) == 1
        neither = await failure(client, "object_read", uri="demo/nothing/f")
        assert neither["code"] == "object_not_found"
        assert "neither a package" in neither["message"]
        assert (await failure(client, "object_read", uri="demo/nothing@latest/f"))[
            "code"
        ] == "package_not_found"
        for uri, said in (
            ("demo/flowers/new.txt", "./demo/flowers/new.txt"),
            (f"{place.uri('demo/flowers')}&path=new.txt", "package_patch"),
            (f"{CATALOG}/b/bucket/packages/a/b/tree/latest/x", "package_patch"),
        ):
            assert said in (await failure(client, "object_put", uri=uri, text="x"))["next_step"]
        put = await result(client, "object_put", uri="demo/none/g", text="g", dry_run=True)
        assert put["uri"] == (place.here / "demo" / "none" / "g").as_uri()


@pytest.mark.sampled(1)
async def test_a_source_is_a_path_or_a_package_and_never_guessed(connect: Connect, place: Place) -> None:
    (place.here / "demo" / "flowers").mkdir(parents=True, exist_ok=True)
    (place.here / "demo" / "flowers" / "of_a_folder").write_text("x")
    (place.here / "demo" / "large@latest").mkdir(parents=True, exist_ok=True)
    (place.here / "no" / "name:tag").mkdir(parents=True, exist_ok=True)
    (place.here / "no" / "name:tag" / "f").write_text("x")

    async def paths(source: str) -> list[str]:
        plan = await result(client, "package_create", package="s/s", sources=[source], dry_run=True)
        return [one["path"] for one in plan["data"]["changes"]]

    async with connect("--allow-write") as client:
        assert await paths("./demo/flowers") == ["of_a_folder"]
        assert await paths("demo/large@latest/long.txt") == ["long.txt"]
        assert await paths("demo/flowers/*_folder") == ["of_a_folder"]
        for source in ("demo/flowers", "demo/flowers/of_a_folder"):
            assert await paths(source) == ["of_a_folder"], "a folder can be packaged under its own name twice"
        for source in ("demo/large/long.txt", "demo/large"):
            gone = await failure(client, "package_create", package="s/s", sources=[source], dry_run=True)
            assert gone["code"] == "source_not_found", (
                "an older package never stands in for a folder that is gone"
            )
            assert f"{source}@latest" in gone["next_step"] or "/long" in source
        gone = await failure(client, "package_create", package="s/s", sources=["no/such/f"], dry_run=True)
        assert gone["code"] == "source_not_found"
        assert await paths("demo/flowers@latest/docs") == ["notes.txt"]
        assert await paths(f"demo/flowers@{place.hashes['demo/flowers'][0][:6]}/data/") == [
            "flowers.csv",
            "notes.txt",
        ]
        assert await paths(f"{place.uri('demo/flowers')}&path=docs".replace("quilt+file", "QUILT+File")) == [
            "notes.txt"
        ]
        assert await paths("no/name:tag") == ["f"]
        both = await failure(
            client, "package_create", package="s/s", sources=["demo/large@latest"], dry_run=True
        )
        assert "./demo/large@latest" in both["next_step"]
        none = await failure(
            client, "package_create", package="s/s", sources=["no/such@latest"], dry_run=True
        )
        assert none["code"] == "package_not_found"


@pytest.mark.sampled(1)
async def test_a_short_hash_is_told_how_many_digits_it_needs(connect: Connect, place: Place) -> None:
    short = place.hashes["demo/flowers"][0][:5]
    async with connect("--allow-write") as client:
        for tool, asked in (
            ("package_browse", {"package": f"demo/flowers@{short}"}),
            ("object_read", {"uri": f"demo/flowers@{short}/{FILE}"}),
            ("package_create", {"package": "s/s", "sources": [f"demo/flowers@{short}/docs"], "dry_run": True}),
            ("package_diff", {"before": short, "after": "demo/flowers"}),
            ("package_patch", {"package": "demo/flowers", "expected_top_hash": short, "message": "x", "dry_run": True}),
        ):  # fmt: skip
            error = await failure(client, tool, **asked)
            assert "at least 6 digits" in error["next_step"], tool
        (place.here / "demo").mkdir(exist_ok=True)
        (place.here / "demo" / "count@12").write_text("a file's name")
        assert await text_of(client, uri="demo/count@12") == "a file's name"


@pytest.mark.sampled(1)
async def test_a_guard_may_be_the_address_of_the_revision(connect: Connect, place: Place) -> None:
    latest = place.hashes["demo/flowers"][-1]
    patch = {"package": "demo/flowers", "message": "x", "dry_run": True}
    async with connect("--allow-write") as client:
        for guard in (latest, latest[:8], f"demo/flowers@{latest[:10]}", place.uri("demo/flowers")):
            plan = await result(client, "package_patch", **patch, expected_top_hash=guard)
            assert plan["data"]["parent"] == latest[:10], guard
        for guard in (f"demo/odd@{latest}", "demo/flowers", "demo/flowers:latest"):
            error = await failure(client, "package_patch", **patch, expected_top_hash=guard)
            assert (error["code"], "expected_top_hash" in error["message"]) == ("invalid_argument", True)


@pytest.mark.sampled(1)
async def test_a_hash_alone_is_a_revision_of_the_package_it_is_compared_with(
    connect: Connect, place: Place
) -> None:
    first, latest = place.hashes["demo/flowers"][0], place.hashes["demo/flowers"][-1]
    async with connect() as client:
        whole = await result(client, "package_diff", before=f"demo/flowers@{first}", after="demo/flowers")
        for before, after in (
            (first[:10], "demo/flowers"), (f"demo/flowers@{first}", latest), (f"@{first[:6]}", "demo/flowers:latest"),
        ):  # fmt: skip
            found = await result(client, "package_diff", before=before, after=after)
            assert (found["data"], found["uri"]) == (whole["data"], whole["uri"])
        below = await result(client, "package_diff", before=first, after="demo/flowers/docs")
        assert "package_metadata" not in below["data"] and "added" in below["data"]
        neither = await failure(client, "package_diff", before=first, after=latest)
        assert f"ns/name@{latest[:10]}" in neither["next_step"]


@pytest.mark.sampled(1)
async def test_a_name_without_its_namespace_is_told_with_near_names(connect: Connect) -> None:
    async with connect() as client:
        for tool, asked in (
            ("package_browse", {"package": "flowers"}),
            ("package_log", {"package": "flowers@latest"}),
            ("package_diff", {"before": "flowers", "after": "demo/flowers"}),
        ):
            error = await failure(client, tool, **asked)
            assert (error["code"], error["next_step"].startswith("Did you mean demo/flowers")) == (
                "invalid_name", True,
            )  # fmt: skip
        odd = await failure(client, "package_browse", package="zzzzzzzz")
        assert odd["next_step"].startswith("Write it as namespace/name")


@pytest.mark.sampled(1)
async def test_a_folder_that_is_read_is_told_with_the_call_that_shows_it(
    connect: Connect, place: Place
) -> None:
    async with connect() as client:
        for asked in ({"path": "data"}, {"path": "data/"}, {"path": "data", "mode": "rows"}):
            error = await failure(client, "object_read", package="demo/flowers", **asked)
            found = re.search(r"package_browse with package='(.+?)' and path='(data/?)'", error["next_step"])
            assert error["code"] == "not_a_file" and found, asked
            rows = await result(client, "package_browse", package=found[1], path=found[2])
            assert [one["path"] for one in rows["data"]["entries"]] == [FLOWERS]
            read = await result(client, "object_read", package=found[1], path=FLOWERS)
            assert read["data"]["mode"] == "text"


@pytest.mark.sampled(1)
async def test_a_package_is_not_listed_as_a_folder_but_the_call_that_does_it_is_told(
    connect: Connect, place: Place
) -> None:
    async with connect() as client:
        for location, path in (
            (place.uri("demo/flowers"), None),
            (f"{place.uri('demo/flowers')}&path=data/", "data/"),
            ("demo/flowers@latest/data", "data"),
        ):
            error = await failure(client, "object_list", location=location)
            assert "package_browse" in error["next_step"]
            assert (f"path={path!r}" in error["next_step"]) == (path is not None)


@pytest.mark.sampled(1)
async def test_a_resource_is_addressed_as_a_package_is(connect: Connect, place: Place) -> None:
    async with connect() as client:
        for uri in (f"demo/flowers/{FILE}", f"demo%2Fflowers/{FILE}", f"demo/flowers@latest/{FILE}"):
            [content] = (await client.read_resource(f"quilt://default/{uri}")).contents
            assert content.text.endswith("first notes\n"), uri
        for uri in ("quilt://default", "quilt://default/demo/flowers", "quilt://default/demo/flowers/"):
            with pytest.raises(MCPError, match="no resource"):
                await client.read_resource(uri)


@pytest.mark.sampled(1)
async def test_a_server_without_a_root_says_so_of_relative_paths(connect: Connect, place: Place) -> None:
    (place.home / "rootless").mkdir(exist_ok=True)
    homeless = Place(place.home / "rootless", place.registry, place.home / "rootless", place.hashes)
    async with connected(homeless, "stdio-modern") as client:
        assert "--root" in (await failure(client, "object_read", uri="x.txt"))["next_step"]
        assert (await result(client, "object_read", uri=f"demo/flowers/{FILE}", mode="info"))["data"][
            "size"
        ] == 12
        assert (await failure(client, "object_read", uri="no/thing"))["code"] == "object_not_found"


@pytest.mark.xdist_group("a place on S3")
async def test_links_of_a_catalog_and_capitals_name_what_lies_in_a_bucket_case_A6_A7(
    place_on_s3: PlaceOnS3,
) -> None:
    bucket, top_hash = place_on_s3.bucket, place_on_s3.hashes["demo/flowers"][-1]
    page = f"{CATALOG}/b/{bucket}/packages/demo/flowers"
    async with connected(
        place_on_s3, "stdio-modern", "--allow-write", QUILT_DEFAULT_REGISTRY=str(place_on_s3.registry)
    ) as client:
        for spelling in (
            f"{page}/tree/{top_hash}/{FILE}",
            f"{page}/tree/latest/{FILE}?mode=text",
            f"Quilt+S3://{bucket}#package=demo/flowers&path={FILE}",
        ):
            assert await text_of(client, uri=spelling) == "first notes\n"
            assert await text_of(client, package=spelling) == "first notes\n"
            plan = await result(
                client,
                "package_create",
                package="l/l",
                sources=[spelling],
                registry=f"S3://{bucket}/",
                dry_run=True,
            )
            assert [one["path"] for one in plan["data"]["changes"]] == ["notes.txt"]
        there = f"quilt+s3://{bucket}#package=demo/flowers"
        log = (await result(client, "package_log", package=there))["data"]
        for spelling in (page, f"{page}/tree/latest/", f"{page}/revisions"):
            assert (await result(client, "package_log", package=spelling))["data"] == log
            assert (await result(client, "packages_list", registry=spelling))["data"][
                "registry"
            ] == f"s3://{bucket}"
        named = f"{page}/tree/{top_hash}/{FILE}"
        found = await result(client, "package_browse", package=named, detail=True)
        entry = found["data"]["entries"][0]
        key, _, version = entry["physical_key"].removeprefix(f"s3://{bucket}/").partition("?versionId=")
        assert version
        for spelling in (
            entry["physical_key"],
            entry["physical_key"].replace("s3://", "S3://"),
            f"{CATALOG}/b/{bucket}/tree/{key}?version={version}",
        ):
            read = await result(client, "object_read", uri=spelling)
            assert (read["data"]["text"], read["uri"]) == ("first notes\n", entry["physical_key"])
        for folder in (f"{CATALOG}/b/{bucket}", f"{CATALOG}/b/{bucket}/tree/", f"s3://{bucket}"):
            listed = (await result(client, "object_list", location=folder, detail=True))["data"]["objects"]
            assert {one["uri"] for one in listed} >= {f"s3://{bucket}/.quilt/"}


@pytest.mark.sampled(1)
async def test_every_address_in_an_answer_is_taken_by_every_tool_that_takes_one_C32(
    connect: Connect, place: Place
) -> None:
    """Packages where packages are taken, objects where objects are; the registry anywhere."""
    async with connect("--allow-write") as client:
        asked = {"package": "demo/flowers", "recursive": True}
        browsed = await result(client, "package_browse", **asked)
        found = set(addresses(browsed)) | {
            f"{browsed['uri']}&path={quote(row['path'])}" for row in browsed["data"]["entries"]
        }
        found |= set(addresses(await result(client, "package_browse", detail=True, **asked)))
        for name in ("package_log", "package_verify"):
            found |= set(addresses(await result(client, name, package="demo/flowers")))
        diff = await result(
            client,
            "package_diff",
            before=f"demo/flowers@{place.hashes['demo/flowers'][0]}",
            after="demo/flowers",
        )
        listed = await result(client, "object_list", location=place.url)
        found |= {*addresses(diff), *addresses(listed), *addresses(await result(client, "registry_list"))}
        found |= set(addresses(await result(client, "object_link", uri=f"demo/flowers/{FILE}")))
        assert len(found) > 10
        for address in found:
            if is_registry(address, place):
                assert "packages" in (await result(client, "packages_list", registry=address))["data"]
            elif address.startswith("quilt+"):
                for tool in ("package_browse", "package_log", "package_verify"):
                    await result(client, tool, package=address)
                await result(client, "package_diff", before=address, after=address)
                await result(client, "object_read", uri=address, mode="info")
                await result(client, "package_create", package="t/t", sources=address, dry_run=True)
            elif address.endswith("/"):
                await result(client, "object_list", location=address)
                await result(client, "package_create", package="t/t", sources=address, dry_run=True)
            else:
                await result(client, "object_link", uri=address)
                await result(client, "object_read", uri=address)
                await result(client, "package_create", package="t/t", sources=address, dry_run=True)


def is_registry(address: str, place: Place) -> bool:
    return address in (place.url, f"{place.url}/") or address.endswith("packages")


def addresses(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for one in value.values() for found in addresses(one)]
    if isinstance(value, list):
        return [found for one in value for found in addresses(one)]
    is_address = isinstance(value, str) and value.startswith(("quilt+", "file:", "s3:"))
    return [value] if is_address else []


@pytest.mark.sampled(1)
@pytest.mark.parametrize("guard", ["@", " @ ", "@@"])
async def test_a_guard_that_guards_nothing_is_an_error(connect: Connect, guard: str) -> None:
    async with connect("--allow-write") as client:
        error = await failure(
            client,
            "package_patch",
            package="demo/flowers",
            message="m",
            expected_top_hash=guard,
            dry_run=True,
        )
        assert error["code"] == "invalid_argument"
