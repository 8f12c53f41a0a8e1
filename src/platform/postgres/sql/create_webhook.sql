-- Makes a webhook. Called by demos and tests: on a platform its own API does.
insert into webhooks (id, "tenantId", url, events, headers, "updatedAt")
values ($1, $2, $3, $4, $5, now() at time zone 'utc')
