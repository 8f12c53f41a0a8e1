-- Documents and their chunks: what answers are found in.

create table documents (
    id text primary key,
    "tenantId" text not null
        constraint "documents_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    filename text not null,
    "mimeType" text not null,
    size integer not null,
    path text not null,
    checksum text not null, -- sha256 of the text, in hex
    "storageProvider" text not null default 'local',
    version integer not null default 1,
    status text not null default 'pending', -- pending | processing | ready | failed | stale
    metadata jsonb not null default '{}', -- "content" holds the only copy of the text
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create index "documents_tenantId_status_idx" on documents ("tenantId", status);
create index "documents_tenantId_checksum_idx" on documents ("tenantId", checksum);

create table chunks (
    id text primary key,
    "tenantId" text not null
        constraint "chunks_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    "documentId" text not null
        constraint "chunks_documentId_fkey" references documents (id) on update cascade on delete cascade,
    content text not null,
    embedding vector(1024),
    metadata jsonb not null default '{}',
    position integer not null,
    "createdAt" timestamp(3) not null default current_timestamp
);

create index "chunks_tenantId_documentId_idx" on chunks ("tenantId", "documentId");
create index "chunks_documentId_idx" on chunks ("documentId");

-- HNSW, because ivfflat learns its lists from the rows it is built on and here there are none yet.
-- The name is the platform's, whose maintenance reindexes it by that name.
create index chunks_embedding_ivfflat_idx on chunks using hnsw (embedding vector_cosine_ops);

-- The platform has no index for keyword search; this is the expression of sql/keyword.sql.
create index chunks_content_simple_idx on chunks using gin (to_tsvector('simple', content));
