-- Whether a tenant has a message that its channel calls ?2, or that is called so here. Called for each message that may
-- have been lost.
select exists (
    select 1
    from messages
    where "tenantId" = ?1
      and direction = 'inbound'
      and ("externalId" = ?2 or id = ?2)
)
