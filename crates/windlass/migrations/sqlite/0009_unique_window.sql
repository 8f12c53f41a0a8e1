-- PostgreSQL's jobs.enqueue() is corrected under this number; here every enqueue goes through a client.
select 1;
