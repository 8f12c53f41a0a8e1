-- An encrypted secret of a tenant under the first of two names that is there. Called when its settings are read.
select "keyId" as key_id, ciphertext, iv, "authTag" as auth_tag
from tenant_secrets
where "tenantId" = ?1
  and name in (?2, ?3)
order by name = ?2 desc
limit 1
