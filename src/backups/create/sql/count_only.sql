-- Rows of one table of PostgreSQL, without those of tables that inherit from it; "the_table" is replaced by
-- its quoted name.
select count(*) as row_count
from only "the_table"
