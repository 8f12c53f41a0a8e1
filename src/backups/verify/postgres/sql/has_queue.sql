-- Whether the engine's tables are in this database.
select to_regclass('jobs.jobs') is not null and to_regclass('jobs.finished_jobs') is not null;
