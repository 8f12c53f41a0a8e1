-- The jobs $1 succeeded under their leases $2.
update windlass_bench.jobs j
   set state = 'completed',
       finished_at = clock_timestamp(),
       lease_expires_at = null
  from unnest($1::uuid[], $2::bigint[]) as lease (id, claim_no)
 where j.id = lease.id
   and j.claim_no = lease.claim_no
