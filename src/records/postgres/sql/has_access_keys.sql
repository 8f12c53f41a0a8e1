-- Whether anyone holds a good key that sees all tenants. Called when a program starts.
select exists (
    select 1
    from jobs.access_keys
    where revoked_at is null
      and tenant is null
      and (expires_at is null or expires_at > now())
)
