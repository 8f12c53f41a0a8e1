-- When the newest job was made, began or ended, in microseconds since 1970.
select max(max(enqueued_at), coalesce(max(claimed_at), 0), coalesce(max(finished_at), 0)) from jobs;
