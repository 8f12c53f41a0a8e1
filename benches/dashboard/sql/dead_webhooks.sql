-- How many dead webhooks there are, exactly.
select count(*) from jobs.finished_jobs where state = 'dead' and kind = 'deliver_webhook'
