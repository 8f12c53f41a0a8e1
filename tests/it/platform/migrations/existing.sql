-- Makes a database what a platform's may be: not made by us, messages partitioned by month, row
-- security forced on every tenant's table, and an ordinary role to work with.

drop table _platform_migrations;

drop table messages;

create table messages (
    id text not null,
    "tenantId" text not null references tenants (id) on update cascade on delete cascade,
    "conversationId" text not null,
    "externalId" text,
    direction text not null,
    "from" text not null,
    type text not null,
    content jsonb not null,
    metadata jsonb not null default '{}',
    "timestamp" timestamp(3) not null default current_timestamp,
    "createdAt" timestamp(3) not null default current_timestamp,
    constraint messages_partitioned_pkey primary key (id, "timestamp"),
    constraint messages_partitioned_conversation_fkey foreign key ("conversationId")
        references conversations (id) on delete cascade
) partition by range ("timestamp");

create index messages_conversation_timestamp_idx on messages ("conversationId", "timestamp");
create index messages_external_id_idx on messages ("externalId");
create index messages_id_idx on messages (id);

create table messages_2026_01 partition of messages for values from ('2026-01-01') to ('2026-02-01');
create table messages_2026_02 partition of messages for values from ('2026-02-01') to ('2026-03-01');

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

-- Roles belong to the server, which all tests share.
do $$
begin
    create role metachat_jobs_test nologin;
exception
    when duplicate_object or unique_violation then null;
end $$;

grant select, insert, update, delete on all tables in schema public to metachat_jobs_test;
grant usage on all sequences in schema public to metachat_jobs_test;
