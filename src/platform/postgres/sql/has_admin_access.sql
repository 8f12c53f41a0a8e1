-- Whether any admin has a good key. Called when a program starts.
select exists (
    select 1
    from admin_api_keys
    where active
      and ("expiresAt" is null or "expiresAt" > (now() at time zone 'utc'))
    union all
    select 1
    from admin_keys
    where status = 'active'
      and ("expiresAt" is null or "expiresAt" > (now() at time zone 'utc'))
)
