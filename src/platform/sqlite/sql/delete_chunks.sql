-- All chunks of a document. Called before its new ones are inserted.
delete from chunks
where "tenantId" = ?1
  and "documentId" = ?2
