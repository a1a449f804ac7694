"""A package that would run something, or say what is not so, wherever a view took a name, a message or a content for more than
text. What runs sets ``window.__ran`` or asks for CANARY; what is drawn as an element bears the class or the id ``planted``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CANARY = "http://127.0.0.1:9009/canary"
RUN = f"window.__ran=1;fetch('{CANARY}')"
IMAGE = f'<img class=planted src="{CANARY}" onerror="{RUN}">'
SCRIPT = f"<script id=planted>{RUN}</script>"
SVG = (
    f'<svg xmlns="http://www.w3.org/2000/svg" class="planted" onload="{RUN}"><script>{RUN}</script><image href="{CANARY}"/>'
    f'<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="javascript:{RUN}"></iframe></foreignObject></svg>'
)
BIDI = "invoice\u202egnp.exe"
CONTROL = "bell\x07 escape\x1b[31mred\x1b[0m"
HIDDEN = "zero\u200bwidth\u2060joined\ufeffmark"

README = f"""\
# Welcome {IMAGE}

{SCRIPT}

<iframe class=planted src="javascript:{RUN}"></iframe>
<div class=planted style="position:fixed;inset:0;background:red" onmouseover="{RUN}">all of the page</div>
<style>body {{ display: none }}</style>
<form class=planted action="{CANARY}"><input name=a autofocus onfocus="{RUN}"></form>
<!-- {SCRIPT} -->

[a link](javascript:{RUN}) and [one](JaVaScRiPt&colon;{RUN}) and [two](java&#10;script:{RUN}) and [three](<javascript:{RUN}>)
[data](data:text/html,<script>{RUN}</script>) [vb](vbscript:x) [file](file:///etc/passwd) [blob](blob:http://x/1)
[ref][r] ![picture](javascript:{RUN}) ![out]({CANARY}) ![svg](data:image/svg+xml;utf8,{SVG.replace(" ", "%20")})
<javascript:{RUN}> [quote](http://a.example/" onmouseover="{RUN}) [title](http://a.example "x\\" onmouseover=\\"{RUN}")

[r]: javascript:{RUN}

`{SCRIPT}` and **{IMAGE}** | [x]({CANARY}"onclick={RUN})

| {IMAGE} | b |
|---|---|
| {SCRIPT} | [x](javascript:{RUN}) |

```html" onclick="{RUN}
{SCRIPT}
```

{"> " * 400}deep

{"*" * 3000}a{"*" * 3000} {"[" * 3000} {"`" * 1001}
"""

NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"language_info": {"name": f"python{SCRIPT}"}, "title": IMAGE},
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": README[:3000]},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {},
            "execution_count": 1,
            "source": SCRIPT,
            "outputs": [
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {
                        "text/html": IMAGE + SCRIPT,
                        "application/javascript": RUN,
                        "image/svg+xml": SVG,
                        "image/png": "not base64 <script>",
                        "text/plain": IMAGE,
                    },
                },
                {
                    "output_type": "stream",
                    "name": "stdout",
                    "text": [SCRIPT, "\x1b]8;;" + CANARY + "\x07link\x1b]8;;\x07"],
                },
                {"output_type": "error", "ename": IMAGE, "evalue": SCRIPT, "traceback": [IMAGE]},
            ],
        },
        {"cell_type": "raw", "id": "c", "metadata": {}, "source": IMAGE},
    ],
}

SUMMARY: list[Any] = [
    {"path": f"javascript:{RUN}", "title": IMAGE, "description": f"{SCRIPT} [x](javascript:{RUN})"},
    {"path": "../../../../etc/passwd", "title": "outside"},
    {
        "path": CANARY,
        "types": [{"name": "echarts", "style": {"height": f"1px;background:url({CANARY})"}}, "vega", "igv"],
    },
    [{"path": "page.html", "expand": True, "types": ["html"], "width": f"1px;background:url({CANARY})"}] * 40,
    7,
    None,
    {"path": {"__proto__": {"polluted": True}}},
    {"path": "__proto__", "title": {"toString": SCRIPT}},
]

META: dict[str, Any] = {
    IMAGE: SCRIPT,
    "note": f"{BIDI} {CONTROL} {HIDDEN}",
    "link": f"javascript:{RUN}",
    "constructor": {"prototype": {"polluted": 1}},
    "toString": "not a function",
    "hasOwnProperty": 1,
    "length": 10**9,
    "long": "m" * 20_000,
    "deep": json.loads("[" * 80 + "]" * 80),
}
PROTO = '{"__proto__": {"polluted": true, "isAdmin": true}, "constructor": {"prototype": {"polluted": true}}, "a": 1}'

FORMULAS = "name,value\n" + "".join(
    f'"{cell}",1\n'
    for cell in (
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(1)",
        f'=HYPERLINK(""{CANARY}"")',
        "\t=1",
        SCRIPT.replace('"', '""'),
    )
)
TABLE = f'"{SCRIPT}","__proto__","constructor","{IMAGE.replace(chr(34), chr(34) * 2)}"\n"{SCRIPT}",{BIDI},"{CONTROL}",toString\n'

_SLOWEST = (
    "[a](" * 4000,
    "![" * 4000,
    "a" + " " * 6000 + "b",
    "a|b\n-" + " " * 6000 + "x",
    "**a " * 1500,
    "`a``" * 1000,
)
SLOW = "\n\n".join([*_SLOWEST, "the end of it"])

FILES: dict[str, str] = {
    "README.md": README,
    "slow.md": SLOW,
    "quilt_summarize.json": json.dumps(SUMMARY),
    "picture.svg": SVG,
    "page.html": f"<!doctype html><body onload={RUN!r}>{SCRIPT}{IMAGE}",
    "notebook.ipynb": json.dumps(NOTEBOOK),
    "formulas.csv": FORMULAS,
    "table.csv": TABLE,
    "proto.json": PROTO,
    "script.js": RUN + "\n//</script>" + SCRIPT,
    "text.txt": f"{SCRIPT}\n{IMAGE}\n{BIDI}\n{CONTROL}\n{HIDDEN}\n",
    "quoted/" + IMAGE.replace("/", "\u2215") + ".txt": IMAGE,
    "quoted/</script>" + SCRIPT.replace("/", "\u2215"): SCRIPT,
    "quoted/\"'><svg onload=window.__ran=1>.csv": TABLE,
    "quoted/javascript:window.__ran=1": RUN,
    "quoted/{{7*7}}${7*7}<%= 7*7 %>.txt": "templates",
    "odd/__proto__": PROTO,
    "odd/constructor": "a file",
    "odd/toString/valueOf": "a file",
    "odd/" + BIDI: "not a picture",
    "odd/" + CONTROL: "a bell",
    "odd/" + HIDDEN: "hidden",
    "odd/line\nbreak\ttab.txt": "two lines",
    "odd/" + "n" * 900 + ".txt": "a long name",
    "odd/" + "/".join(["deep"] * 60) + "/end.txt": "far down",
    "odd/&lt;b&gt;entity&amp;.txt": "entities",
}


def build_hostile(source: Path, build: Callable[..., None]) -> None:
    import quilt3

    folder = source / "hostile"
    folder.mkdir()
    for revision in (1, 2):
        package = quilt3.Package()
        for number, (key, text) in enumerate(FILES.items()):
            path = (
                folder / f"{revision}-{number}{Path(key).suffix if key.isascii() and len(key) < 40 else ''}"
            )
            changed = key in {"table.csv", "text.txt", "picture.svg", "proto.json"} and revision == 2
            path.write_text(text + (text.splitlines()[-1] + "\n" if changed else ""))
            package.set(
                key,
                str(path),
                meta={"why": IMAGE, "__proto__": {"polluted": True}} if number % 5 == 0 else None,
            )
        package.set_meta({**META, "revision": revision})
        build(package, "lab/hostile", f"{SCRIPT}{IMAGE} {BIDI} {CONTROL} number {revision}")
