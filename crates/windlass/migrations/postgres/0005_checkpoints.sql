-- A job's own note of how far it got: given back with the next claim, gone when the job has finished.
alter table jobs.jobs add column checkpoint json;
