"""Exit codes of the command line, one a group of errors: what a script would do next."""

from __future__ import annotations

OK = 0
REPORT = 1
FIX_INPUT = 2
SIGN_IN = 3
ASK_ACCESS = 4
RETRY = 5
RESOLVE_CONFLICT = 6
CHECK_DATA = 7
RESTORE = 8
INTERRUPTED = 130
TERMINATED = 143

BY_RECOVERY: dict[str, int] = {
    "fix_input": FIX_INPUT,
    "sign_in": SIGN_IN,
    "ask_access": ASK_ACCESS,
    "retry": RETRY,
    "restore": RESTORE,
    "resolve_conflict": RESOLVE_CONFLICT,
    "check_data": CHECK_DATA,
    "report": REPORT,
}

MEANINGS: dict[int, str] = {
    OK: "done",
    REPORT: "something unforeseen: report a bug (doctor: something is wrong)",
    FIX_INPUT: "fix the arguments: unknown, malformed or not found",
    SIGN_IN: "sign in",
    ASK_ACCESS: "ask for access: refused, outside the roots, writes not switched on, not supported",
    RETRY: "wait and try again: storage unavailable, full or locked",
    RESOLVE_CONFLICT: "resolve a conflict: the package moved on, or the name is taken",
    CHECK_DATA: "the data is not what it says it is",
    RESTORE: "restore it first: an object is in the archive",
    INTERRUPTED: "interrupted by Ctrl-C",
    TERMINATED: "ended by SIGTERM, unfinished files removed",
}
