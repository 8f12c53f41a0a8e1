-- Deletes at most ?4 messages of a tenant that were written before ?3 in one of the conversations ?2. Called by the
-- clean-up until nothing is left.
delete from messages
where rowid in (
    select m.rowid
    from json_each(?2) c
    join messages m on m."conversationId" = c.value
    where m."tenantId" = ?1
      and m."timestamp" < ?3
    limit ?4
)
