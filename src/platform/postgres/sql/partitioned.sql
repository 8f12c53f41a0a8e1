-- Whether the table named $1 is partitioned. Called before months are added to it.
select exists (
    select
    from pg_catalog.pg_partitioned_table
    where partrelid = to_regclass($1)
)
