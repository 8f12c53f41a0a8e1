-- Whether the engine's tables are in this file.
select count(*) from sqlite_schema where type = 'table' and name in ('jobs', 'job_unique_keys');
