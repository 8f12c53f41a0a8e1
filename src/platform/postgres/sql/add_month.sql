-- Adds the month that name_month named, called as the platform calls its own: messages_2026_01. Inserts wait for no
-- more than the making of an empty table.
do $$
declare
    parent constant text := current_setting('metachat_jobs.partitioned');
    month constant date := current_setting('metachat_jobs.month')::date;
begin
    perform set_config('lock_timeout', '2s', true);
    execute format(
        'create table if not exists %I partition of %I for values from (%L) to (%L)',
        parent || to_char(month, '"_"YYYY"_"MM'), parent, month::timestamp, (month + interval '1 month')::timestamp
    );
end
$$
