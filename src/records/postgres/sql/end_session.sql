-- Signs out. Called when somebody does.
delete from jobs.sessions
where digest = $1
