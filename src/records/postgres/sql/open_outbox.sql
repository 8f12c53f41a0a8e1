-- Writes down one part of a message that is to be sent; nothing if it is there. Called before it is sent.
insert into jobs.outbox (id, job_id, tenant, conversation, message, channel, part, parts)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
