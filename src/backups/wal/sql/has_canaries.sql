-- Whether this database has the table of canaries.
select to_regclass('jobs.backup_canaries') is not null;
