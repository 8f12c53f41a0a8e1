-- Has tables read, not their indexes, until the transaction ends.
select
    set_config('enable_indexscan', 'off', true),
    set_config('enable_indexonlyscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true);
