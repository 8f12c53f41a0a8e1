-- Tables whose row security hides every row from this role, because no policy lets any through. Called by prepare.
select c.relname::text
from pg_class c
join pg_roles r on r.rolname = current_user
where c.relname = any ($1)
  and pg_table_is_visible(c.oid)
  and c.relrowsecurity
  and (c.relforcerowsecurity or not pg_has_role(c.relowner, 'usage'))
  and not r.rolsuper
  and not r.rolbypassrls
  and not exists (select from pg_policy p where p.polrelid = c.oid)
order by 1
