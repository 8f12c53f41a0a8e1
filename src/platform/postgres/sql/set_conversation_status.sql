-- Hands a conversation to a human, or closes it. Called by hand-off.
update conversations
set status = $3,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
