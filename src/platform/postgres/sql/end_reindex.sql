-- Ends what the backend $1 is doing. Called when a making anew is told to stop.
select pg_cancel_backend($1)
