-- Makes a link good for one sign-in. Called when a demo starts.
insert into jobs.sign_in_links (digest, name, role, expires_at)
values ($1, $2, $3, now() + $4 * interval '1 millisecond')
