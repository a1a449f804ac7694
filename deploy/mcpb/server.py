"""What a desktop client starts of the bundle: the server on stdio, from the source beside this file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))
if not os.environ.get("AWS_PROFILE"):  # left empty in the form: boto3 would look for a profile of that name
    os.environ.pop("AWS_PROFILE", None)

from quilt_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
