"""Statements that would take all the time, memory or disk there is."""

from __future__ import annotations

from typing import Final

BOMBS: Final = (
    "SELECT repeat('x', 4000000000)",
    "SELECT count(*) FROM range(100000000000)",
    "SELECT count(*) FROM range(1000000) a, range(1000000) b",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "SELECT len(range(2000000000))",
    "SELECT len(lpad('x', 2000000000, 'y'))",
    "SELECT len(format('{:1000000000}', 'x'))",
    "SELECT list(a.range) FROM range(100000) a, range(100000) b",
    "SELECT * FROM range(1000000000)",
    "SELECT hash(x), x FROM range(200000000) t(x) ORDER BY 1",
    "SELECT [range(1000000) FOR i IN range(1000)]",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT length(repeat('x', 900000000)::BLOB::VARCHAR || repeat('y', 900000000))",
    "SELECT base64(repeat('x', 900000000)::BLOB)",
    "SELECT len(string_split(repeat('a,', 200000000), ','))",
    "SELECT jaro_winkler_similarity(repeat('ab', 2000000), repeat('ba', 2000000))",
    "SELECT levenshtein(repeat('ab', 100000), repeat('ba', 100000))",
    "SELECT damerau_levenshtein(repeat('ab', 50000), repeat('ba', 50000))",
    "SELECT jaccard(repeat('ab', 90000000), repeat('ba', 90000000))",
    "SELECT count(*) FROM range(100000000) t(x) WHERE x IN (" + ",".join(map(str, range(8_000))) + ")",
    "SELECT 1 WHERE " + " AND ".join(["1=1"] * 7_000),
    "SELECT " + "+".join(["1"] * 30_000),
    "SELECT " + "NOT " * 14_000 + "true",
    "SELECT " + "[" * 20_000 + "]" * 20_000,
    "SELECT " + "CASE WHEN true THEN " * 2_500 + "1" + " END" * 2_500,
    "SELECT " * 1 + "(SELECT " * 3_000 + "1" + ")" * 3_000,
    " UNION ALL ".join(["SELECT 1"] * 3_400),
    "SELECT " + ",".join(["1"] * 30_000),
    "WITH "
    + ", ".join(
        f"a{n} AS (SELECT * FROM {'range(2)' if not n else f'a{n - 1} x, a{n - 1} y'})" for n in range(14)
    )
    + " SELECT count(*) FROM a13",
    "SELECT regexp_matches(repeat('a', 10000000), '(a*)*b')",
    "SELECT regexp_replace(repeat('a', 30000000), '(a?){900}', 'x', 'g')",
    "SELECT repeat('a', 30000) LIKE repeat('%a', 10000)",
    "SELECT regexp_matches('x', repeat('(a{1000}){1000}', 50))",
    "PIVOT (SELECT range % 9000 AS x, range AS y FROM range(1000000)) ON x IN ("
    + ",".join(map(str, range(9_000)))
    + ") USING sum(y), avg(y)",
    "SELECT count(DISTINCT (x, hash(x))) FROM range(300000000) t(x)",
    "SELECT x, count(*) FROM range(400000000) t(x) GROUP BY x",
    "SELECT factorial(33)::HUGEINT * sum(x::DECIMAL(38, 0)) FROM range(100000000) t(x)",
    "SELECT string_agg(repeat('x', 100000)) FROM range(1000000)",
    "SELECT array_agg(x ORDER BY hash(x)) FROM range(200000000) t(x)",
    "SELECT histogram(x) FROM range(200000000) t(x)",
    "SELECT mode(x) FROM range(300000000) t(x)",
    "SELECT quantile_cont(x, 0.5) FROM range(400000000) t(x)",
    "SELECT sum(x) OVER (ORDER BY hash(x) ROWS BETWEEN 9000000 PRECEDING AND CURRENT ROW) FROM range(50000000) t(x)",
    "SELECT max(s) OVER (ROWS BETWEEN 1000000 PRECEDING AND 1000000 FOLLOWING) FROM (SELECT md5(x::VARCHAR) s FROM range(20000000) t(x))",
    "SELECT md5(repeat('x', 1000000000))",
    "SELECT unnest(range(1000000000))",
    "SELECT unnest([repeat('x', 1000000)] || [repeat('y', 1000000)]) FROM range(100000)",
    "SELECT list_reduce(range(1000000)::VARCHAR[], lambda a, b: a || b)",
    "SELECT list_transform(range(100000), lambda x: list_transform(range(100000), lambda y: x * y))",
    "SELECT json_group_array(x) FROM range(100000000) t(x)",
    "SELECT from_json(repeat('[', 1000000), '\"JSON\"')",
    "SELECT json_extract(repeat('[', 3000000) || repeat(']', 3000000), '$[0]')",
    "SELECT 9999999999999999999999999999999999999::DECIMAL(38,0) ** 99999",
    "SELECT pow(10, 400)::HUGEINT",
    "SELECT rpad('', 1000000000, 'é') FROM range(100)",
    "SELECT translate(repeat('abc', 300000000), 'a', 'bcd')",
    "SELECT replace(repeat('a', 100000000), 'a', repeat('b', 100))",
    "SELECT printf('%1000000000d', 1)",
    "SELECT url_encode(repeat('é', 300000000))",
    "SELECT bitstring('1', 2000000000)",
    "SELECT * FROM generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01', INTERVAL 1 MICROSECOND)",
    "SELECT " + ", ".join(["COLUMNS(*)"] * 2_000) + " FROM (SELECT 1 a, 2 b, 3 c, 4 d)",
    "SELECT " + "*, " * 3_000 + "1 FROM package_entry",
    "SELECT * FROM range(3) " + " ".join(f"POSITIONAL JOIN range(3) t{n}" for n in range(600)),
    "SELECT x FROM range(9) t(x) GROUP BY CUBE (" + ",".join(["x"] * 12) + ")",
)
FEW_BOMBS: Final = BOMBS[:12]
"""What CI tries."""
