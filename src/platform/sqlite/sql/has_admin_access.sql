-- Whether any admin has a good key. Called when a program starts.
select exists (
    select 1
    from admin_api_keys
    where active
      and ("expiresAt" is null or "expiresAt" > cast(round(unixepoch('subsec') * 1000) as integer))
    union all
    select 1
    from admin_keys
    where status = 'active'
      and ("expiresAt" is null or "expiresAt" > cast(round(unixepoch('subsec') * 1000) as integer))
)
