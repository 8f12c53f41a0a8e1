-- Vectors that were made, by what was embedded: a text that did not change is not embedded again.

create table jobs.embedding_cache (
    tenant_id text not null,
    model text not null,
    dimensions integer not null,
    content_hash bytea not null, -- sha256 of the text
    embedding bytea not null, -- little-endian f32
    used_at timestamptz not null default now(), -- to the day
    primary key (tenant_id, model, dimensions, content_hash)
);

-- Random bits do not compress; trying costs more than storing.
alter table jobs.embedding_cache alter column embedding set storage external;

create index embedding_cache_by_use on jobs.embedding_cache (used_at);
