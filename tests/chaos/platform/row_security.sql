-- Row security as the platform's migration means it: forced on every tenant's table, and an ordinary role to work
-- with.

do $$
declare
    name text;
begin
    foreach name in array array['channels', 'conversations', 'messages', 'documents', 'chunks', 'webhooks', 'events']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy %I on %I using ("tenantId" = current_setting(''app.tenant_id'', true)) '
            'with check ("tenantId" = current_setting(''app.tenant_id'', true))',
            name || '_tenant_isolation', name
        );
    end loop;
    alter table tenants enable row level security;
    alter table tenants force row level security;
    create policy tenants_isolation on tenants
        using (id = current_setting('app.tenant_id', true))
        with check (id = current_setting('app.tenant_id', true));
end $$;

create role app login;
grant create on database postgres to app;
grant select, insert, update, delete on all tables in schema public to app;
grant usage on all sequences in schema public to app;
