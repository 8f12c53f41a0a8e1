-- Rows of one table of a SQLite file; "the_table" is replaced by its quoted name.
select count(*) as row_count
from "the_table"
