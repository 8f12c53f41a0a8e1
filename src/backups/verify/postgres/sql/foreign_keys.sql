-- Of each foreign key its name and the statement that counts the rows whose parent is missing.
select
    format('%s of %s', c.conname, c.conrelid::regclass) as name,
    format(
        'select count(*) from %s c where %s and not exists (select from %s p where %s)',
        c.conrelid::regclass,
        string_agg(format('c.%I is not null', child.attname), ' and ' order by k.position),
        c.confrelid::regclass,
        string_agg(format('p.%I = c.%I', parent.attname, child.attname), ' and ' order by k.position))
        as statement
  from pg_constraint c
 cross join unnest(c.conkey, c.confkey) with ordinality k(child, parent, position)
  join pg_attribute child on child.attrelid = c.conrelid and child.attnum = k.child
  join pg_attribute parent on parent.attrelid = c.confrelid and parent.attnum = k.parent
 where c.contype = 'f'
   and c.conparentid = 0
   and c.convalidated
 group by c.oid, c.conname, c.conrelid, c.confrelid
 order by 1;
