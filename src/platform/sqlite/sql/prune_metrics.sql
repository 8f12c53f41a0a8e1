-- Deletes the metrics of the array ?1 of ids. Called by the clean-up with what old_metrics told.
delete from message_metrics
where id in (select value from json_each(?1))
