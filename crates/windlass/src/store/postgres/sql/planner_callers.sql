-- Sets the planner for the rest of the transaction as the caller had it ($1 to $5). Caller: planner.rs.
select set_config('enable_seqscan', $1, true),
       set_config('enable_hashjoin', $2, true),
       set_config('enable_mergejoin', $3, true),
       set_config('jit', $4, true),
       set_config('plan_cache_mode', $5, true)
