-- Notes that a key is used, at most once a minute. Called when it is checked.
update tenant_api_keys
set "lastUsedAt" = cast(round(unixepoch('subsec') * 1000) as integer),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where id = ?1
  and ("lastUsedAt" is null or "lastUsedAt" < cast(round(unixepoch('subsec') * 1000) as integer) - 60000)
