-- $1 metrics of 20 tenants over 100 days, the youngest of them 91 days old.
insert into message_metrics (tenant_id, response_time_ms, created_at)
select 'tenant-' || n % 20, n % 1000, now() - interval '191 days' + n * (interval '100 days' / $1)
  from generate_series(0, $1 - 1) as n
