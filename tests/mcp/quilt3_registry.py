"""Makes a registry with the real quilt3: ``python quilt3_registry.py FOLDER [s3://BUCKET]``. A process of its own, as quilt3
fixes its folders when it is imported. Without a bucket, quilt3 leaves the bytes where they are: in FOLDER/here/source, where
tests run servers.

    demo/flowers   three revisions: files added, changed, renamed, metadata of package, folder and file
    demo/odd       unicode names, an empty file, a PNG, invalid UTF-8, control and bidi characters
    demo/large     200 entries (in a bucket 20) with long names and 600 bytes of metadata each, one of them 300 KB
    demo/outside   its file lies outside the registry and the folder that tests run servers in
"""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from pathlib import Path

FLOWERS = "sepal,petal,kind\n5.1,1.4,setosa\n7.0,4.7,versicolor\n"
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDAT"
    + zlib.compress(b"\0\xff\0\0")
    + b"\0\0\0\0\0\0\0\0IEND\xaeB`\x82"
)
SNEAKY = "plain\x1b[31mred\x1b[0m \u202ereversed\u202c \u200bhidden \U000e0041 tag\n"


def make(folder: Path, bucket: str | None = None) -> dict[str, list[str]]:
    """Answers the top hashes of each package, oldest first."""
    import quilt3

    source, registry = folder / "here" / "source", bucket or (folder / "registry").as_uri()
    (source / "1" / "data").mkdir(parents=True)
    (folder / "registry").mkdir()
    hashes: dict[str, list[str]] = {}

    def build(package: quilt3.Package, name: str, message: str) -> None:
        if bucket is None:
            top_hash = package.build(name, registry=registry, message=message)
        else:
            top_hash = package.push(name, registry=registry, message=message, force=True).top_hash
        hashes.setdefault(name, []).append(top_hash)

    (source / "1" / "README.md").write_text("# Flowers\n")
    (source / "1" / "data" / "flowers.csv").write_text(FLOWERS)
    (source / "1" / "data" / "notes.txt").write_text("first notes\n")
    package = quilt3.Package().set_dir("/", str(source / "1"))
    package.set_meta({"species": 3, "source": {"year": 1936}})
    build(package, "demo/flowers", "first")
    shutil.copytree(source / "1", source / "2")
    (source / "2" / "data" / "flowers.csv").write_text(FLOWERS + "6.3,6.0,virginica\n")
    package = quilt3.Package().set_dir("/", str(source / "2"))
    package.set("docs/notes.txt", str(source / "2" / "data" / "notes.txt"))
    package.delete("data/notes.txt")
    package["README.md"].set_meta({"language": "en"})
    package.set_meta({"species": 3, "source": {"year": 1936}, "checked": True})
    build(package, "demo/flowers", "second")
    (source / "more.json").write_text(json.dumps({"a": 1}))
    package.set("more.json", str(source / "more.json"))
    build(package, "demo/flowers", "third")

    odd = quilt3.Package()
    for key, content in {
        "naïve/日本 語.txt": "ünïcode\n".encode(),
        "empty": b"",
        "picture.png": PNG,
        "broken.txt": b"half a character: \xff\xfe\n",
        "sneaky.txt": SNEAKY.encode(),
        "binary.bin": bytes(range(256)) * 40,
    }.items():
        path = source / "odd" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        odd.set(key, str(path))
    odd.set_meta({"note": SNEAKY, "huge": 10**30, "none": None})
    build(odd, "demo/odd", "odd \u202ethings")

    (source / "one.txt").write_text("one\n" * 10)
    large = quilt3.Package()
    for number in range(200 if bucket is None else 20):
        key = f"some/rather/long/folder/name/number-{number:04d}.txt"
        large.set(key, str(source / "one.txt"), meta={"text": "x" * 600, "number": number})
    large["some/rather/long/folder/name/number-0007.txt"].set_meta({"huge": ["y" * 100] * 3000})
    (source / "long.txt").write_text("".join(f"line {number} é\n" for number in range(60_000)))
    large.set("long.txt", str(source / "long.txt"))
    build(large, "demo/large", "large")

    outside = folder / "outside"
    outside.mkdir()
    (outside / "there.txt").write_text("not in the registry\n")
    built = quilt3.Package().set("there.txt", str(outside / "there.txt"))
    build(built, "demo/outside", "outside")
    return hashes


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent.parent))
    from parts.quilt3_client import one_client

    with one_client():
        print(json.dumps(make(Path(sys.argv[1]), *sys.argv[2:])))
