-- Messages as the platform's migration leaves them: partitioned by month, months only where somebody made them.

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

do $$
declare
    month date;
begin
    for month in
        select generate_series(date_trunc('month', now()) - interval '1 month', now() + interval '2 months', interval '1 month')
    loop
        execute format(
            'create table %I partition of messages for values from (%L) to (%L)',
            'messages_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month'
        );
    end loop;
end $$;
