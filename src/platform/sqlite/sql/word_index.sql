-- Whether the words of chunks are indexed, which they are in every file that we made. Called before a keyword search.
select exists (select 1 from sqlite_schema where name = 'chunks_fts')
