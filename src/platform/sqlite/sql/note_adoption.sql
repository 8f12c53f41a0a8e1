-- How often a version was taken over, and the job that has it now. Called with that job, in one transaction.
update documents
set metadata = json_set(metadata, '$.adoption', json(?4))
where "tenantId" = ?1
  and id = ?2
  and version = ?3
