-- Every channel that takes messages, of all tenants or of the one that is named: as the channels table says, and of
-- a tenant without any row there as its settings say, web chat if they say nothing. Called by whoever decides which
-- queues to read.
with bare as (
    select t.id, t.settings
    from tenants t
    where t.enabled
      and not exists (select from channels c where c."tenantId" = t.id)
),
open as (
    select c."tenantId" as tenant, c.type as channel
    from channels c
    join tenants t on t.id = c."tenantId"
    where c.enabled
      and t.enabled
    union all
    select bare.id, named.type
    from bare
    cross join (values ('messenger'), ('webchat'), ('whatsapp')) as named (type)
    where bare.settings -> named.type ->> 'enabled' = 'true'
       or (
          named.type = 'webchat'
          and not exists (
              select
              from (values ('messenger'), ('whatsapp')) as other (type)
              where bare.settings -> other.type ->> 'enabled' = 'true'
          )
       )
)
select tenant, channel
from open
where $1::text is null or tenant = $1
order by tenant, channel
