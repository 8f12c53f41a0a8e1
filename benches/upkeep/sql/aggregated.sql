-- Every day of them has its figures.
insert into analytics_daily (tenant_id, date)
select distinct 'tenant-' || t, (now() - d * interval '1 day')::date
  from generate_series(0, 19) as t
 cross join generate_series(89, 193) as d
