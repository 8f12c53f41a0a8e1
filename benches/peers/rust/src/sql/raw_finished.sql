-- Jobs with an outcome in the bare tables; raw.rs.
select count(*)
from windlass_bench.finished_jobs
