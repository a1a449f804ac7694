"""Queries over the four tables in DuckDB's SQL: those that have an equal on Athena, and those that are refused."""

from __future__ import annotations

EQUAL = r"""
select count(*) from package_entry
select count() from package_entry
from package_tag
from package_tag select pkg_name where tag_name = 'latest'
select * from package_entry
select * exclude (metadata, physical_key) from package_entry
select * replace (upper(tag_name) as tag_name) from package_tag
select t.* from package_tag t where t.top_hash is null
select logical_key, size from package_entry where size > 10 order by size desc, logical_key, top_hash limit 3
select logical_key, size from package_entry order by size, logical_key, top_hash
select logical_key, size from package_entry order by size desc nulls first, logical_key, top_hash limit 4 offset 1
select logical_key from package_entry order by all
select size, logical_key, top_hash from package_entry order by all desc
select distinct hash_type from package_entry
select distinct hash_type, size from package_entry order by size, hash_type
select hash_type, count(*) n, sum(size) from package_entry group by hash_type
select hash_type, count(*) from package_entry group by all order by all
select hash_type, top_hash, max(size) from package_entry group by all
select count(*) c, sum(size) s from package_entry group by all
select lower(hash_type) h, avg(size) from package_entry group by h
select hash_type, sum(size) from package_entry group by 1 having sum(size) > 1000
select hash_type h, sum(size) s from package_entry group by h having s > 10
select sum(size), min(size), max(size), avg(size), count(size) from package_entry where size > 99999999999
select sum(size) from package_entry where false
select count(distinct hash_value), count(hash_value) from package_entry
select avg(size * 1.5), sum(size * 1.5) from package_entry
select sum(size > 50), count_if(size > 50) from package_entry
select count_if(size > 50) from package_entry where false
select bool_and(size > 0), bool_or(size > 0) from package_entry
select bool_and(size > 0) from package_entry where size is null
select stddev(size), stddev_pop(size), variance(size), var_pop(size) from package_entry where size < 2000
select stddev(size), var_samp(size) from package_entry where size = 250
select count(*) filter (where size > 100), sum(size) filter (where hash_type = 'SHA256') from package_entry
select arg_max(logical_key, size), arg_min(logical_key, size + 0) from package_entry where size > 3
select arg_max(hash_type, logical_key) from package_entry
select top_hash, max_by(hash_value, logical_key) filter (where size > 5) from package_entry group by top_hash
select any_value(tag_name) from package_tag where pkg_name = 'lab/empty'
select string_agg(logical_key, ';' order by logical_key) from package_entry where size > 5000
select hash_type, string_agg(logical_key, ',' order by logical_key desc) from package_entry where size < 3 group by hash_type
select string_agg(distinct hash_type, '|' order by hash_type) from package_entry
select string_agg(hash_type, ',' order by logical_key) from package_entry where size is null
select list(logical_key order by logical_key) from package_entry where size = 100
select top_hash, array_agg(size order by size desc, logical_key) from package_entry group by top_hash
select size / 3, size // 3, size % 3 from package_entry
select -size // 7, -size % 7 from package_entry where size < 2000
select size * 2 + 1 - 3, -size, (size + 1) * 2 from package_entry
select size / 1024.0, round(size / 1024.0, 2), round(size / 1024), floor(size / 1000), ceil(size / 1000) from package_entry
select round(2.5), round(-2.5), floor(-1.5), ceil(-1.5), trunc(-1.7), trunc(1.7)
select abs(size - 200), sign(size - 100), power(size, 2), size ** 0.5, sqrt(size), exp(1) from package_entry where size < 2000
select ln(size), log(size), log10(size), log2(size) from package_entry where size > 0
select greatest(size, 50), least(size, 50, 20), greatest(hash_type, 'T') from package_entry
select coalesce(size, -1), ifnull(hash_type, 'none'), nullif(size, 100), if(size > 50, 'big', 'small') from package_entry
select case when size > 1000 then 'L' when size > 50 then 'M' else 'S' end c, count(*) from package_entry group by c
select case hash_type when 'SHA256' then 1 else 2 end from package_entry
select size between 3 and 100, size not between 3 and 100, size in (3, 100), size not in (3, 100) from package_entry
select hash_type is null, hash_type is not null, hash_type is distinct from 'SHA256', hash_type is not distinct from null from package_entry
select (size > 50) is true, (size > 50) is false, (size > 50) is not true from package_entry
select logical_key from package_entry where not (size > 50)
select logical_key from package_entry where size > 50 or hash_type is null and top_hash like 'c%'
select logical_key like '%.csv', logical_key ilike '%.CSV', logical_key not like 'data/%', logical_key not ilike 'DATA/%' from package_entry
select logical_key from package_entry where logical_key like 'a\_b\%%' escape '\'
select logical_key from package_entry where logical_key glob 'data/*.csv'
select logical_key from package_entry where logical_key glob 'data/plate_0?.csv'
select lower(logical_key), upper(hash_type), length(logical_key), len(logical_key), strlen(logical_key) from package_entry
select logical_key || ':' || size, concat(hash_type, ':', size), concat_ws('-', hash_type, logical_key) from package_entry
select trim(logical_key), ltrim(logical_key), rtrim(logical_key), ltrim(logical_key, 'da/'), trim(logical_key, 'vtxd.') from package_entry
select substr(logical_key, 2, 3), substring(logical_key, 3), substr(logical_key, 99), substr(logical_key, -3) from package_entry
select substring(logical_key from 2 for 2), substr(logical_key, strpos(logical_key, '/') + 1) from package_entry
select left(logical_key, 4), right(logical_key, 4), left(logical_key, 0), right(logical_key, 99) from package_entry
select split_part(logical_key, '/', 1), split_part(logical_key, '/', 2), split_part(logical_key, '/', -1), split_part(logical_key, '/', 9) from package_entry
select split(logical_key, '/')[1], string_split(logical_key, '/')[-1], split(logical_key, '/')[7] from package_entry
select split(logical_key, '/') from package_entry
select len(split(logical_key, '/')), array_length(split(logical_key, '/')) from package_entry
select logical_key[1:4], logical_key[3:], logical_key[2] from package_entry
select array_to_string(split(logical_key, '/')[1:2], '+') from package_entry
select list_contains(split(logical_key, '/'), 'data'), contains(logical_key, 'plate'), contains(logical_key, '') from package_entry
select array_to_string(list_sort(split(logical_key, '_')), ',') from package_entry
select starts_with(logical_key, 'data/'), prefix(logical_key, 'RE'), ends_with(logical_key, '.csv'), suffix(logical_key, '%c.txt') from package_entry
select ends_with(logical_key, right(logical_key, 3)), ends_with(hash_type, logical_key), logical_key ^@ 'data' from package_entry
select strpos(logical_key, '_'), instr(logical_key, 'csv'), position('/' in logical_key) from package_entry
select replace(logical_key, '/', '::'), replace(logical_key, '', 'x') from package_entry
select lpad(hash_type, 8, '*'), rpad(hash_type, 3, 'ab') from package_entry
select md5(logical_key), sha256(logical_key) from package_entry
select regexp_matches(logical_key, 'plate_\d+'), regexp_matches(logical_key, 'PLATE', 'i'), logical_key ~ '^data/.*csv$' from package_entry
select logical_key from package_entry where regexp_matches(logical_key, '^[\w /.]+$')
select logical_key from package_entry where not regexp_full_match(logical_key, '[a-z]+/.*')
select regexp_extract(logical_key, '_(\d+)\.', 1), regexp_extract(logical_key, '[A-Z]+') from package_entry
select regexp_extract(logical_key, '(raw)?/', 1) from package_entry
select regexp_replace(logical_key, '[_/]', '-', 'g'), regexp_replace(logical_key, '^data/', '') from package_entry
select regexp_replace(logical_key, '([a-z]+)_(\d+)', '\2-\1', 'g'), regexp_replace(logical_key, 'a', '$1', 'g') from package_entry
select regexp_extract_all(logical_key, '[a-z]+') from package_entry
select metadata->>'owner', metadata->>'$.owner', metadata->>'$.deep.a.b', json_extract_string(metadata, '$.plate') from package_manifest
select metadata->>'deep', metadata->>'tags', metadata->>'ok', metadata->>'nothing' from package_manifest
select metadata->>'/deep/a', metadata->>'$.tags[0]', metadata->'tags'->>1, metadata->'deep'->'a'->>'b' from package_manifest
select top_hash from package_manifest where metadata->>'owner' = 'Ana'
select top_hash from package_manifest where metadata->>'owner' in ('Ana', 'Zoë')
select top_hash from package_manifest where metadata->>'owner' is null
select top_hash from package_manifest where (metadata->>'owner') like 'Z%'
select top_hash, (metadata->>'score')::double, cast(metadata->>'plate' as integer) from package_manifest
select try_cast(metadata->>'score' as double), try_cast(metadata->>'owner' as int), try_cast(metadata->>'plate' as bigint) from package_manifest
select try_cast(metadata->>'n' as int), try_cast(metadata->>'n' as double) from package_entry
select avg(try_cast(metadata->>'score' as double)) from package_manifest
select json_array_length(metadata, '$.tags'), json_array_length(metadata->'tags'), json_array_length(metadata) from package_manifest
select metadata->>'$.u.k[1]', metadata->>'$."u"."k"' from package_entry
select (metadata->'plate')::int from package_manifest where top_hash < 'c'
select size::hugeint, size::hugeint::varchar from package_entry
select size::varchar, cast(size as text), size::double, size::decimal(12, 2), (size > 3)::int, (size > 3)::varchar from package_entry
select '12'::int, ' 7 '::int, '1.5'::double, '2.5'::decimal(4, 1), try_cast('abc' as int), try_cast('1.6' as int)
select cast(round(size / 7) as bigint), (size * 1.5)::bigint, 2.5::int, (-2.5)::int from package_entry
select year(timestamp), month(timestamp), day(timestamp), hour(timestamp), minute(timestamp), second(timestamp), quarter(timestamp) from package_revision
select extract(year from timestamp), date_part('month', timestamp), extract(doy from timestamp), dayofyear(timestamp) from package_revision
select dayofweek(timestamp), extract(dow from timestamp), isodow(timestamp), week(timestamp), weekofyear(timestamp) from package_revision
select date_trunc('month', timestamp), date_trunc('day', timestamp), date_trunc('week', timestamp), date_trunc('year', timestamp::date) from package_revision
select date_diff('day', timestamp, timestamp '2026-03-01'), datediff('hour', timestamp, timestamp '2026-01-01 01:00:00'), date_diff('month', timestamp, timestamp '2026-02-01') from package_revision
select date_diff('year', timestamp, '2026-06-01'), date_sub('day', timestamp, timestamp '2026-01-02') from package_revision
select date_diff('week', timestamp, timestamp '2026-03-01') from package_revision
select strftime(timestamp, '%Y-%m'), strftime(timestamp, '%d/%m/%Y %H:%M:%S') from package_revision
select strptime('2026-01-05 10:11:12', '%Y-%m-%d %H:%M:%S'), strptime('05.01.2026', '%d.%m.%Y')
select timestamp + interval 1 day, timestamp - interval '2 hours', timestamp + interval 1 month, timestamp::date + 3 from package_revision
select timestamp::date, timestamp::date - date '2026-01-01', date '2026-01-31' + interval 1 month from package_revision
select pkg_name from package_revision where timestamp >= '2026-01-01' and timestamp < '2026-02-01'
select pkg_name from package_revision where timestamp between '2026-01-01' and '2026-01-02'
select pkg_name from package_revision where timestamp::date = '2026-01-01'
select pkg_name from package_revision where timestamp > timestamp '2026-01-01 00:15:00.2'
select epoch(timestamp), last_day(timestamp) from package_revision
select strftime(timestamp, '%Y-%m') m, count(*) from package_revision group by m order by m
select max(timestamp), min(timestamp::date) from package_revision
select pkg_name, max(timestamp) from package_revision group by all order by all
select r.pkg_name, m.message from package_revision r join package_manifest m on r.top_hash = m.top_hash
select r.pkg_name, m.message from package_revision r left join package_manifest m using (top_hash)
select pkg_name, top_hash from package_tag join package_revision using (pkg_name, top_hash)
select t.pkg_name, e.logical_key from package_tag t right join package_entry e on t.top_hash = e.top_hash and t.tag_name = 'v1'
select t.pkg_name, r.timestamp from package_tag t full outer join package_revision r on t.pkg_name = r.pkg_name and t.top_hash = r.top_hash
select count(*) from package_tag, package_manifest
select count(*) from package_tag cross join package_revision
select pkg_name from package_tag natural join package_revision
select t.pkg_name from package_tag t semi join package_revision r using (pkg_name)
select t.pkg_name from package_tag t anti join package_revision r on t.pkg_name = r.pkg_name
select logical_key from package_entry where top_hash in (select top_hash from package_tag where tag_name = 'latest')
select logical_key from package_entry where top_hash not in (select top_hash from package_tag where top_hash is not null)
select pkg_name from package_tag t where exists (select 1 from package_entry e where e.top_hash = t.top_hash and e.size > 1000)
select pkg_name, (select count(*) from package_entry e where e.top_hash = t.top_hash) n from package_tag t
select (select max(size) from package_entry) - size from package_entry
select logical_key from package_entry where size = (select max(size) from package_entry)
select logical_key from package_entry where size = any (select size from package_entry where top_hash like 'a%')
with big as (select * from package_entry where size > 50) select hash_type, count(*) from big group by hash_type
with a as materialized (select top_hash, sum(size) s from package_entry group by 1), b as (select * from a where s > 10) select pkg_name, s from package_tag join b using (top_hash)
select * from (select hash_type, count(*) n from package_entry group by 1) where n > 1
select pkg_name from package_tag union select pkg_name from package_revision
select pkg_name from package_tag union all select pkg_name from package_revision order by pkg_name
select top_hash from package_tag intersect select top_hash from package_revision
select pkg_name from package_tag except select pkg_name from package_revision
select logical_key, row_number() over (partition by top_hash order by logical_key) from package_entry
select logical_key, rank() over (order by size), dense_rank() over (order by size desc) from package_entry
select logical_key, sum(size) over (partition by top_hash), count(*) over () from package_entry
select logical_key, sum(size) over (order by logical_key, top_hash rows between 1 preceding and current row) from package_entry
select logical_key, lag(size) over (order by logical_key, top_hash), lead(size, 2, -1) over (order by logical_key, top_hash) from package_entry
select first_value(logical_key) over (partition by top_hash order by logical_key), ntile(3) over (order by logical_key, top_hash) from package_entry
select last_value(size) over (partition by top_hash order by logical_key rows between unbounded preceding and unbounded following) from package_entry
select percent_rank() over (order by size), cume_dist() over (order by size) from package_entry
select size * 100.0 / sum(size) over () from package_entry
select pkg_name, timestamp from package_revision qualify row_number() over (partition by pkg_name order by timestamp desc) = 1
select pkg_name p, timestamp from package_revision qualify row_number() over (partition by pkg_name order by timestamp desc) = 1 order by timestamp desc, p limit 2
select pkg_name, row_number() over (partition by pkg_name order by timestamp desc) n from package_revision qualify n = 1
select distinct on (pkg_name) pkg_name, top_hash from package_revision order by pkg_name, timestamp desc
select distinct on (top_hash) top_hash, logical_key from package_entry order by top_hash, size desc nulls last, logical_key
select u.p, count(*) from package_entry, unnest(split(logical_key, '/')) as u(p) group by u.p
select e.logical_key, u.part from package_entry e cross join unnest(string_split(e.logical_key, '_')) as u(part)
select v.a, v.b from (values (1, 'x'), (2, 'y')) as v(a, b)
select sum(size) total, count(distinct top_hash) from package_entry e where exists (select 1 from package_tag t where t.top_hash = e.top_hash)
select p.pkg_name, count(e.logical_key) files, coalesce(sum(e.size), 0) bytes from package_tag p left join package_entry e using (top_hash) where p.tag_name = 'latest' group by p.pkg_name order by bytes desc, p.pkg_name
select lower(split_part(logical_key, '.', -1)) ext, count(*) n, sum(size) s from package_entry where size is not null group by ext order by s desc nulls last, ext
select hash_value, count(*) from package_entry where hash_value is not null group by hash_value having count(*) > 1
select regexp_extract(logical_key, '^([^/]+)/', 1) folder, count(*) from package_entry group by folder order by folder
select (metadata::json)->>'plate', json_array_length(metadata::json, 'tags') from package_manifest
select json_array_length(cast(metadata as json)) from package_manifest
select 1 / 0, -1 / 0, size / 0 from package_entry where size > 0
SELECT Logical_Key AS K, SIZE FROM Package_Entry E WHERE e.Size > 50 ORDER BY k, e.top_hash
select size * 2 as d, d + 1 from package_entry
select upper(logical_key) as logical_key from package_entry where logical_key like 'data/%'
select -size as size from package_entry where size > 3 order by size
select lower(hash_type) as hash_type, count(*) from package_entry group by hash_type
select size % 10 as size, count(*) from package_entry group by size
select hash_type, sum(size) as size from package_entry group by hash_type having size > 100
select max(size) as size from package_entry having max(size) > 1
(select pkg_name from package_tag order by pkg_name, tag_name limit 1) union all (select pkg_name from package_revision order by pkg_name, timestamp limit 2)
select pkg_name from package_tag union all (select pkg_name from package_revision union select 'x')
select * from package_tag limit 0
select 'it''s', 'back\slash', 'ü', '%_', ''
select hash_type, sum(sum(size)) over (order by hash_type) from package_entry group by hash_type
select top_hash, count(*) n from package_entry group by top_hash qualify row_number() over (order by count(*) desc, top_hash) = 1
select pkg_name from package_tag except all select pkg_name from package_revision
select pkg_name from package_tag intersect all select pkg_name from package_revision
with x as (select split(logical_key, '/') parts from package_entry) select u.p from x, unnest(parts) as u(p)
with x as (select split(logical_key, '/') parts from package_entry) select len(parts), parts[1] from x
with x as (select metadata->>'plate' p from package_manifest) select p || 'x', try_cast(p as int) from x
with x as (select count_if(size > 3) c, arg_max(logical_key, size) k from package_entry) select c + 1, upper(k) from x
select u.p || '!', length(u.p) from package_entry, unnest(split(logical_key, '/')) as u(p)
with x as (select logical_key k from package_entry order by logical_key limit 3) select count(*), min(k) from x
select count(distinct hash_type) filter (where size > 3) from package_entry
select nth_value(logical_key, 2) over (partition by top_hash order by logical_key rows between unbounded preceding and unbounded following) from package_entry
select cbrt(size), sha1(logical_key) from package_entry where size < 2000
select top_hash, max(case when logical_key like '%.csv' then size end) from package_entry group by top_hash
select e.* from package_entry e join package_tag t using (top_hash) where t.tag_name = 'latest'
select * from package_tag t join package_manifest m using (top_hash)
select * from package_tag t join package_manifest m on t.top_hash = m.top_hash
select a.tag_name, b.tag_name from package_tag a join package_tag b on a.pkg_name = b.pkg_name and a.tag_name < b.tag_name
select top_hash[:12], left(top_hash, 7) from package_tag
select 'quilt+s3://b#package=' || pkg_name || '@' || top_hash from package_tag
select timestamp::date d, count(*) from package_revision group by d order by d
select date_trunc('month', timestamp)::date, count(*) from package_revision group by 1 order by 1
select split_part(pkg_name, '/', 1) ns, count(distinct pkg_name) from package_revision group by ns
select extract(week from timestamp), extract(isodow from timestamp) from package_revision
select 1 where exists (from package_tag where tag_name = 'nope')
select case when metadata is null then 'none' else 'some' end, count(*) from package_entry group by 1
select sum(size) / count(*), sum(size) * 1.0 / count(*) from package_entry
select round(avg(size), 2), round(sum(size) / 1e6, 3) from package_entry
select size > 50 and hash_type = 'SHA256', size > 50 or hash_type is null, not (size > 50) from package_entry
select (size > 50) = (size > 90), coalesce(size > 50, false) from package_entry
select min(timestamp), max(timestamp) - interval 1 day from package_revision
select physical_key, regexp_extract(physical_key, 's3://([^/]+)/(.*?)(\?versionId=.*)?$', 2) from package_entry
select regexp_extract(physical_key, 'versionId=(.+)$', 1) v from package_entry where physical_key like '%versionId%'
select try_cast(split_part(split_part(logical_key, '_', 2), '.', 1) as integer) from package_entry
select array_agg(distinct hash_type) is null from package_entry
select list(distinct hash_type order by hash_type) from package_entry
select count(*) from package_entry where (metadata->'n') is not null
select json_exists(metadata, '$.owner'), json_exists(metadata, 'nothing') from package_manifest
select count(*) over (partition by hash_type order by size range between unbounded preceding and current row) from package_entry
select unnest from (select 1 as unnest)
select "size" from "package_entry" where "logical_key" = 'README.md'
select sum(s) from (select size s from package_entry union all select 5)
select t1.n from (select 1 n) t1 left join (select 2 n) t2 on t1.n = t2.n where t2.n is null
select top_hash, metadata->>'deep' = 'flat', not (metadata->>'deep' = 'flat') from package_manifest
select top_hash from package_manifest where not (metadata->>'deep' = 'flat')
select top_hash from package_manifest where metadata->>'deep' <> 'flat' or metadata->>'tags' in ('none', 'x')
select top_hash from package_manifest where metadata->>'tags' not in ('none')
select top_hash from package_manifest where metadata->>'tags' not like 'n%'
""".strip().splitlines()
"""Where the last ORDER BY is total, or there is none."""

SPARK_LACKS = frozenset(
    """
select top_hash, array_agg(size order by size desc, logical_key) from package_entry group by top_hash
select list(distinct hash_type order by hash_type) from package_entry
select 1 / 0, -1 / 0, size / 0 from package_entry where size > 0
select count(*) from package_entry where (metadata->'n') is not null
select json_exists(metadata, '$.owner'), json_exists(metadata, 'nothing') from package_manifest
""".strip().splitlines()
)
"""Lists in an order, infinities, and a null of JSON that is not NULL."""
SQLITE_LACKS = frozenset(
    """
(select pkg_name from package_tag order by pkg_name, tag_name limit 1) union all (select pkg_name from package_revision order by pkg_name, timestamp limit 2)
select pkg_name from package_tag except all select pkg_name from package_revision
select pkg_name from package_tag intersect all select pkg_name from package_revision
""".strip().splitlines()
)

REFUSED = r"""
select first(logical_key) from package_entry | first
select last(logical_key) from package_entry | last
select median(size) from package_entry | median
select quantile_cont(size, 0.5) from package_entry | quantile_cont
select quantile_disc(size, 0.5) from package_entry | quantile
select mode(hash_type) from package_entry | mode
select approx_quantile(size, 0.5) from package_entry | approx_quantile
select histogram(size) from package_entry | histogram
select columns('.*key') from package_entry | COLUMNS
select logical_key similar to '%csv' from package_entry | SIMILAR TO
select regexp_replace(logical_key, 'a', 'b') from package_entry | regexp_replace without 'g'
select regexp_matches(logical_key, '(?P<x>a)') from package_entry | regular expression
select regexp_matches(logical_key, '\bplate') from package_entry | regular expression
select regexp_matches(logical_key, '[[:alpha:]]') from package_entry | regular expression
select regexp_matches(logical_key, '\pL') from package_entry | regular expression
select regexp_matches(logical_key, hash_type) from package_entry | not written out
select regexp_matches(logical_key, 'a', 's') from package_entry | options
select regexp_extract(logical_key, '(a)(b)', ['x', 'y']) from package_entry | named groups
select regexp_split_to_array(logical_key, 'a') from package_entry | regexp_split_to_array
select string_split_regex(logical_key, 'a') from package_entry | string_split_regex
select reverse(logical_key) from package_entry | reverse
select repeat(logical_key, 2) from package_entry | repeat
select printf('%d', size) from package_entry | printf
select format('{}', size) from package_entry | format
select hash(logical_key) from package_entry | hash
select levenshtein(logical_key, 'x') from package_entry | levenshtein
select substr(logical_key, 0, 2) from package_entry | substring
select substr(logical_key, -3, 2) from package_entry | substring
select substr(logical_key, size) from package_entry | substring
select split_part(logical_key, '', 1) from package_entry | split_part
select split(logical_key, '') from package_entry | split
select logical_key glob '[ab]*' from package_entry | GLOB
select logical_key collate nocase from package_entry | COLLATE
select unnest(split(logical_key, '/')) from package_entry | unnest
select list_transform(split(logical_key, '/'), lambda x: upper(x)) from package_entry | list_transform
select list_distinct(split(logical_key, '/')) from package_entry | list_distinct
select split(logical_key, '/')[0] from package_entry | 0
select split(logical_key, '/')[-2:] from package_entry | slice
select map {'a': size} from package_entry | MAP
select {'a': size} from package_entry | struct
select (size, top_hash) from package_entry | row of values
select age(timestamp) from package_revision | age
select timestamp - timestamp from package_revision | difference of times
select epoch_ms(timestamp) from package_revision | epoch_ms
select timestamp::varchar from package_revision | timestamp to text
select strftime(timestamp, '%A') from package_revision | %A
select timestamp at time zone 'UTC' from package_revision | AT TIME ZONE
select date_diff('century', timestamp, timestamp) from package_revision | date_diff
select timestamp + interval '1 day 2 hours' from package_revision | interval
select extract(epoch_ms from timestamp) from package_revision | epoch_ms
select make_date(2026, 1, 1) | make_date
select size::uinteger from package_entry | Unsigned
select (size / 2)::int from package_entry | double to a whole number
select (size / 2)::varchar from package_entry | float to text
select size = '100' from package_entry | comparison
select metadata->'plate' = 1 from package_manifest | JSON
select (metadata->'owner')::varchar from package_manifest | JSON to text
select metadata->>'$.tags[*]' from package_manifest | JSON path
select metadata->>'$.tags[#-1]' from package_manifest | JSON path
select json_keys(metadata) from package_manifest | json_keys
select json_type(metadata) from package_manifest | json_type
select json_valid(metadata) from package_manifest | json_valid
select to_json(size) from package_entry | to_json
select pkg_name from package_tag union by name select pkg_name from package_revision | BY NAME
select * from package_tag asof join package_revision using (pkg_name, top_hash) | ASOF
select * from package_tag positional join package_revision | POSITIONAL
select * from package_entry using sample 10% | SAMPLE
select * from package_entry tablesample 10% | SAMPLE
select * from package_entry limit 10% | LIMIT
pivot package_entry on hash_type using count(*) | PIVOT
unpivot package_entry on size into name n value v | PIVOT
summarize package_entry | SUMMARIZE
select * from range(3) t(i) | function in FROM
select * from generate_series(1, 3) | function in FROM
with recursive t as (select 1 a union all select a + 1 from t where a < 3) select * from t | RECURSIVE
select distinct on (pkg_name) pkg_name from package_revision | DISTINCT ON
select row_number() over () from package_entry | without ORDER BY
select lag(size ignore nulls) over (order by size) from package_entry | IGNORE NULLS
select sum(size) over (order by size rows between 1 preceding and current row exclude current row) from package_entry | EXCLUDE
select hash_type, count(*) from package_entry group by rollup (hash_type) | ROLLUP
select hash_type, count(*) from package_entry group by grouping sets ((hash_type), ()) | GROUPING SETS
select count(distinct (hash_type, size)) from package_entry | count(DISTINCT
select random() | random
select uuid() | uuid
select typeof(size) from package_entry | typeof
select read_csv('x') | read_csv
select getvariable('x') | getvariable
select * from read_parquet('s3://b/x.parquet') | function in FROM
select $$x$$ | $$
select bit_count(size) from package_entry | bit
select size & 3 from package_entry | BITWISE
select translate(logical_key, 'a', 'b') from package_entry | translate
select * from package_entry, lateral (select size) | LATERAL
select log(3, size) from package_entry | log
select logical_key from package_entry where size > all (select size from package_entry where size < 50) | ANY and ALL
select logical_key from package_entry where size < any (select size from package_entry) | ANY and ALL
select max(size, 3) from package_entry | min and max
select trunc(1.55, 1) | decimals
select 'x' || metadata->>'owner' from package_manifest | after ||
select 1 from package_manifest where metadata->>'ok' | condition
select 1 from package_entry where size | condition
select not size from package_entry | condition
select case when size then 1 end from package_entry | condition
select size > 3 and logical_key from package_entry | condition
select logical_key + 1 from package_entry | text + int
select sum(logical_key) from package_entry | sum
select list(size)[1] || 'x' from package_entry | ||
select arg_max(logical_key, size, 3) from package_entry | max_by
""".strip().splitlines()
"""After the bar: what the refusal names."""


def refused() -> list[tuple[str, str]]:
    pairs = [one.rpartition(" | ") for one in REFUSED]
    return [(query.strip(), named.strip()) for query, _, named in pairs]


WRONG = """
drop table package_tag
insert into package_tag values ('a', 'b', 'c')
copy package_tag to 'x'
select 1; select 2
select from where
select nothing_here from package_tag
select * from package_entries
select * from main.package_entry
attach 'x.db'
pragma database_list
""".strip().splitlines()
"""No queries over the four tables at all."""
