-- Of each sequence that numbers a column its name and the statement that counts 1 if it lies behind the column.
select
    s.oid::regclass::text as name,
    format(
        'select count(*) from %s where last_value < (select max(%I) from %s)',
        s.oid::regclass, a.attname, d.refobjid::regclass) as statement
  from pg_class s
  join pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0
  join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.deptype in ('a', 'i')
  join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
 where s.relkind = 'S'
   and d.refclassid = 'pg_class'::regclass
   and d.refobjsubid > 0
 order by 1;
