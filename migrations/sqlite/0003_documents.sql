-- Documents and their chunks: what answers are found in.

create table documents (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    filename text not null,
    "mimeType" text not null,
    size integer not null,
    path text not null,
    checksum text not null, -- sha256 of the text, in hex
    "storageProvider" text not null default 'local',
    version integer not null default 1,
    status text not null default 'pending', -- pending | processing | ready | failed | stale
    metadata text not null default '{}', -- "content" holds the only copy of the text
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create index "documents_tenantId_status_idx" on documents ("tenantId", status);
create index "documents_tenantId_checksum_idx" on documents ("tenantId", checksum);

create table chunks (
    seq integer primary key, -- what chunks_fts points at; a bare rowid may change under `vacuum`
    id text not null unique,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    "documentId" text not null
        references documents (id) on update cascade on delete cascade,
    content text not null,
    embedding blob, -- 1024 little-endian f32
    metadata text not null default '{}',
    position integer not null,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index "chunks_tenantId_documentId_idx" on chunks ("tenantId", "documentId");
create index "chunks_documentId_idx" on chunks ("documentId");

-- Keyword search. The words live in the index alone, the text only in chunks.
create virtual table chunks_fts using fts5 (content, content = 'chunks', content_rowid = 'seq');

create trigger chunks_fts_insert after insert on chunks begin
    insert into chunks_fts (rowid, content) values (new.seq, new.content);
end;

create trigger chunks_fts_delete after delete on chunks begin
    insert into chunks_fts (chunks_fts, rowid, content) values ('delete', old.seq, old.content);
end;

create trigger chunks_fts_update after update of content on chunks begin
    insert into chunks_fts (chunks_fts, rowid, content) values ('delete', old.seq, old.content);
    insert into chunks_fts (rowid, content) values (new.seq, new.content);
end;
