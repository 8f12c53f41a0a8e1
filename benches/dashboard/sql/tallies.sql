-- What a month of it left behind: a row per queue and measure, for each minute of two days and each hour of thirty.
insert into jobs.tallies (step, at, queue, measure, n)
select step, at, queue, measure, 1 + at % 97
  from (values (60, 172800), (3600, 2592000)) as steps (step, range),
       lateral generate_series(
           (extract(epoch from now())::bigint - range) / step * step, extract(epoch from now())::bigint, step
       ) as at,
       unnest(array['messages', 'delivery', 'webhooks', 'documents']) as queue,
       unnest(array[0, 1, 2, 3, 4, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113]) as measure
    on conflict do nothing
