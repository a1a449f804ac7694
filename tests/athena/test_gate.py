"""Athena's own SQL: queries that read pass as they were written, and nothing else does."""

from __future__ import annotations

import pytest

from quilt_mcp.athena.gate import pass_read_only
from quilt_mcp.errors import InputError, InvalidArgument, NotSupported, QuiltError, TooLarge

PASS = """
select 1
SELECT * FROM "b_package_entry" WHERE logical_key LIKE 'a;b--c'
with x as (select 1 a) select * from x union all select 2
select a from t intersect select a from u
select a from t except select a from u
values (1, 2), (3, 4)
(select 1) union (select 2)
show tables in db
show databases
SHOW COLUMNS IN `my-table`
show partitions t
show create table t
describe db.t
DESCRIBE `b_package_entry`
explain select * from t
EXPLAIN ANALYZE select 1
explain (format json) select 1
explain (type logical) with x as (select 1) select * from x
select updated_at, "insert", 'drop table x' from t
select "$path", "$file_size" from t
select * from "t$files"
select * from "t$history" h
select * from t for timestamp as of timestamp '2026-01-01 00:00:00 UTC'
select * from t for version as of 123
select * from t cross join unnest(array[1, 2]) with ordinality as u(x, n)
select * from AwsDataCatalog.db.t
select * from "quilt-x-tabulator"."my-bucket"."table"
select json_extract_scalar(metadata, '$.a') from t
select approx_percentile(size, 0.5) from t group by grouping sets ((a), (b))
select transform(array[1], x -> x + 1), reduce(a, 0, (s, x) -> s + x, s -> s) from t
select row_number() over (partition by a order by b rows between 1 preceding and current row) from t
select 'it''s', "odd ""name"
select date '2026-01-01' + interval '1' day, timestamp '2026-01-01 00:00:00' at time zone 'UTC'
select a[1], m['k'], cast(row(1, 'a') as row(x bigint, y varchar)).x from t
select count(*) filter (where a) from t tablesample bernoulli (10)
select try(1 / 0), if(a, 1, 2), case when a then 1 end from t
select * from information_schema.tables
select call, "unload", prepare from t
select x'0aff'
""".strip().splitlines()

REFUSE = r"""
insert into t select 1
INSERT INTO t VALUES (1)
create table x as select 1
create external table x (a int) location 's3://b/'
create view v as select 1
create or replace view v as select 1
create database d
unload (select 1) to 's3://x' with (format = 'PARQUET')
UNLOAD(SELECT 1) TO 's3://x'
  /* c */ unload (select 1) to 's3://x'
msck repair table t
vacuum t
optimize t rewrite data using bin_pack
prepare p from select 1
prepare p from unload (select 1) to 's3://x'
execute p
execute p using 1
deallocate prepare p
call system.x()
using external function f(x int) returns int lambda 'y' select f(1)
USING EXTERNAL FUNCTION f(x VARCHAR) RETURNS VARCHAR LAMBDA 'arn' SELECT f(a) FROM t
select * from table(system.query(query => 'drop table x'))
select * from TABLE (postgres.system.query(query => 'x'))
select * from table(exclude_columns(input => table(t), columns => descriptor(a)))
select * from table(sequence(1, 3))
select * from other.db.t
select * from "lambda-connector".db.t
select 1 where exists (select 1 from other.db.t)
with x as (select * from other.db.t) select 1
select * from a.b.c.d
select 1; drop table x
select 1; select 2
drop table x
drop view v
drop database d cascade
with x as (insert into t select 1) select 1
with x as (delete from t) select 1
explain insert into t select 1
explain analyze create table t as select 1
explain analyze verbose delete from t
explain analyze unload (select 1) to 's3://x'
explain explain select 1
explain show tables
explain
show functions
show session
show role grants
show stats for (select 1)
describe input p
describe output p
describe
describe t; drop table t
show tables in db; drop table t
grant select on t to u
revoke select on t from u
set session x = 1
reset session x
use db
select 'a\' ; drop table x --'
select 1 /* a /* b */ ; drop table t */
delete from t
delete from t where 1 = 1
update t set a = 1
merge into t using u on a = b when matched then delete
alter table t add columns (a int)
alter table t drop partition (d = '1')
alter table t execute optimize
select * into x from t
table t
select system.f(1)
select other.db.f(a) from t
-- only
/* not closed
truncate table t
select 'open
select "open
select $$x$$
select U&'\0041'
select 1 from (delete from t)
analyze t
refresh materialized view v
comment on table t is 'x'
start transaction
commit
rollback
select `a` from t
load data inpath 'x' into table t
export table t to 's3://x'
from t select 1
with function f(x int) returns int return x select f(1)
select * from final table (insert into t values (1))
select #comment
select N'x'
""".strip("\n").splitlines()


def test_there_are_enough_of_each() -> None:
    assert len(set(PASS)) >= 25
    assert len(set(REFUSE)) >= 60


@pytest.mark.parametrize("sql", PASS)
def test_a_query_that_reads_passes_as_it_was_written(sql: str) -> None:
    passed = pass_read_only(sql, ["AwsDataCatalog", "quilt-x-tabulator"])
    assert passed.sql.lower() == sql.lower()


@pytest.mark.parametrize("sql", REFUSE)
def test_whatever_else_is_refused_with_a_reason_and_a_way_out(sql: str) -> None:
    with pytest.raises(QuiltError) as caught:
        pass_read_only(sql, ["AwsDataCatalog"])
    assert isinstance(caught.value, NotSupported | InputError)
    assert caught.value.message and caught.value.next_step


@pytest.mark.parametrize("sql", REFUSE)
def test_what_is_refused_is_refused_behind_comments_and_within_explain(sql: str) -> None:
    for before in ("/**/", "-- x\n", " \n\t", "EXPLAIN ", "explain analyze "):
        with pytest.raises(QuiltError):
            pass_read_only(before + sql, ["AwsDataCatalog"])


def test_comments_are_not_sent() -> None:
    assert pass_read_only("select /* a */ 1 -- b\n, 2 ;", []).sql == "select 1 , 2"


def test_what_is_free_of_charge_is_known() -> None:
    assert pass_read_only("show tables", []).is_free
    assert pass_read_only("explain select 1", []).is_free
    assert not pass_read_only("explain analyze select 1", []).is_free
    assert not pass_read_only("select 1", []).is_free


def test_parameters_become_literals_and_never_sql() -> None:
    odd = "'; drop table x --"
    passed = pass_read_only(
        "select ?, $name, '?', \"$path\" from t where a=?", [], {"1": odd, "name": None, "2": -3}
    )
    assert passed.sql == "select '''; drop table x --', NULL, '?', \"$path\" from t where a= (-3)"
    assert pass_read_only("select ? + ?", [], [1, 2.5]).sql == "select 1 + CAST('2.5' AS DOUBLE)"
    with pytest.raises(InvalidArgument):
        pass_read_only("select ?", [], [])
    with pytest.raises(InvalidArgument):
        pass_read_only("select 1", [], [1])


def test_texts_without_bound_are_refused() -> None:
    with pytest.raises(TooLarge):
        pass_read_only("select '" + "x" * (256 << 10) + "'", [])
    with pytest.raises(QuiltError):
        pass_read_only("select " + "(" * 20_000 + "1" + ")" * 20_000, [])
