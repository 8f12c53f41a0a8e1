-- How many canaries there are of the time between two moments, and how many of a later time.
select
    count(*) filter (where planted between to_timestamp($1 / 1000000.0) and to_timestamp($2 / 1000000.0)),
    count(*) filter (where planted > to_timestamp($2 / 1000000.0))
  from (select planted_at as planted from jobs.backup_canaries) canaries;
