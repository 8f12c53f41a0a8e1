-- The encrypted secrets of a tenant's channel. Called before it is used or recognised.
select s."keyId" as key_id, s.ciphertext, s.iv, s."authTag" as auth_tag
from channel_secrets s
join channels c on c.id = s."channelId"
where c."tenantId" = ?1
  and c.id = ?2
