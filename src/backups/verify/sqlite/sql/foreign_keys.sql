-- Rows whose parent is missing: table and parent.
select "table", parent, count(*) from pragma_foreign_key_check group by 1, 2;
