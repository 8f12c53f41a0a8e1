-- How often a version was taken over, and the job that has it now. Called with that job, in one transaction.
update documents
set metadata = metadata || jsonb_build_object('adoption', $4::jsonb)
where "tenantId" = $1
  and id = $2
  and version = $3
