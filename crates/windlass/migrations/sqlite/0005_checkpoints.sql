-- A job's own note of how far it got: given back with the next claim, of no meaning when the job has finished.
alter table jobs add column checkpoint text;
