-- Sets the planner for the rest of the transaction as our own sessions have it; says how it was set. Called in callers'
-- transactions. Caller: planner.rs.
with callers as materialized (
    select current_setting('enable_seqscan') as seqscan,
           current_setting('enable_hashjoin') as hashjoin,
           current_setting('enable_mergejoin') as mergejoin,
           current_setting('jit') as jit,
           current_setting('plan_cache_mode') as cache
)
select callers.*,
       set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true)
  from callers
