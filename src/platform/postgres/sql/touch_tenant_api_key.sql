-- Notes that a key is used, at most once a minute. Called when it is checked.
update tenant_api_keys
set "lastUsedAt" = now() at time zone 'utc',
    "updatedAt" = now() at time zone 'utc'
where id = $1
  and ("lastUsedAt" is null or "lastUsedAt" < (now() at time zone 'utc') - interval '1 minute')
