-- How values are written as text, so that digests made here and there are comparable. Until the transaction
-- ends.
select
    set_config('TimeZone', 'UTC', true),
    set_config('DateStyle', 'ISO, YMD', true),
    set_config('IntervalStyle', 'postgres', true),
    set_config('bytea_output', 'hex', true),
    set_config('extra_float_digits', '1', true),
    set_config('search_path', 'pg_catalog', true);
