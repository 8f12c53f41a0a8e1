-- Says, for the rest of the transaction, which table add_month is to add which month to: a statement that makes a
-- table takes no parameters.
select set_config('metachat_jobs.partitioned', $1, true), set_config('metachat_jobs.month', $2, true)
