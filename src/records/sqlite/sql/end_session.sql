-- Signs out. Called when somebody does.
delete from sessions
where digest = ?1
