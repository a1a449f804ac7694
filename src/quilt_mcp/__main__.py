"""``python -m quilt_mcp`` is ``quilt-mcp``."""

import sys

from quilt_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
