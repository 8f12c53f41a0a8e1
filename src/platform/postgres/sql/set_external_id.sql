-- The id a channel gave to what was sent. Called once it took the message.
update messages
set "externalId" = $3
where "tenantId" = $1
  and id = $2
  and direction = 'outbound'
