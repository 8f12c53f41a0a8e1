-- A unique window in which nothing fits is refused by jobs.enqueue() too, as every client does. The check goes
-- into the function as it stands, whatever else has been added to it since it was made.
do $do$
begin
    execute replace(
        pg_get_functiondef('jobs.enqueue'::regproc),
        'if unique_window is not null and unique_key is null then',
        $check$if unique_window <= interval '0' then
        raise exception 'unique_window: is empty'
            using errcode = '22023', hint = 'Use at least a microsecond, or leave it out.';
    end if;
    if unique_window is not null and unique_key is null then$check$);
end
$do$;
