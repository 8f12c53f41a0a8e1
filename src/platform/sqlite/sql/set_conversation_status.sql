-- Hands a conversation to a human, or closes it. Called by hand-off.
update conversations
set status = ?3,
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
