-- Takes a message out of quarantine. Called when it is replayed or discarded.
delete from quarantine
where id = ?1
