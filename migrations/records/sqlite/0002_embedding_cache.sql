-- Vectors that were made, by what was embedded: a text that did not change is not embedded again.

create table embedding_cache (
    tenant_id text not null,
    model text not null,
    dimensions integer not null,
    content_hash blob not null, -- sha256 of the text
    embedding blob not null, -- little-endian f32
    used_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)), -- to the day
    primary key (tenant_id, model, dimensions, content_hash)
) strict;

create index embedding_cache_by_use on embedding_cache (used_at);
