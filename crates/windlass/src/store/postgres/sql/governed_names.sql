-- Queues whose new jobs are to be governed. Caller: governed.rs.
select queue
  from jobs.governed_queues
