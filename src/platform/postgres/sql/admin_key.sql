-- An admin's key, if it is good. Called for requests, some seconds apart for each key.
select id, "hashedSecret" as hashed_secret, metadata
from admin_keys
where id = $1
  and status = 'active'
  and ("expiresAt" is null or "expiresAt" > (now() at time zone 'utc'))
